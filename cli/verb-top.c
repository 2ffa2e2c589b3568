// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

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
	const struct top_view *view;
	uint64_t n_shown;
	struct top_sample sample;
	int status;
};

static int compare_vms(const void *a, const void *b)
{
	const struct vm *vm_a = a, *vm_b = b;
	double rate_a = vm_a->async_per_sec + vm_a->sync_per_sec;
	double rate_b = vm_b->async_per_sec + vm_b->sync_per_sec;

	if (vm_a->stall_ratio != vm_b->stall_ratio)
		return vm_a->stall_ratio > vm_b->stall_ratio ? -1 : 1;
	if (rate_a != rate_b)
		return rate_a > rate_b ? -1 : 1;
	return strverscmp(vm_label(vm_a), vm_label(vm_b)) ?: strcmp(vm_a->uuid, vm_b->uuid);
}

void top_sort(struct vm_list *vms)
{
	if (vms->n > 0)
		qsort(vms->vms, vms->n, sizeof(*vms->vms), compare_vms);
}

/* One look: read, order, show. Returns an exit status. */
static int look(struct top *top)
{
	struct timespec now = {};
	int status;

	vm_list_clear(&top->sample.vms);
	status = bus_read_vms(top->ctl, &top->sample.vms);
	if (status != APFCTL_OK)
		return status;
	top_sort(&top->sample.vms);
	clock_gettime(CLOCK_REALTIME, &now);
	top->sample.now_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;

	status = top->view->show(top->ctl, &top->sample);
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

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct top *top = userdata;

	if (top->n_shown > 0)
		top->view->show(top->ctl, &top->sample);
	fflush(stdout);
	return 0;
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGWINCH);
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
	if (top->view == &top_view_screen) {
		r = sd_event_add_signal(event, NULL, SIGWINCH, on_resize, top);
		if (r < 0)
			return r;
	}
	r = sd_event_now(event, CLOCK_MONOTONIC, &now_usec);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &timer, CLOCK_MONOTONIC, now_usec, 1000, on_timer, top);
	if (r < 0)
		return r;
	return sd_event_loop(event);
}

static const struct top_view *choose_view(const struct apfctl *ctl)
{
	if (ctl->json)
		return &top_view_json;
	return ctl->term.cursor ? &top_view_screen : &top_view_table;
}

int verb_top(struct apfctl *ctl)
{
	struct top top = { .ctl = ctl, .view = choose_view(ctl) };
	int r;

	/* Before the screen is taken, so that a refusal is read on the usual one. */
	r = bus_open(ctl);
	if (r != APFCTL_OK)
		return r;

	block_signals();
	if (top.view->begin)
		top.view->begin(ctl);
	r = run_loop(&top);
	if (top.view->end)
		top.view->end(ctl);
	vm_list_clear(&top.sample.vms);
	if (r < 0 && top.status == APFCTL_OK)
		return apfctl_fail(APFCTL_FAILED, "top: %s", strerror(-r));
	return top.status;
}
