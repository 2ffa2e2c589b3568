/* SPDX-License-Identifier: GPL-2.0 */
#include "polkit.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/queue.h>

#include "log.h"

#define POLKIT_NAME	 "org.freedesktop.PolicyKit1"
#define POLKIT_PATH	 "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

/* Somebody has to find a password. */
#define ANSWER_WAIT_USEC (300 * USEC_PER_SEC)

enum {
	POLKIT_FLAG_INTERACTIVE = 1, /* AllowUserInteraction */
	QUESTIONS_MAX = 128,
	QUESTIONS_PER_UID_MAX = 16, /* so that one user cannot lock out the others */
};

/**
 * struct question - one call waiting for its permission
 * @slot: the pending call to the bus driver or to polkit
 * @caller: tells when the caller is gone
 * @asked: polkit knows of it, under "apfd-@id"
 */
struct question {
	TAILQ_ENTRY(question) list;
	struct polkit *polkit;
	uint64_t id;
	sd_bus_message *request;
	sd_bus_track *caller;
	sd_bus_slot *slot;
	const char *action;
	uid_t uid;
	bool uid_known;
	bool asked;
	polkit_allowed_fn allowed;
	void *userdata;
	void (*destroy)(void *userdata);
};

struct polkit {
	sd_bus *bus;
	TAILQ_HEAD(, question) questions;
	size_t n_questions;
	uint64_t last_id;
};

static struct question *question_free(struct question *q)
{
	if (!q)
		return NULL;
	TAILQ_REMOVE(&q->polkit->questions, q, list);
	q->polkit->n_questions--;
	sd_bus_slot_unref(q->slot);
	sd_bus_track_unref(q->caller);
	sd_bus_message_unref(q->request);
	if (q->destroy)
		q->destroy(q->userdata);
	free(q);
	return NULL;
}
APF_DEFINE_CLEANUP(struct question *, question_free);

int polkit_new(sd_bus *bus, struct polkit **ret)
{
	struct polkit *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	TAILQ_INIT(&p->questions);
	p->bus = sd_bus_ref(bus);
	*ret = p;
	return 0;
}

struct polkit *polkit_free(struct polkit *p)
{
	if (!p)
		return NULL;
	while (!TAILQ_EMPTY(&p->questions))
		question_free(TAILQ_FIRST(&p->questions));
	sd_bus_unref(p->bus);
	free(p);
	return NULL;
}

/* The caller left: nobody is there to be asked for a password, or to be answered. */
static int on_caller_gone(sd_bus_track *track, void *userdata)
{
	struct question *q = userdata;
	char id[32];

	log_debug("Caller %s left before its permission came",
		  sd_bus_message_get_sender(q->request));
	if (q->asked) {
		snprintf(id, sizeof(id), "apfd-%" PRIu64, q->id);
		(void)sd_bus_call_method_async(q->polkit->bus, NULL, POLKIT_NAME, POLKIT_PATH,
					       POLKIT_INTERFACE, "CancelCheckAuthorization", NULL,
					       NULL, "s", id);
	}
	question_free(q);
	return 0;
}

static void finish(struct question *q, int r, sd_bus_error *error)
{
	if (r < 0 || sd_bus_error_is_set(error)) {
		r = sd_bus_error_is_set(error) ? sd_bus_reply_method_error(q->request, error)
					       : sd_bus_reply_method_errno(q->request, r, NULL);
		if (r < 0)
			log_errno(LOG_DEBUG, r, "Cannot reply to %s, ignoring",
				  sd_bus_message_get_sender(q->request));
	}
}

static void allow(struct question *q)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

	finish(q, q->allowed(q->request, q->uid, q->userdata, &error), &error);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(question_freep) struct question *q = userdata;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int authorized, challenge, r;

	if (sd_bus_message_is_method_error(reply, NULL)) {
		const sd_bus_error *e = sd_bus_message_get_error(reply);

		if (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		    sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
			sd_bus_error_set(
				&error, SD_BUS_ERROR_ACCESS_DENIED,
				"polkit is not running, so only the superuser may do this");
		else
			sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED,
					  "polkit gave no permission for %s: %s", q->action,
					  e->message ? e->message : e->name);
		finish(q, -EACCES, &error);
		return 0;
	}

	r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
	if (r >= 0)
		r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
	if (r < 0) {
		sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED,
				  "polkit's answer for %s makes no sense", q->action);
		finish(q, r, &error);
		return 0;
	}
	if (authorized) {
		allow(q);
		return 0;
	}
	if (challenge && sd_bus_message_get_allow_interactive_authorization(q->request) <= 0)
		sd_bus_error_setf(
			&error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
			"polkit must ask for a password for %s, and the caller forbade it",
			q->action);
	else
		sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED,
				  "polkit does not allow the caller %s", q->action);
	finish(q, -EACCES, &error);
	return 0;
}

