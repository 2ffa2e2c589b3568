// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bus.h"
#include "top.h"
#include "verb.h"

/**
 * struct top - a running "top"
 * @n_shown: looks shown so far
 * @sample: the last of them
 * @status: exit status to end with
 */
struct top {
	struct apfctl *ctl;
	uint64_t n_shown;
	struct top_sample sample;
	int status;
};

/* One look: read, order, show. Returns an exit status. */
static int look(struct top *top)
{
	struct timespec now = {};
	int status;

	vm_list_clear(&top->sample.vms);
	status = bus_read_vms(top->ctl, &top->sample.vms);
	if (status != APFCTL_OK)
		return status;
	top_sort(&top->sample.vms, TOP_STALLED, false);
	clock_gettime(CLOCK_REALTIME, &now);
	top->sample.now_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;

	status = top->ctl->json ? top_print_json(top->ctl, &top->sample)
				: top_print_table(top->ctl, &top->sample);
	/* A reader at the other end of a pipe wants each look when it was made. */
	if (status == APFCTL_OK && fflush(stdout) != 0)
		status = apfctl_fail(APFCTL_FAILED, "cannot write: %m");
	top->n_shown++;
	return status;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct top *top = userdata;
	uint64_t now_usec, next_usec = usec + top->ctl->interval_usec;
	int r;

	top->status = look(top);
	if (top->status != APFCTL_OK || (top->ctl->count > 0 && top->n_shown >= top->ctl->count))
		return sd_event_exit(sd_event_source_get_event(source), 0);

	/* After a suspend the looks missed are not made up for. */
	r = sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now_usec);
	if (r >= 0 && next_usec < now_usec)
		next_usec = now_usec + top->ctl->interval_usec;
	r = sd_event_source_set_time(source, next_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return sigprocmask(SIG_BLOCK, &set, NULL);
}

static int run_loop(struct top *top)
{
	_cleanup_(sd_event_source_unrefp) sd_event_source *timer = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	uint64_t now_usec;
	int r;

	r = sd_event_new(&event);
	if (r < 0)
		return r;
	r = sd_event_add_signal(event, NULL, SIGINT, on_stop, top);
	if (r < 0)
		return r;
	r = sd_event_add_signal(event, NULL, SIGTERM, on_stop, top);
	if (r < 0)
		return r;
	r = sd_event_now(event, CLOCK_MONOTONIC, &now_usec);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &timer, CLOCK_MONOTONIC, now_usec, 1000, on_timer, top);
	if (r < 0)
		return r;
	return sd_event_loop(event);
}

/* On a whole terminal, for somebody who sits before it. */
static bool wants_screen(const struct apfctl *ctl)
{
	return ctl->term.cursor && !ctl->json && ctl->count == 0 && isatty(STDIN_FILENO);
}

int verb_top(struct apfctl *ctl)
{
	struct top top = { .ctl = ctl };
	bool no_screen;
	int r;

	r = bus_open(ctl);
	if (r != APFCTL_OK)
		return r;
	if (wants_screen(ctl)) {
		/* Before the screen is taken, so that a refusal is read on the usual one. */
		r = bus_read_vms(ctl, &top.sample.vms);
		if (r == APFCTL_OK)
			r = top_run_screen(ctl, &top.sample.vms, &no_screen);
		vm_list_clear(&top.sample.vms);
		if (r != APFCTL_OK || !no_screen)
			return r;
	}

	block_signals();
	r = run_loop(&top);
	vm_list_clear(&top.sample.vms);
	if (r < 0 && top.status == APFCTL_OK)
		return apfctl_fail(APFCTL_FAILED, "top: %s", strerror(-r));
	return top.status;
}
