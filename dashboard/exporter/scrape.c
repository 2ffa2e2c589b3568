// SPDX-License-Identifier: GPL-2.0
#include "scrape.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "names.h"

/*
 * Maximum number of unanswered requests for vCPUs: enough that neither side waits for
 * the other, and few enough not to fill apfd's queue.
 */
#define REQUESTS_MAX 32

/**
 * struct collector - a scrape in progress
 * @next_vm: the VM whose vCPUs are requested next
 * @n_pending: requests not yet answered
 * @is_old: apfd has no ListVMs()
 * @error: the first failure, which ends the scrape
 * @why: error text for @error
 */
struct collector {
	sd_bus *bus;
	uint64_t deadline_usec;
	const struct scrape_options *options;
	struct scrape *scrape;
	size_t next_vm;
	unsigned int n_pending;
	bool is_old;
	int error;
	const char *why;
};

/* struct vcpus_request - a GetVCPUs() call; its reply is stored in @vcpus */
struct vcpus_request {
	struct collector *collector;
	struct vcpu_array *vcpus;
};

static uint64_t now_usec(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int fail(struct collector *c, int error, const char *why)
{
	if (c->error == 0) {
		c->error = error;
		c->why = why;
	}
	return 0;
}

#define LOST "apfd ended, or the bus closed the connection: can it look up our user?"

/* Fails because of an error of the connection. @why: if the connection was not closed. */
static int fail_connection(struct collector *c, int error, const char *why)
{
	/* The bus may close the connection while it is opened, and before or after a call. */
	bool lost = error == -ECONNRESET || error == -EPIPE || error == -ENOTCONN;

	return fail(c, error, lost ? LOST : why);
}

/* Returns true if the call succeeded; otherwise stores the error in @c. */
static bool reply_ok(struct collector *c, sd_bus_message *reply)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	int r = sd_bus_message_get_errno(reply);

	c->n_pending--;
	if (!error)
		return true;
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		fail(c, -EHOSTDOWN, "apfd is not running");
	else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) &&
		 now_usec() < c->deadline_usec)
		fail(c, -ECONNRESET, LOST);
	else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
		 sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT) || r == ETIMEDOUT)
		fail(c, -ETIMEDOUT, "apfd did not answer in time");
	else
		fail(c, r > 0 ? -r : -EIO, "apfd or the bus refused to answer");
	return false;
}

static int check_read(struct collector *c, int r)
{
	if (r == -ENOMEM)
		return fail(c, r, "out of memory");
	if (r < 0)
		return fail(c, r, "apfd sent unexpected data; does it have another version?");
	return 0;
}

static int on_host(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct collector *c = userdata;
	const char *bad;

	if (!reply_ok(c, reply))
		return 0;
	return check_read(c, host_read(reply, &c->scrape->host, &bad));
}

/* A VM without figures for vCPUs is not a failure: it may have ended meanwhile. */
static int on_vcpus(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct vcpus_request *request = userdata;
	struct collector *c = request->collector;
	struct vcpu_array *vcpus = request->vcpus;
	const sd_bus_error *e = sd_bus_message_get_error(reply);
	const char *bad;

	if (e && (sd_bus_error_has_name(e, BUS_ERROR_NO_HOST_MODULE) ||
		  sd_bus_error_has_name(e, BUS_ERROR_NOT_WATCHED) ||
		  sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
		  sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_METHOD))) {
		c->n_pending--;
		return 0;
	}
	if (!reply_ok(c, reply))
		return 0;
	return check_read(c, vcpu_array_read(reply, vcpus, &bad));
}

/* Sends @m; @destroy: frees @userdata, or NULL. */
static int send_call(struct collector *c, sd_bus_message *m, sd_bus_message_handler_t handler,
		     void *userdata, sd_bus_destroy_t destroy)
{
	sd_bus_slot *slot = NULL;
	int r;

	r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0)
		r = sd_bus_call_async(c->bus, &slot, m, handler, userdata,
				      c->options->timeout_usec);
	if (r < 0)
		return r;
	if (destroy)
		(void)sd_bus_slot_set_destroy_callback(slot, destroy);
	(void)sd_bus_slot_set_floating(slot, true);
	sd_bus_slot_unref(slot);
	c->n_pending++;
	return 0;
}

/* Sends a call to apfd; @arg: a string argument or NULL. */
static int call(struct collector *c, const char *path, const char *interface, const char *member,
		const char *arg, sd_bus_message_handler_t handler, void *userdata,
		sd_bus_destroy_t destroy)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(c->bus, &m, BUS_NAME, path, interface, member);
	if (r >= 0 && arg)
		r = sd_bus_message_append_basic(m, 's', arg);
	return r < 0 ? r : send_call(c, m, handler, userdata, destroy);
}

