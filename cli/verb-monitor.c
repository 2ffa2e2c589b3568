// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "bus.h"
#include "event.h"
#include "verb.h"
#include "watch.h"

/**
 * struct monitor - a running "monitor"
 * @n_told: events printed so far
 */
struct monitor {
	struct apfctl *ctl;
	sd_event *event;
	uint64_t n_told;
};

static bool is_done(const struct monitor *monitor)
{
	return monitor->ctl->count > 0 && monitor->n_told >= monitor->ctl->count;
}

static int on_told(const struct event *event, void *userdata)
{
	struct monitor *monitor = userdata;
	int status;

	/* One message can hold more events than are wanted. */
	if (is_done(monitor))
		return APFCTL_OK;
	status = event_print(monitor->ctl, event);
	monitor->n_told++;
	if (is_done(monitor))
		sd_event_exit(monitor->event, 0);
	return status;
}

static void on_ended(void *userdata)
{
	struct monitor *monitor = userdata;

	sd_event_exit(monitor->event, 0);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* Nobody reads any more: not to be learnt only when the next event is written. */
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
	/* A file never hangs up. */
	if (r == -EPERM)
		r = 0;
	if (r >= 0)
		r = sd_bus_attach_event(monitor->ctl->bus, monitor->event, 0);
	return r;
}

int verb_monitor(struct apfctl *ctl)
{
	struct monitor monitor = { .ctl = ctl };
	_cleanup_(watch_clear) struct watch watch = {
		.ctl = ctl,
		.told = on_told,
		.ended = on_ended,
		.userdata = &monitor,
	};
	int r, status;

	status = bus_open(ctl);
	if (status != APFCTL_OK)
		return status;
	status = watch_start(&watch);
	if (status != APFCTL_OK)
		return status;
	r = prepare_loop(&monitor);
	if (r >= 0)
		r = sd_event_loop(monitor.event);
	sd_bus_detach_event(ctl->bus);
	sd_event_unref(monitor.event);
	if (r < 0 && watch.status == APFCTL_OK)
		return apfctl_fail(APFCTL_FAILED, "monitor: %s", strerror(-r));
	return watch.status;
}
