// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "bus.h"
#include "event-print.h"
#include "event.h"
#include "monitor-held.h"
#include "select.h"
#include "verb.h"
#include "watch.h"

/**
 * struct monitor - a running "monitor"
 * @filter: the VMs whose events are printed
 * @held: decisions that wait for their change
 * @timer: for the oldest of them
 * @n_printed: events printed so far
 */
struct monitor {
	struct apfctl *ctl;
	sd_event *event;
	struct vm_filter filter;
	struct held held;
	sd_event_source *timer;
	uint64_t n_printed;
};

static bool is_done(const struct monitor *monitor)
{
	return monitor->ctl->count > 0 && monitor->n_printed >= monitor->ctl->count;
}

static int print(struct monitor *monitor, const struct event *event)
{
	int status;

	/* One message can hold more events than are wanted. */
	if (is_done(monitor))
		return STATUS_OK;
	status = event_print(&monitor->ctl->term, monitor->ctl->json, event);
	monitor->n_printed++;
	if (is_done(monitor))
		sd_event_exit(monitor->event, 0);
	return status;
}

/* Events of the host are for everyone. */
static bool is_wanted(const struct monitor *monitor, const struct event *event)
{
	_cleanup_free_ char *path = NULL;

	if (monitor->ctl->events && !event_is_in(event, monitor->ctl->events))
		return false;
	if (!event->uuid)
		return true;
	if (asprintf(&path, BUS_PATH_VM "/%s", event->uuid) < 0)
		return false;
	for (char *p = path; *p; p++)
		if (*p == '-')
			*p = '_';
	return vm_filter_accepts(&monitor->filter, path,
				 event->name[0] != '\0' ? event->name : event->uuid);
}

/* Prints the decisions received until @until_usec: their gates did not change. */
static int print_held(struct monitor *monitor, uint64_t until_usec)
{
	struct event decision;
	int status = STATUS_OK;

	while (status == STATUS_OK && held_take(&monitor->held, until_usec, &decision)) {
		status = print(monitor, &decision);
		held_free_event(&decision);
	}
	return status;
}

static int start_timer(struct monitor *monitor)
{
	int r;

	if (monitor->held.n == 0)
		return 0;
	r = sd_event_source_set_time_relative(monitor->timer, HELD_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(monitor->timer, SD_EVENT_ONESHOT);
}

/* For people, an automatic change is one line. */
static int print_merged(struct monitor *monitor, const struct event *event)
{
	int status;

	switch (event->kind) {
	case EVENT_DECIDED:
		if (event->dry_run || held_add(&monitor->held, event) < 0)
			break;
		if (monitor->held.n == 1 && start_timer(monitor) < 0)
			return status_fail(STATUS_FAILED, "monitor: cannot set a timer");
		return STATUS_OK;
	case EVENT_GATE_CHANGING:
		return STATUS_OK;
	case EVENT_GATE_CHANGED:
		held_remove(&monitor->held, event);
		if (held_is_repetition(event))
			return STATUS_OK;
		break;
	case EVENT_APFD_STOPPED:
		status = print_held(monitor, UINT64_MAX);
		if (status != STATUS_OK)
			return status;
		break;
	default:
		break;
	}
	return print(monitor, event);
}

static int on_event(const struct event *event, void *userdata)
{
	struct monitor *monitor = userdata;

	if (!is_wanted(monitor, event))
		return STATUS_OK;
	/* Programs get every event, and a user who names events gets these events. */
	if (monitor->ctl->json || monitor->ctl->events)
		return print(monitor, event);
	return print_merged(monitor, event);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct monitor *monitor = userdata;
	struct timespec now = {};
	uint64_t now_usec;

	clock_gettime(CLOCK_REALTIME, &now);
	now_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	/* Within a tenth of the time, so that decisions made together are printed together. */
	if (print_held(monitor, now_usec - HELD_USEC + HELD_USEC / 10) != STATUS_OK)
		return sd_event_exit(monitor->event, STATUS_FAILED);
	return start_timer(monitor);
}

static void on_end(void *userdata)
{
	struct monitor *monitor = userdata;

	sd_event_exit(monitor->event, 0);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* The reader of the pipe is gone: end now, not at the next event. */
static int on_hangup(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int prepare_loop(struct monitor *monitor)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);

	r = sd_event_new(&monitor->event);
	if (r >= 0)
		r = sd_event_add_signal(monitor->event, NULL, SIGINT, on_stop, NULL);
	if (r >= 0)
		r = sd_event_add_signal(monitor->event, NULL, SIGTERM, on_stop, NULL);
	if (r >= 0)
		r = sd_event_add_io(monitor->event, NULL, STDOUT_FILENO, 0, on_hangup, NULL);
	/* epoll refuses a regular file, which cannot hang up. */
	if (r == -EPERM)
		r = 0;
	if (r >= 0)
		r = sd_event_add_time_relative(monitor->event, &monitor->timer, CLOCK_MONOTONIC,
					       HELD_USEC, HELD_USEC / 100, on_timer, monitor);
	if (r >= 0)
		r = sd_event_source_set_enabled(monitor->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_bus_attach_event(monitor->ctl->client.bus, monitor->event, 0);
	return r;
}

static int run(struct monitor *monitor, struct watch *watch)
{
	int r, status;

	status = watch_start(watch);
	if (status != STATUS_OK)
		return status;
	r = prepare_loop(monitor);
	if (r >= 0)
		r = sd_event_loop(monitor->event);
	if (r < 0 && watch->status == STATUS_OK)
		return status_fail(STATUS_FAILED, "monitor: %s", strerror(-r));
	if (watch->status != STATUS_OK || r > 0)
		return watch->status ?: r;
	return print_held(monitor, UINT64_MAX);
}

int verb_monitor(struct apfctl *ctl)
{
	struct monitor monitor = { .ctl = ctl };
	_cleanup_(watch_clear) struct watch watch = {
		.client = &ctl->client,
		.on_event = on_event,
		.on_end = on_end,
		.userdata = &monitor,
	};
	int status;

	status = bus_open(&ctl->client);
	if (status == STATUS_OK)
		status = vm_filter_find(ctl, &monitor.filter);
	/* A pattern may match a VM that starts later. */
	if (monitor.filter.n_patterns == 0) {
		watch.paths = monitor.filter.paths;
		watch.n_paths = monitor.filter.n_paths;
	}
	if (status == STATUS_OK)
		status = run(&monitor, &watch);
	if (ctl->client.bus)
		sd_bus_detach_event(ctl->client.bus);
	sd_event_source_unref(monitor.timer);
	sd_event_unref(monitor.event);
	held_clear(&monitor.held);
	vm_filter_clear(&monitor.filter);
	return status;
}
