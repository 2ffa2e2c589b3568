// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bus.h"
#include "sort.h"
#include "top.h"
#include "verb.h"

/**
 * struct top - a running "top"
 * @view: which VMs are shown, and in which order
 * @n_shown: number of samples printed
 * @sample: the last sample
 * @status: exit status to end with
 */
struct top {
	struct apfctl *ctl;
	struct top_view view;
	uint64_t n_shown;
	struct top_sample sample;
	int status;
};

/* Reads, sorts and prints one sample. Returns an exit status. */
static int sample(struct top *top)
{
	struct timespec now = {};
	int status;

	vm_list_clear(&top->sample.vms);
	host_clear(&top->sample.host);
	status = bus_read_host(&top->ctl->client, &top->sample.host);
	if (status == STATUS_OK)
		status = bus_read_vms(&top->ctl->client, &top->sample.vms);
	if (status != STATUS_OK)
		return status;
	vm_filter_apply(&top->view.filter, &top->sample.vms);
	top_sort(&top->sample.vms, top->view.by);
	clock_gettime(CLOCK_REALTIME, &now);
	top->sample.now_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;

	if (top->ctl->csv && top->n_shown == 0)
		top_print_csv_header();
	status = top->ctl->json	 ? top_print_json(top->ctl, &top->sample)
		 : top->ctl->csv ? top_print_csv(top->ctl, &top->sample)
				 : top_print_table(top->ctl, &top->sample);
	/* The reader of a pipe must get each sample without delay. */
	if (status == STATUS_OK && fflush(stdout) != 0)
		status = status_fail(STATUS_FAILED, "cannot write: %m");
	top->n_shown++;
	return status;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct top *top = userdata;
	uint64_t now_usec, next_usec = usec + top->ctl->interval_usec;
	int r;

	top->status = sample(top);
	if (top->status != STATUS_OK || (top->ctl->count > 0 && top->n_shown >= top->ctl->count))
		return sd_event_exit(sd_event_source_get_event(source), 0);

	/* After a suspend of the machine, skip the missed samples. */
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

/* Full screen only for an interactive user: input and output are a terminal. */
static bool wants_screen(const struct apfctl *ctl)
{
	return ctl->term.cursor && !ctl->json && !ctl->csv && ctl->count == 0 &&
	       isatty(STDIN_FILENO);
}

static int run(struct top *top)
{
	struct apfctl *ctl = top->ctl;
	bool no_screen;
	int r;

	if (wants_screen(ctl)) {
		/* Before full-screen mode, so that an error message stays on the normal screen. */
		r = bus_read_host(&ctl->client, &top->sample.host);
		if (r == STATUS_OK)
			r = bus_read_vms(&ctl->client, &top->sample.vms);
		vm_filter_apply(&top->view.filter, &top->sample.vms);
		if (r == STATUS_OK)
			r = top_run_screen(ctl, &top->view, &top->sample, &no_screen);
		vm_list_clear(&top->sample.vms);
		host_clear(&top->sample.host);
		if (r != STATUS_OK || !no_screen)
			return r;
	}

	block_signals();
	r = run_loop(top);
	vm_list_clear(&top->sample.vms);
	host_clear(&top->sample.host);
	if (r < 0 && top->status == STATUS_OK)
		return status_fail(STATUS_FAILED, "top: %s", strerror(-r));
	return top->status;
}

int verb_top(struct apfctl *ctl)
{
	struct top top = { .ctl = ctl, .view.by.column = TOP_STALLED };
	int status;

	status = sort_read(ctl, top_columns, _TOP_MAX, &top.view.by);
	if (status == STATUS_OK)
		status = bus_open(&ctl->client);
	if (status == STATUS_OK)
		status = vm_filter_find(ctl, &top.view.filter);
	if (status == STATUS_OK)
		status = run(&top);
	vm_filter_clear(&top.view.filter);
	return status;
}
