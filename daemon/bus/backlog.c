/* SPDX-License-Identifier: GPL-2.0 */
#include "backlog.h"

#include <errno.h>

#include "context.h"
#include "log.h"
#include "server.h"
#include "vm.h"

/*
 * Messages in the queue above which no signal is sent. A bus that reads takes thousands of
 * messages a second; the queue is longer than a few only if the bus does not read.
 */
#define QUEUE_MAX 1024

/* Waiting announcements are sent only below this length, so that many fit at once. */
#define QUEUE_LOW (QUEUE_MAX / 2)

/* Above this length, calls get no reply at all: the reply could not be delivered either. */
#define QUEUE_REFUSALS_MAX (4 * QUEUE_MAX)

/* Sixteen clients may request all of 1000 VMs at the same time. */
#define REPLY_BYTES_MAX (64 * 1024 * 1024)

/* Upper bounds, for the estimate of a reply: all properties of a VM, the figures of a vCPU. */
#define VM_BYTES   4096
#define VCPU_BYTES 1024

#define RETRY_USEC (250 * USEC_PER_MSEC)

/* Enough for a bus that reads; the service manager does not wait for one that does not. */
#define DRAIN_USEC (1 * USEC_PER_SEC)

#define WARN_AFTER_USEC (5 * USEC_PER_SEC)

#define LOG_BURST	  1
#define LOG_INTERVAL_USEC (60 * USEC_PER_SEC)

static uint64_t queue_length(const struct server *s)
{
	uint64_t n;

	return sd_bus_get_n_queued_write(s->bus, &n) < 0 ? 0 : n;
}

static bool is_waiting(const struct backlog *b)
{
	return b->n_removed > 0 || b->added || b->groups != 0;
}

/* ---- announcements that wait ---- */

static int send_removed(struct server *s)
{
	struct backlog *b = &s->backlog;
	int r;

	while (b->n_removed > 0) {
		if (queue_length(s) >= QUEUE_MAX)
			return -EAGAIN;
		r = b->ops->send_removed(s, b->removed[b->n_removed - 1]);
		if (r < 0)
			return r;
		free(b->removed[--b->n_removed]);
	}
	return 0;
}

static int send_added(struct server *s)
{
	struct vm *vm;
	int r;

	if (!s->backlog.added)
		return 0;
	REGISTRY_FOREACH(vm, &s->context->vms)
	{
		if (vm->announced)
			continue;
		if (queue_length(s) >= QUEUE_MAX)
			return -EAGAIN;
		r = s->backlog.ops->send_added(s, vm);
		if (r < 0)
			return r;
	}
	s->backlog.added = false;
	return 0;
}

static int send_groups(struct server *s)
{
	int r;

	if (s->backlog.groups == 0)
		return 0;
	r = s->backlog.ops->send_groups(s, s->backlog.groups);
	if (r >= 0)
		s->backlog.groups = 0;
	return r;
}

/* The end of a VM first: another VM with the same UUID may have started since. */
static void send_waiting(struct server *s)
{
	int r;

	r = send_removed(s);
	if (r >= 0)
		r = send_added(s);
	if (r >= 0)
		r = send_groups(s);
	if (r < 0 && r != -EAGAIN)
		log_errno(LOG_DEBUG, r, "Cannot announce changes, trying again");
}

static bool may_log(struct ratelimit *l)
{
	return ratelimit_check(l, LOG_BURST, LOG_INTERVAL_USEC, clock_usec(CLOCK_MONOTONIC)) ==
	       RATELIMIT_PASS;
}

/* Thousands of VMs that start together also fill the queue, but only for a moment. */
static void note_full(struct backlog *b)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);

	if (b->full_usec == 0)
		b->full_usec = now_usec;
	if (now_usec - b->full_usec >= WARN_AFTER_USEC && may_log(&b->warnings))
		log_warning("The bus does not read what apfd sends, because one of its clients does "
			    "not read: changes are announced later, events are only logged");
}

static void note_room(struct backlog *b)
{
	b->full_usec = 0;
	if (b->n_lost == 0 || !may_log(&b->notices))
		return;
	log_warning("The bus reads again; %llu events were not announced",
		    (unsigned long long)b->n_lost);
	b->n_lost = 0;
}

bool backlog_has_room(struct server *s)
{
	struct backlog *b = &s->backlog;
	bool has_room;

	if (!is_waiting(b)) {
		has_room = queue_length(s) < QUEUE_MAX;
	} else {
		if (queue_length(s) < QUEUE_LOW)
			send_waiting(s);
		has_room = !is_waiting(b);
	}
	if (has_room)
		note_room(b);
	else
		note_full(b);
	return has_room;
}

