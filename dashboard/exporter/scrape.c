// SPDX-License-Identifier: GPL-2.0
#include "scrape.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define BUS_NAME "org.apfd"
/*
 * Requests for vCPUs that are under way at a time: enough that neither side waits
 * for the other, few enough to leave apfd's queue to others, too.
 */
#define WINDOW 32

/**
 * struct look - one scrape under way
 * @next_vm: the VM whose vCPUs are asked for next
 * @n_pending: requests not yet answered
 * @error: the first failure, which ends it
 */
struct look {
	sd_bus *bus;
	uint64_t deadline_usec;
	const struct scrape_options *options;
	struct scrape *scrape;
	size_t next_vm;
	unsigned int n_pending;
	int error;
	const char *why;
};

/* struct vcpus_request - whose vCPUs an answer is about */
struct vcpus_request {
	struct look *look;
	struct vcpu_array *vcpus;
};

static uint64_t now_usec(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int fail(struct look *l, int error, const char *why)
{
	if (l->error == 0) {
		l->error = error;
		l->why = why;
	}
	return 0;
}

/* Whether @reply is an answer; if not, the look has failed. */
static bool is_answer(struct look *l, sd_bus_message *reply)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	int r = sd_bus_message_get_errno(reply);

	l->n_pending--;
	if (!error)
		return true;
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		fail(l, -EHOSTDOWN, "apfd is not running");
	else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) &&
		 now_usec() < l->deadline_usec)
		fail(l, -ECONNRESET, "apfd ended, or the bus hung up: can it look up our user?");
	else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
		 sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT) || r == ETIMEDOUT)
		fail(l, -ETIMEDOUT, "apfd did not answer in time");
	else
		fail(l, r > 0 ? -r : -EIO, "apfd or the bus refused to answer");
	return false;
}

static int check_read(struct look *l, int r)
{
	if (r == -ENOMEM)
		return fail(l, r, "out of memory");
	if (r < 0)
		return fail(l, r, "apfd does not tell what is expected; is it of another version?");
	return 0;
}

static int on_host(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct look *l = userdata;
	const char *bad;

	if (!is_answer(l, reply))
		return 0;
	return check_read(l, host_read(reply, &l->scrape->host, &bad));
}

static int on_vms(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct look *l = userdata;
	const char *bad;

	if (!is_answer(l, reply))
		return 0;
	return check_read(l, vm_list_read(reply, &l->scrape->vms, &bad));
}

/* A VM without vCPUs to tell of is no failure: it may have ended by now. */
static int on_vcpus(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct vcpus_request *request = userdata;
	struct look *l = request->look;
	struct vcpu_array *vcpus = request->vcpus;
	const sd_bus_error *e = sd_bus_message_get_error(reply);
	const char *bad;

	if (e && (sd_bus_error_has_name(e, "org.apfd.Error.NoHostModule") ||
		  sd_bus_error_has_name(e, "org.apfd.Error.NotWatched") ||
		  sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
		  sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_METHOD))) {
		l->n_pending--;
		return 0;
	}
	if (!is_answer(l, reply))
		return 0;
	return check_read(l, vcpu_array_read(reply, vcpus, &bad));
}

/* Calls apfd with at most one string; @slot NULL: the call lives as long as the bus. */
static int call(struct look *l, const char *path, const char *interface, const char *member,
		const char *arg, sd_bus_message_handler_t handler, void *userdata,
		sd_bus_destroy_t destroy)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	sd_bus_slot *slot = NULL;
	int r;

	r = sd_bus_message_new_method_call(l->bus, &m, BUS_NAME, path, interface, member);
	if (r < 0)
		return r;
	r = sd_bus_message_set_auto_start(m, false);
	if (r < 0)
		return r;
	if (arg) {
		r = sd_bus_message_append_basic(m, 's', arg);
		if (r < 0)
			return r;
	}
	r = sd_bus_call_async(l->bus, &slot, m, handler, userdata, l->options->timeout_usec);
	if (r < 0)
		return r;
	if (destroy)
		(void)sd_bus_slot_set_destroy_callback(slot, destroy);
	(void)sd_bus_slot_set_floating(slot, true);
	sd_bus_slot_unref(slot);
	l->n_pending++;
	return 0;
}