static int ask(struct question *q)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char id[32];
	int r;

	snprintf(id, sizeof(id), "apfd-%" PRIu64, q->id);
	r = sd_bus_message_new_method_call(q->polkit->bus, &m, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE, "CheckAuthorization");
	if (r < 0)
		return r;
	r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", (unsigned int)1, "name",
				  "s", sd_bus_message_get_sender(q->request), q->action,
				  (unsigned int)0,
				  sd_bus_message_get_allow_interactive_authorization(q->request) > 0
					  ? (uint32_t)POLKIT_FLAG_INTERACTIVE
					  : (uint32_t)0,
				  id);
	if (r < 0)
		return r;
	q->slot = sd_bus_slot_unref(q->slot);
	r = sd_bus_call_async(q->polkit->bus, &q->slot, m, on_answer, q, ANSWER_WAIT_USEC);
	if (r >= 0)
		q->asked = true;
	return r;
}

static size_t count_of_uid(const struct polkit *p, uid_t uid)
{
	const struct question *q;
	size_t n = 0;

	TAILQ_FOREACH(q, &p->questions, list)
		if (q->uid_known && q->uid == uid)
			n++;
	return n;
}

static int on_uid(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(question_freep) struct question *q = userdata;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	uint32_t uid;
	int r;

	if (sd_bus_message_is_method_error(reply, NULL) ||
	    sd_bus_message_read(reply, "u", &uid) < 0) {
		sd_bus_error_set(&error, SD_BUS_ERROR_ACCESS_DENIED,
				 "The bus does not say who the caller is");
		finish(q, -EACCES, &error);
		return 0;
	}
	q->uid = uid;
	q->uid_known = true;
	if (uid == 0) {
		allow(q);
		return 0;
	}
	if (count_of_uid(q->polkit, uid) > QUESTIONS_PER_UID_MAX) {
		sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED,
				  "More than %d requests of user %u wait for their permission",
				  QUESTIONS_PER_UID_MAX, uid);
		finish(q, -EACCES, &error);
		return 0;
	}
	r = ask(q);
	if (r < 0) {
		finish(q, r, &error);
		return 0;
	}
	/* on_answer() or on_caller_gone() goes on. */
	TAKE_PTR(q);
	return 0;
}

int polkit_check(struct polkit *p, sd_bus_message *request, const char *action,
		 polkit_allowed_fn allowed, void *userdata, void (*destroy)(void *userdata),
		 sd_bus_error *error)
{
	_cleanup_(question_freep) struct question *q = NULL;
	const char *sender = sd_bus_message_get_sender(request);
	int r;

	if (!sender || p->n_questions >= QUESTIONS_MAX) {
		if (destroy)
			destroy(userdata);
		if (!sender)
			return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
						"The caller has no name");
		return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
					"Too many requests wait for their permission");
	}
	q = calloc(1, sizeof(*q));
	if (!q) {
		if (destroy)
			destroy(userdata);
		return -ENOMEM;
	}
	q->polkit = p;
	q->id = ++p->last_id;
	q->request = sd_bus_message_ref(request);
	q->action = action;
	q->allowed = allowed;
	q->userdata = userdata;
	q->destroy = destroy;
	TAILQ_INSERT_TAIL(&p->questions, q, list);
	p->n_questions++;

	r = sd_bus_track_new(p->bus, &q->caller, on_caller_gone, q);
	if (r < 0)
		return r;
	r = sd_bus_track_add_sender(q->caller, request);
	if (r < 0)
		return r;
	r = sd_bus_call_method_async(p->bus, &q->slot, "org.freedesktop.DBus",
				     "/org/freedesktop/DBus", "org.freedesktop.DBus",
				     "GetConnectionUnixUser", on_uid, q, "s", sender);
	if (r < 0)
		return r;
	TAKE_PTR(q);
	return 1;
}
