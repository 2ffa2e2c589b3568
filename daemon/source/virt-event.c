/* SPDX-License-Identifier: GPL-2.0 */
#include "virt-event.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#include "log.h"

/* Timers of libvirt run for seconds, so they need no better accuracy. */
#define TIMEOUT_ACCURACY_USEC (1 * USEC_PER_MSEC)

/**
 * struct entry - one handle or timeout of libvirt
 * @id: the number that libvirt uses for the entry; no number is used twice
 * @fd: our own duplicate of a handle's descriptor, -1 for a timeout. On its own
 *	thread, libvirt closes its descriptor right after it removes the handle,
 *	before the loop handles the removal. If another file got the same number
 *	by then, the loop would remove that file from epoll.
 * @libvirt_fd: libvirt's own descriptor, an argument of @handle_cb
 * @events: wanted VIR_EVENT_HANDLE_* bits; 0 means none
 * @interval_msec: period of a timeout; -1 is off, 0 is each turn of the loop
 * @handle_cb: callback of a handle
 * @timeout_cb: callback of a timeout
 * @opaque: argument of the callback
 * @free_cb: called once, on the loop's thread, after removal and outside of
 *	every call of libvirt: it may take locks that the remover holds
 * @source: used by the loop's thread only, NULL until the entry is applied
 * @removed: libvirt removed the entry; the loop frees it later, together with @source
 * @dirty: the loop must apply the entry
 *
 * All fields but @source are guarded by the mutex.
 */
struct entry {
	LIST_ENTRY(entry) list;
	struct virt_event *ve;
	int id;
	int fd;
	int libvirt_fd;
	int events;
	int interval_msec;
	virEventHandleCallback handle_cb;
	virEventTimeoutCallback timeout_cb;
	void *opaque;
	virFreeCallback free_cb;
	sd_event_source *source;
	bool removed;
	bool dirty;
};

LIST_HEAD(entry_list, entry);

struct virt_event {
	sd_event *event;
	sd_event_source *wake_source;
	struct entry_list entries;
};

/* Guards @instance, @next_id and the list of entries. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct virt_event *instance;
static int next_id = 1;
/* Never closed: a late write of a libvirt thread must not reach another file. */
static int wake_fd = -1;

static void wake(void)
{
	/* This fails only if the counter is full, and then the loop is awake already. */
	(void)eventfd_write(wake_fd, 1);
}

static uint32_t events_to_epoll(int events)
{
	return (events & VIR_EVENT_HANDLE_READABLE ? EPOLLIN : 0u) |
	       (events & VIR_EVENT_HANDLE_WRITABLE ? EPOLLOUT : 0u);
}

static int events_from_epoll(uint32_t revents)
{
	return (revents & EPOLLIN ? VIR_EVENT_HANDLE_READABLE : 0) |
	       (revents & EPOLLOUT ? VIR_EVENT_HANDLE_WRITABLE : 0) |
	       (revents & EPOLLERR ? VIR_EVENT_HANDLE_ERROR : 0) |
	       (revents & EPOLLHUP ? VIR_EVENT_HANDLE_HANGUP : 0);
}

static int on_handle(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct entry *e = userdata;
	int id, events, libvirt_fd;

	pthread_mutex_lock(&lock);
	id = e->id;
	/* Do not report events that libvirt no longer wants; always report errors. */
	events = events_from_epoll(revents) &
		 (e->events | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP);
	if (e->removed || e->events == 0)
		events = 0;
	libvirt_fd = e->libvirt_fd;
	pthread_mutex_unlock(&lock);

	/* The callback may remove the entry; a later turn of the loop frees it. */
	if (events)
		e->handle_cb(id, libvirt_fd, events, e->opaque);
	return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct entry *e = userdata;
	bool run;
	int id;

	pthread_mutex_lock(&lock);
	id = e->id;
	run = !e->removed && e->interval_msec >= 0;
	/* Mark the timer for a restart before the callback, which may change the interval. */
	e->dirty = run;
	pthread_mutex_unlock(&lock);

	if (run) {
		e->timeout_cb(id, e->opaque);
		wake();
	}
	return 0;
}

