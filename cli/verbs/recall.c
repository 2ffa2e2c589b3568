// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "bus.h"
#include "format.h"
#include "recall-show.h"
#include "select.h"
#include "verb.h"

/* apfd announces the progress once a second. After this time, is the recall still there? */
#define SILENCE_USEC 3000000ULL

/**
 * struct recaller - a running "recall"
 * @path: D-Bus object of the recall under way; NULL if there is none
 * @name: of its VM
 * @end: set when it has ended
 * @ended: it has ended, or what has become of it is not known
 * @lost: apfd has ended
 * @stop: the user wants the end: no more VM is recalled
 */
struct recaller {
	struct apfctl *ctl;
	sd_event *event;
	char *path;
	const char *name;
	struct recall_progress progress;
	struct recall_end end;
	bool ended;
	bool lost;
	bool stop;
};

static uint64_t now_usec(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- signals ---- */

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct recaller *re = userdata;

	if (!re->path || strcmp(sd_bus_message_get_path(m) ?: "", re->path) != 0)
		return 0;
	if (sd_bus_message_is_signal(m, BUS_INTERFACE_RECALL, "Finished")) {
		re->ended = true;
		if (recall_read_end(m, &re->progress, &re->end) < 0)
			recall_end_clear(&re->end);
	} else if (recall_read_progress(m, &re->progress) >= 0) {
		recall_show_progress(re->ctl, re->name, &re->progress);
	}
	return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct recaller *re = userdata;

	re->ended = re->lost = true;
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct recaller *re = userdata;

	/* A second time: do not wait for the end. */
	re->ended = re->ended || re->stop;
	re->stop = true;
	if (re->path && bus_cancel_recall(&re->ctl->client, re->name, re->path) != STATUS_OK) {
		recall_show_nothing(re->ctl);
		apfctl_fail_print();
		re->ended = true;
	}
	return 0;
}

static int prepare(struct recaller *re)
{
	sd_bus *bus = re->ctl->client.bus;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r = sd_event_new(&re->event);
	if (r >= 0)
		r = sd_event_add_signal(re->event, NULL, SIGINT, on_stop, re);
	if (r >= 0)
		r = sd_event_add_signal(re->event, NULL, SIGTERM, on_stop, re);
	if (r >= 0)
		r = sd_bus_attach_event(bus, re->event, 0);
	/* Before the recall begins, so that its end is not missed. */
	if (r >= 0)
		r = sd_bus_add_match(bus, NULL,
				     "type='signal',sender='" BUS_NAME
				     "',path_namespace='" BUS_PATH_RECALL "'",
				     on_signal, re);
	if (r >= 0)
		r = sd_bus_add_match(bus, NULL,
				     "type='signal',sender='org.freedesktop.DBus',"
				     "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
				     "arg0='" BUS_NAME "'",
				     on_owner_changed, re);
	return r < 0 ? status_fail(STATUS_FAILED, "recall: %s", strerror(-r)) : STATUS_OK;
}

/* ---- one VM ---- */

static int wait_for_end(struct recaller *re)
{
	uint64_t heard_bytes = UINT64_MAX, heard_usec = now_usec();
	int r;

	while (!re->ended) {
		r = sd_event_run(re->event, SILENCE_USEC);
		if (r < 0)
			return status_fail(STATUS_FAILED, "recall %s: %s", re->name, strerror(-r));
		if (re->progress.done_bytes != heard_bytes) {
			heard_bytes = re->progress.done_bytes;
			heard_usec = now_usec();
		} else if (now_usec() - heard_usec > SILENCE_USEC) {
			/* The bus may have lost the signal. */
			re->ended = !bus_recall_is_there(&re->ctl->client, re->path);
			heard_usec = now_usec();
		}
	}
	return STATUS_OK;
}

/* The exit status for the result of apfd. */
static int judge(struct recaller *re)
{
	const char *result = re->end.result;
	_cleanup_free_ char *name = text_printable(re->name);
	_cleanup_free_ char *text = text_printable(re->end.text ?: "");

	if (re->lost)
		return status_fail(STATUS_MISSING,
				   "recall %s: apfd has ended, and with it the recall", name ?: "");
	if (!result)
		return status_fail(STATUS_FAILED,
				   "recall %s: the result is not known; see 'journalctl -u apfd'",
				   name ?: "");
	if (strcmp(result, NAME_DONE) == 0)
		return STATUS_OK;
	/* It is no failure that the VM or its limits have changed, unless all is needed. */
	if (!re->ctl->before_migration &&
	    (strcmp(result, NAME_VM_ENDED) == 0 || strcmp(result, NAME_NO_ROOM) == 0)) {
		apfctl_note("recall %s: ended early: %s", name ?: "", text ?: "");
		return STATUS_OK;
	}
	return status_fail(STATUS_FAILED, "recall %s: %s", name ?: "", text ?: "");
}

static int recall_target(const struct target *target, void *userdata)
{
	struct recaller *re = userdata;
	uint64_t begin_usec = now_usec();
	int status, shown = STATUS_OK;

	if (re->stop)
		return STATUS_FAILED;
	re->ended = re->lost = false;
	re->name = target->name;
	re->progress = (struct recall_progress){};
	status = bus_recall(&re->ctl->client, target->name, target->path, re->ctl->rate_bytes,
			    &re->path);
	if (status == STATUS_OK && !re->ctl->no_wait) {
		status = wait_for_end(re);
		if (status == STATUS_OK && re->end.result)
			shown = recall_show_end(re->ctl, re->name, &re->progress, &re->end,
						now_usec() - begin_usec);
		recall_show_nothing(re->ctl);
		status = status ?: shown ?: judge(re);
	}
	free(TAKE_PTR(re->path));
	recall_end_clear(&re->end);
	return status;
}

int verb_recall(struct apfctl *ctl)
{
	_cleanup_(targets_clear) struct targets targets = {};
	struct recaller re = { .ctl = ctl };
	int status;

	if (ctl->before_migration && ctl->no_wait)
		return status_fail(STATUS_USAGE,
				   "recall: --before-migration and --no-wait exclude each other");
	/* What is left on swap is read by the migration, page by page. */
	if (ctl->before_migration && !ctl->rate_bytes)
		ctl->rate_bytes = UINT64_MAX;
	status = targets_find(ctl, ctl->n_args, &targets);
	if (ctl->client.bus && prepare(&re) != STATUS_OK)
		status = STATUS_FAILED;
	else
		status = targets_run(&targets, status, recall_target, &re);
	if (ctl->client.bus)
		sd_bus_detach_event(ctl->client.bus);
	sd_event_unref(re.event);
	return status;
}