bool backlog_has_room_for_event(struct server *s)
{
	if (backlog_has_room(s))
		return true;
	s->backlog.n_lost++;
	return false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct server *s = userdata;
	int r;

	if (backlog_has_room(s) || !is_waiting(&s->backlog))
		return 0;
	r = sd_event_source_set_time_relative(source, RETRY_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void start_timer(struct server *s)
{
	struct backlog *b = &s->backlog;
	int r;

	if (!b->timer) {
		r = sd_event_add_time_relative(s->context->event, &b->timer, CLOCK_MONOTONIC,
					       RETRY_USEC, 0, on_timer, s);
	} else {
		r = sd_event_source_set_time_relative(b->timer, RETRY_USEC);
		if (r >= 0)
			r = sd_event_source_set_enabled(b->timer, SD_EVENT_ONESHOT);
	}
	if (r < 0)
		log_errno(LOG_ERR, r, "Cannot start the timer for announcements, ignoring");
}

void backlog_add_vms(struct server *s)
{
	s->backlog.added = true;
	start_timer(s);
}

void backlog_add_removed(struct server *s, const char *path)
{
	struct backlog *b = &s->backlog;
	char **removed, *copy = strdup(path);

	removed = copy ? reallocarray(b->removed, b->n_removed + 1, sizeof(*removed)) : NULL;
	if (!removed) {
		free(copy);
		log_oom();
		return;
	}
	removed[b->n_removed++] = copy;
	b->removed = removed;
	start_timer(s);
}

void backlog_add_groups(struct server *s, unsigned int groups)
{
	s->backlog.groups |= groups;
	start_timer(s);
}

/* ---- replies ---- */

/* An upper bound for usual replies to @m. */
static uint64_t estimate_reply(struct server *s, sd_bus_message *m)
{
	const char *path = sd_bus_message_get_path(m);
	char uuid[UUID_LEN + 1];
	const struct vm *vm = NULL;

	if (sd_bus_message_is_method_call(m, NULL, "GetManagedObjects") > 0 ||
	    sd_bus_message_is_method_call(m, NULL, "ListVMs") > 0 ||
	    sd_bus_message_is_method_call(m, NULL, "Introspect") > 0)
		return (uint64_t)(s->context->vms.n + 1) * VM_BYTES;
	if (path && uuid_from_path(path, uuid) >= 0)
		vm = registry_find_by_uuid(&s->context->vms, uuid);
	return VM_BYTES + (vm ? (uint64_t)vm->n_vcpus * VCPU_BYTES : 0);
}

/* Called before sd-bus looks up the object of a call. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct server *s = userdata;
	uint64_t length, bytes;
	uint8_t type;
	int r;

	if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
		return 0;
	if (s->backlog.closing)
		return 1;
	length = queue_length(s);
	bytes = estimate_reply(s, m);
	if (length == 0)
		s->backlog.reply_bytes = 0;
	if (length == 0 ||
	    (length < QUEUE_MAX && s->backlog.reply_bytes + bytes <= REPLY_BYTES_MAX)) {
		s->backlog.reply_bytes += bytes;
		return 0;
	}
	if (may_log(&s->backlog.warnings))
		log_warning("Calls on the bus are refused: too many replies wait for clients that "
			    "do not read");
	if (length >= QUEUE_REFUSALS_MAX)
		return 1;
	r = sd_bus_reply_method_errorf(m, SD_BUS_ERROR_LIMITS_EXCEEDED,
				       "Too many replies of apfd wait for clients that do not "
				       "read; try again");
	return r < 0 ? r : 1;
}

int backlog_open(struct server *s, const struct backlog_ops *ops)
{
	s->backlog.ops = ops;
	return sd_bus_add_filter(s->bus, &s->backlog.filter, on_message, s);
}

/* sd_bus_flush() would wait forever for a bus that does not read. */
void backlog_drain(struct server *s)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), until_usec = now_usec + DRAIN_USEC;
	int r = 0;

	s->backlog.closing = true;
	/* The connection may have failed. */
	if (!s->bus)
		return;
	while (r >= 0 && now_usec < until_usec && queue_length(s) > 0) {
		r = sd_bus_process(s->bus, NULL);
		if (r == 0)
			r = sd_bus_wait(s->bus, until_usec - now_usec);
		if (r == -EINTR)
			r = 0;
		now_usec = clock_usec(CLOCK_MONOTONIC);
	}
	if (queue_length(s) > 0)
		log_warning("The bus does not read: the last messages of apfd are lost");
}

void backlog_done(struct backlog *b)
{
	sd_bus_slot_unref(b->filter);
	sd_event_source_disable_unref(b->timer);
	for (size_t i = 0; i < b->n_removed; i++)
		free(b->removed[i]);
	free(b->removed);
	*b = (struct backlog){};
}