static int apply_handle(struct entry *e)
{
	int r;

	if (!e->source) {
		r = sd_event_add_io(e->ve->event, &e->source, e->fd, events_to_epoll(e->events),
				    on_handle, e);
		if (r < 0)
			return r;
		(void)sd_event_source_set_description(e->source, "libvirt-handle");
	}
	r = sd_event_source_set_io_events(e->source, events_to_epoll(e->events));
	if (r < 0)
		return r;
	/* epoll reports hang-ups even if no events are wanted: switch such a handle off. */
	return sd_event_source_set_enabled(e->source, e->events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int apply_timeout(struct entry *e)
{
	uint64_t interval_usec;
	int r;

	if (e->interval_msec < 0)
		return e->source ? sd_event_source_set_enabled(e->source, SD_EVENT_OFF) : 0;

	interval_usec = (uint64_t)e->interval_msec * USEC_PER_MSEC;
	if (!e->source) {
		r = sd_event_add_time_relative(e->ve->event, &e->source, CLOCK_MONOTONIC,
					       interval_usec, TIMEOUT_ACCURACY_USEC, on_timeout, e);
		if (r >= 0)
			(void)sd_event_source_set_description(e->source, "libvirt-timeout");
		return r;
	}
	r = sd_event_source_set_time_relative(e->source, interval_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(e->source, SD_EVENT_ONESHOT);
}

static void entry_drop(struct entry *e)
{
	sd_event_source_disable_unref(e->source);
	safe_close(e->fd);
	if (e->free_cb)
		e->free_cb(e->opaque);
	free(e);
}

void virt_event_drain(struct virt_event *ve)
{
	struct entry_list removed = LIST_HEAD_INITIALIZER(removed);
	struct entry *e, *next;
	int r;

	pthread_mutex_lock(&lock);
	for (e = LIST_FIRST(&ve->entries); e; e = next) {
		next = LIST_NEXT(e, list);
		if (e->removed) {
			LIST_REMOVE(e, list);
			LIST_INSERT_HEAD(&removed, e, list);
		} else if (e->dirty) {
			e->dirty = false;
			r = e->handle_cb ? apply_handle(e) : apply_timeout(e);
			if (r < 0)
				log_errno(LOG_ERR, r,
					  "Cannot watch a descriptor or timer of libvirt, "
					  "its connection will not work");
		}
	}
	pthread_mutex_unlock(&lock);

	while ((e = LIST_FIRST(&removed))) {
		LIST_REMOVE(e, list);
		entry_drop(e);
	}
}

static int on_wake(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	eventfd_t count;

	(void)eventfd_read(fd, &count);
	virt_event_drain(userdata);
	return 0;
}

static int entry_add(const struct entry *template, int fd)
{
	struct entry *e = malloc(sizeof(*e));
	int id = -1;

	if (!e)
		goto fail;
	*e = *template;
	e->dirty = true;

	pthread_mutex_lock(&lock);
	if (instance && next_id < INT32_MAX) {
		id = e->id = next_id++;
		e->ve = instance;
		LIST_INSERT_HEAD(&instance->entries, e, list);
	}
	pthread_mutex_unlock(&lock);
	if (id < 0)
		goto fail;
	wake();
	return id;

fail:
	/* libvirt still owns @opaque if the registration failed. */
	free(e);
	safe_close(fd);
	return -1;
}

/* Caller holds the mutex. */
static struct entry *entry_find(int id, bool handle)
{
	struct entry *e;

	if (!instance)
		return NULL;
	LIST_FOREACH(e, &instance->entries, list)
		if (e->id == id && !e->removed && !!e->handle_cb == handle)
			return e;
	return NULL;
}

static int entry_remove(int id, bool handle)
{
	struct entry *e;

	pthread_mutex_lock(&lock);
	e = entry_find(id, handle);
	if (e)
		e->removed = true;
	pthread_mutex_unlock(&lock);
	if (!e)
		return -1;
	wake();
	return 0;
}

static int add_handle(int fd, int events, virEventHandleCallback cb, void *opaque,
		      virFreeCallback free_cb)
{
	struct entry e = {
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3),
		.libvirt_fd = fd,
		.events = events,
		.handle_cb = cb,
		.opaque = opaque,
		.free_cb = free_cb,
	};

	if (e.fd < 0)
		return -1;
	return entry_add(&e, e.fd);
}

static int add_timeout(int interval_msec, virEventTimeoutCallback cb, void *opaque,
		       virFreeCallback free_cb)
{
	struct entry e = {
		.fd = -1,
		.interval_msec = interval_msec,
		.timeout_cb = cb,
		.opaque = opaque,
		.free_cb = free_cb,
	};

	return entry_add(&e, -1);
}

static void update_handle(int id, int events)
{
	struct entry *e;

	pthread_mutex_lock(&lock);
	e = entry_find(id, true);
	if (e) {
		e->events = events;
		e->dirty = true;
	}
	pthread_mutex_unlock(&lock);
	if (e)
		wake();
}

static void update_timeout(int id, int interval_msec)
{
	struct entry *e;

	pthread_mutex_lock(&lock);
	e = entry_find(id, false);
	if (e) {
		e->interval_msec = interval_msec;
		e->dirty = true;
	}
	pthread_mutex_unlock(&lock);
	if (e)
		wake();
}

static int remove_handle(int id)
{
	return entry_remove(id, true);
}

static int remove_timeout(int id)
{
	return entry_remove(id, false);
}

static void register_once(void)
{
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	virEventRegisterImpl(add_handle, update_handle, remove_handle, add_timeout, update_timeout,
			     remove_timeout);
}

int virt_event_new(sd_event *event, struct virt_event **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	_cleanup_(virt_event_freep) struct virt_event *ve = NULL;
	int r;

	pthread_once(&once, register_once);
	if (wake_fd < 0)
		return -EMFILE;

	ve = calloc(1, sizeof(*ve));
	if (!ve)
		return -ENOMEM;
	LIST_INIT(&ve->entries);
	ve->event = sd_event_ref(event);

	pthread_mutex_lock(&lock);
	r = instance ? -EBUSY : 0;
	if (r >= 0)
		instance = ve;
	pthread_mutex_unlock(&lock);
	if (r < 0)
		return r;

	r = sd_event_add_io(event, &ve->wake_source, wake_fd, EPOLLIN, on_wake, ve);
	if (r < 0)
		return r;
	/* Apply changes before other events, so that a removed handle is not called again. */
	r = sd_event_source_set_priority(ve->wake_source, SD_EVENT_PRIORITY_IMPORTANT);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(ve->wake_source, "libvirt-wake");
	*ret = TAKE_PTR(ve);
	return 0;
}

struct virt_event *virt_event_free(struct virt_event *ve)
{
	struct entry *e;

	if (!ve)
		return NULL;

	pthread_mutex_lock(&lock);
	if (instance == ve)
		instance = NULL;
	pthread_mutex_unlock(&lock);

	/* Without an instance, no other thread can reach the entries. */
	while ((e = LIST_FIRST(&ve->entries))) {
		LIST_REMOVE(e, list);
		entry_drop(e);
	}
	sd_event_source_disable_unref(ve->wake_source);
	sd_event_unref(ve->event);
	free(ve);
	return NULL;
}