/* Waits until all is answered or one thing failed. @more: asks for the next, may be NULL. */
static int wait_for_all(struct look *l, int (*more)(struct look *l))
{
	while (l->error == 0) {
		uint64_t now;
		int r = more ? more(l) : 0;

		if (r < 0)
			return fail(l, r, "cannot ask apfd");
		if (l->n_pending == 0)
			return 0;
		r = sd_bus_process(l->bus, NULL);
		if (r < 0)
			return fail(l, r, "cannot reach the system bus");
		now = now_usec();
		if (now >= l->deadline_usec)
			return fail(l, -ETIMEDOUT, "apfd did not answer in time");
		if (r > 0)
			continue;
		r = sd_bus_wait(l->bus, l->deadline_usec - now);
		if (r < 0 && r != -EINTR)
			return fail(l, r, "cannot reach the system bus");
	}
	return 0;
}

static int ask_for_vcpus(struct look *l)
{
	while (l->next_vm < l->scrape->n_vms_shown && l->n_pending < WINDOW) {
		size_t i = l->next_vm++;
		char path[sizeof("/org/apfd/vm/") + 64];
		struct vcpus_request *request;
		int r;

		if (!l->scrape->vms.vms[i].watched)
			continue;
		if (snprintf(path, sizeof(path), "/org/apfd/vm/%s", l->scrape->vms.vms[i].uuid) >=
		    (int)sizeof(path))
			return -EBADMSG;
		for (char *c = path; *c; c++)
			*c = *c == '-' ? '_' : *c;
		request = malloc(sizeof(*request));
		if (!request)
			return -ENOMEM;
		*request = (struct vcpus_request){ l, &l->scrape->vcpus[i] };
		r = call(l, path, "org.apfd.VM1", "GetVCPUs", NULL, on_vcpus, request, free);
		if (r < 0) {
			free(request);
			return r;
		}
	}
	return 0;
}

static void look(struct look *l)
{
	struct scrape *s = l->scrape;
	int r;

	r = sd_bus_open_system(&l->bus);
	if (r < 0) {
		fail(l, r, "cannot reach the system bus");
		return;
	}
	r = call(l, "/org/apfd", "org.freedesktop.DBus.Properties", "GetAll", "org.apfd.Manager1",
		 on_host, l, NULL);
	if (r >= 0)
		r = call(l, "/org/apfd", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects",
			 NULL, on_vms, l, NULL);
	if (r < 0) {
		fail(l, r, "cannot ask apfd");
		return;
	}
	wait_for_all(l, NULL);
	if (l->error < 0)
		return;

	s->n_vms_shown = s->vms.n < l->options->max_vms ? s->vms.n : l->options->max_vms;
	if (!l->options->vcpus)
		return;
	s->vcpus = calloc(s->n_vms_shown + 1, sizeof(*s->vcpus));
	if (!s->vcpus)
		fail(l, -ENOMEM, "out of memory");
	else
		wait_for_all(l, ask_for_vcpus);
}

int scrape_read(const struct scrape_options *options, struct scrape *ret, const char **ret_why)
{
	uint64_t begin_usec = now_usec();
	struct look l = {
		.options = options,
		.scrape = ret,
		.deadline_usec = begin_usec + options->timeout_usec,
	};

	look(&l);
	/* Not flushed: a bus that hangs would keep us. */
	sd_bus_close_unref(l.bus);
	ret->took_usec = now_usec() - begin_usec;
	if (l.error < 0)
		*ret_why = l.why;
	return l.error;
}

void scrape_clear(struct scrape *scrape)
{
	host_clear(&scrape->host);
	for (size_t i = 0; scrape->vcpus && i < scrape->n_vms_shown; i++)
		vcpu_array_clear(&scrape->vcpus[i]);
	free(scrape->vcpus);
	vm_list_clear(&scrape->vms);
	*scrape = (struct scrape){};
}
