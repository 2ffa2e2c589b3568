/* SPDX-License-Identifier: GPL-2.0 */
#include "polkit.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/queue.h>

#include "log.h"

#define POLKIT_NAME	 "org.freedesktop.PolicyKit1"
#define POLKIT_PATH	 "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

/* A user may have to enter a password. */
#define ANSWER_WAIT_USEC (300 * USEC_PER_SEC)

enum {
	POLKIT_FLAG_INTERACTIVE = 1, /* AllowUserInteraction */
	QUESTIONS_MAX = 128,
	QUESTIONS_PER_UID_MAX = 16, /* so that one user cannot block the others */
};

/**
 * struct question - a method call that waits for polkit
 * @check: the call to polkit, made before the details are gone, sent when the user is known
 * @slot: the pending call to the bus driver or to polkit
 * @caller: notifies us when the caller leaves the bus
 * @asked: polkit is checking the call, with the cancellation id "apfd-@id"
 */
struct question {
	TAILQ_ENTRY(question) list;
	struct polkit *polkit;
	uint64_t id;
	sd_bus_message *request;
	sd_bus_message *check;
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
	sd_bus_message_unref(q->check);
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

/* The caller left the bus, so polkit must not ask for a password any more. */
static int on_caller_gone(sd_bus_track *track, void *userdata)
{
	struct question *q = userdata;
	char id[32];

	log_debug("Caller %s left before polkit answered", sd_bus_message_get_sender(q->request));
	if (q->asked) {
		snprintf(id, sizeof(id), "apfd-%" PRIu64, q->id);
		(void)sd_bus_call_method_async(q->polkit->bus, NULL, POLKIT_NAME, POLKIT_PATH,
					       POLKIT_INTERFACE, "CancelCheckAuthorization", NULL,
					       NULL, "s", id);
	}
	question_free(q);
	return 0;
}

static void reply_if_failed(struct question *q, int r, sd_bus_error *error)
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

	reply_if_failed(q, q->allowed(q->request, q->uid, q->userdata, &error), &error);
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
					  "polkit cannot check the permission for %s: %s",
					  q->action, e->message ? e->message : e->name);
		reply_if_failed(q, -EACCES, &error);
		return 0;
	}

	r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
	if (r >= 0)
		r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
	if (r < 0) {
		sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED,
				  "polkit sent an invalid answer for %s", q->action);
		reply_if_failed(q, r, &error);
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
				  "polkit does not give the caller permission for %s", q->action);
	reply_if_failed(q, -EACCES, &error);
	return 0;
}

/* Prepares the call to polkit. */
static int new_check(struct question *q, const struct polkit_detail *details)
{
	bool interactive = sd_bus_message_get_allow_interactive_authorization(q->request) > 0;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char id[32];
	int r;

	snprintf(id, sizeof(id), "apfd-%" PRIu64, q->id);
	r = sd_bus_message_new_method_call(q->polkit->bus, &m, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_INTERFACE, "CheckAuthorization");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1U, "name", "s",
					  sd_bus_message_get_sender(q->request), q->action);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "{ss}");
	for (; r >= 0 && details->name; details++)
		r = sd_bus_message_append(m, "{ss}", details->name, details->value);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_append(
			m, "us", interactive ? (uint32_t)POLKIT_FLAG_INTERACTIVE : (uint32_t)0, id);
	if (r < 0)
		return r;
	q->check = TAKE_PTR(m);
	return 0;
}

static int ask_polkit(struct question *q)
{
	int r;

	q->slot = sd_bus_slot_unref(q->slot);
	r = sd_bus_call_async(q->polkit->bus, &q->slot, q->check, on_answer, q, ANSWER_WAIT_USEC);
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
				 "The bus does not know the user of the caller");
		reply_if_failed(q, -EACCES, &error);
		return 0;
	}
	q->uid = uid;
	q->uid_known = true;
	if (uid == 0) {
		allow(q);
		return 0;
	}
	if (count_of_uid(q->polkit, uid) > QUESTIONS_PER_UID_MAX) {
		sd_bus_error_setf(&error, SD_BUS_ERROR_LIMITS_EXCEEDED,
				  "More than %d requests of user %u are waiting for polkit",
				  QUESTIONS_PER_UID_MAX, uid);
		reply_if_failed(q, -EACCES, &error);
		return 0;
	}
	r = ask_polkit(q);
	if (r < 0) {
		reply_if_failed(q, r, &error);
		return 0;
	}
	/* on_answer() or on_caller_gone() frees the question. */
	TAKE_PTR(q);
	return 0;
}

int polkit_check(struct polkit *p, sd_bus_message *request, const char *action,
		 const struct polkit_detail *details, polkit_allowed_fn allowed, void *userdata,
		 void (*destroy)(void *userdata), sd_bus_error *error)
{
	_cleanup_(question_freep) struct question *q = NULL;
	const char *sender = sd_bus_message_get_sender(request);
	int r;

	if (!sender || p->n_questions >= QUESTIONS_MAX) {
		if (destroy)
			destroy(userdata);
		if (!sender)
			return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
						"The caller has no bus name");
		return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					"Too many requests are waiting for polkit");
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

	r = new_check(q, details);
	if (r < 0)
		return r;
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