static int on_vms(sd_bus_message *reply, void *userdata, sd_bus_error *error);

static int call_list(struct collector *c)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = bus_new_list(c->bus, c->is_old, &m);
	return r < 0 ? r : send_call(c, m, on_vms, c, NULL);
}

static int on_vms(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct collector *c = userdata;
	const char *bad;
	int r;

	if (!c->is_old && bus_list_is_old(sd_bus_message_get_error(reply))) {
		c->n_pending--;
		c->is_old = true;
		r = call_list(c);
		return r < 0 ? fail_connection(c, r, "cannot call apfd") : 0;
	}
	if (!reply_ok(c, reply))
		return 0;
	return check_read(c, vm_list_read(reply, &c->scrape->vms, &bad));
}

/* Waits until all requests are answered or one fails. @more: sends more requests, or NULL. */
static int wait_for_all(struct collector *c, int (*more)(struct collector *c))
{
	while (c->error == 0) {
		uint64_t now;
		int r = more ? more(c) : 0;

		if (r < 0)
			return fail_connection(c, r, "cannot call apfd");
		if (c->n_pending == 0)
			return 0;
		r = sd_bus_process(c->bus, NULL);
		if (r < 0)
			return fail_connection(c, r, "cannot reach the system bus");
		now = now_usec();
		if (now >= c->deadline_usec)
			return fail(c, -ETIMEDOUT, "apfd did not answer in time");
		if (r > 0)
			continue;
		r = sd_bus_wait(c->bus, c->deadline_usec - now);
		if (r < 0 && r != -EINTR)
			return fail_connection(c, r, "cannot reach the system bus");
	}
	return 0;
}

static int request_vcpus(struct collector *c)
{
	while (c->next_vm < c->scrape->n_vms_shown && c->n_pending < REQUESTS_MAX) {
		size_t i = c->next_vm++;
		char path[sizeof(BUS_PATH_VM "/") + 64];
		struct vcpus_request *request;
		int r;

		if (!c->scrape->vms.vms[i].watched)
			continue;
		if (snprintf(path, sizeof(path), BUS_PATH_VM "/%s", c->scrape->vms.vms[i].uuid) >=
		    (int)sizeof(path))
			return -EBADMSG;
		for (char *p = path; *p; p++)
			*p = *p == '-' ? '_' : *p;
		request = malloc(sizeof(*request));
		if (!request)
			return -ENOMEM;
		*request = (struct vcpus_request){ c, &c->scrape->vcpus[i] };
		r = call(c, path, BUS_INTERFACE_VM, "GetVCPUs", NULL, on_vcpus, request, free);
		if (r < 0) {
			free(request);
			return r;
		}
	}
	return 0;
}

static void collect(struct collector *c)
{
	struct scrape *s = c->scrape;
	int r;

	r = sd_bus_open_system(&c->bus);
	if (r < 0) {
		fail_connection(c, r, "cannot reach the system bus");
		return;
	}
	r = call(c, BUS_PATH_ROOT, "org.freedesktop.DBus.Properties", "GetAll",
		 BUS_INTERFACE_MANAGER, on_host, c, NULL);
	if (r >= 0)
		r = call_list(c);
	if (r < 0) {
		fail_connection(c, r, "cannot call apfd");
		return;
	}
	wait_for_all(c, NULL);
	if (c->error < 0)
		return;

	s->n_vms_shown = s->vms.n < c->options->max_vms ? s->vms.n : c->options->max_vms;
	if (!c->options->vcpus)
		return;
	s->vcpus = calloc(s->n_vms_shown + 1, sizeof(*s->vcpus));
	if (!s->vcpus)
		fail(c, -ENOMEM, "out of memory");
	else
		wait_for_all(c, request_vcpus);
}

int scrape_read(const struct scrape_options *options, struct scrape *ret, const char **ret_why)
{
	uint64_t begin_usec = now_usec();
	struct collector c = {
		.options = options,
		.scrape = ret,
		.deadline_usec = begin_usec + options->timeout_usec,
	};

	collect(&c);
	/* Close without a flush: a flush would block if the bus hangs. */
	sd_bus_close_unref(c.bus);
	ret->took_usec = now_usec() - begin_usec;
	if (c.error < 0)
		*ret_why = c.why;
	return c.error;
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
