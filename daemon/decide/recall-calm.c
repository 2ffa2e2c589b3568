/* SPDX-License-Identifier: GPL-2.0 */
#include "recall-calm.h"

#include <errno.h>
#include <inttypes.h>

#include "conf.h"
#include "context.h"
#include "vm.h"
#include "vm-log.h"

const char *auto_recall_to_string(enum auto_recall state)
{
	static const char *const table[] = {
		[AUTO_RECALL_OFF] = NAME_OFF,	      [AUTO_RECALL_NOT_NEEDED] = NAME_NOT_NEEDED,
		[AUTO_RECALL_WAITING] = NAME_WAITING, [AUTO_RECALL_PAUSED] = NAME_PAUSED,
		[AUTO_RECALL_RUNNING] = NAME_RUNNING,
	};

	return table[state];
}

/* ---- what may be done, and why not ---- */

static bool is_enabled(const struct context *c)
{
	return c->conf->when_calm_usec && !c->dry_run;
}

static bool is_allowed(const struct vm *vm)
{
	return conf_vm_recall(vm->context->conf, vm->name, identity_fact_id(vm->identity));
}

static bool is_calm(const struct context *c, uint64_t now_usec)
{
	return c->host.calm_usec && now_usec - c->host.calm_usec >= c->conf->when_calm_usec;
}

static const char *pause_text(enum recall_pause_why why)
{
	static const char *const table[] = {
		[RECALL_PAUSE_NONE] = "",
		[RECALL_PAUSE_RECALLED] = "recalled automatically not long ago",
		[RECALL_PAUSE_CANCELLED] = "a recall was cancelled",
		[RECALL_PAUSE_NO_ROOM] = "its memory on swap does not fit into what is available",
		[RECALL_PAUSE_FAILED] = "a recall could not be started, see the log",
	};

	return table[why];
}

enum auto_recall recall_calm_of_host(const struct context *c, uint64_t now_usec,
				     char text[static RECALL_TEXT_MAX])
{
	const struct recall_job *job = recalls_automatic(&c->recalls);

	if (!is_enabled(c)) {
		snprintf(text, RECALL_TEXT_MAX, "%s",
			 c->conf->when_calm_usec ? "DryRun=yes" : "WhenCalm=no");
		return AUTO_RECALL_OFF;
	}
	if (job) {
		snprintf(text, RECALL_TEXT_MAX, "VM %s", job->vm_name);
		return AUTO_RECALL_RUNNING;
	}
	if (c->host.state == MEMORY_STATE_UNKNOWN)
		snprintf(text, RECALL_TEXT_MAX, "the state of the host's memory is not known yet");
	else if (c->host.calm_usec == 0)
		snprintf(text, RECALL_TEXT_MAX,
			 "the host is not calm: it writes to swap or reclaims memory");
	else if (!is_calm(c, now_usec))
		snprintf(text, RECALL_TEXT_MAX,
			 "the host has been calm for %" PRIu64 " s, and must be for %" PRIu64 " s",
			 (now_usec - c->host.calm_usec) / USEC_PER_SEC,
			 c->conf->when_calm_usec / USEC_PER_SEC);
	else if (c->recalls.n > 0)
		snprintf(text, RECALL_TEXT_MAX, "a requested recall is under way");
	else
		snprintf(text, RECALL_TEXT_MAX, "no VM needs a recall now");
	return AUTO_RECALL_WAITING;
}

enum auto_recall recall_calm_of_vm(const struct vm *vm, uint64_t now_usec,
				   char text[static RECALL_TEXT_MAX])
{
	const struct context *c = vm->context;
	const uint64_t left_usec = recall_pause_left(&vm->recall_pause, now_usec);
	const struct recall_job *job = recalls_of_vm(&c->recalls, vm);
	enum auto_recall state;

	/* Also tells of the host what @vm waits for. */
	state = recall_calm_of_host(c, now_usec, text);
	if (job && job->origin == RECALL_ORIGIN_AUTOMATIC) {
		snprintf(text, RECALL_TEXT_MAX, "%" PRIu64 " of %" PRIu64 " MiB are back",
			 job->progress.done_bytes >> 20, job->progress.total_bytes >> 20);
		return AUTO_RECALL_RUNNING;
	}
	if (state == AUTO_RECALL_OFF)
		return state;
	if (!is_allowed(vm)) {
		snprintf(text, RECALL_TEXT_MAX, "RecallWhenCalm=no");
		return AUTO_RECALL_OFF;
	}
	if (vm->view.swapped.bytes < RECALL_CALM_MIN_BYTES) {
		snprintf(text, RECALL_TEXT_MAX, "less than %" PRIu64 " MiB on swap",
			 (uint64_t)(RECALL_CALM_MIN_BYTES >> 20));
		return AUTO_RECALL_NOT_NEEDED;
	}
	if (left_usec) {
		snprintf(text, RECALL_TEXT_MAX, "%s; %" PRIu64 " s left",
			 pause_text(vm->recall_pause.why), left_usec / USEC_PER_SEC);
		return AUTO_RECALL_PAUSED;
	}
	if (state == AUTO_RECALL_RUNNING)
		snprintf(text, RECALL_TEXT_MAX, "another VM is recalled");
	else if (is_calm(c, now_usec) && c->recalls.n == 0)
		snprintf(text, RECALL_TEXT_MAX, "it is next, or a VM that needs it more");
	return AUTO_RECALL_WAITING;
}

/* ---- the tick ---- */

/* Why the automatic recall @job must end; NULL: it may go on. */
static const char *why_end(struct context *c, const struct recall_job *job)
{
	const struct vm *vm = registry_find_by_uuid(&c->vms, job->uuid);

	if (!is_enabled(c) || (vm && !is_allowed(vm)))
		return "the configuration does not allow it any more";
	if (c->host.calm_usec == 0)
		return "the host is not calm any more";
	if (c->recalls.n > 1)
		return "another recall was requested";
	return NULL;
}

/* By what a person would notice first: whole percents of time, then what is on swap. */
static bool needs_more(const struct vm *a, const struct vm *b)
{
	int percent_a = (int)(vm_waiting(a) * 100), percent_b = (int)(vm_waiting(b) * 100);

	return percent_a != percent_b ? percent_a > percent_b
				      : a->view.swapped.bytes > b->view.swapped.bytes;
}

static struct vm *choose(const struct context *c, uint64_t now_usec)
{
	struct vm *vm, *best = NULL;

	REGISTRY_FOREACH(vm, &c->vms)
	if (vm->view.swapped.bytes >= RECALL_CALM_MIN_BYTES && vm->view.pid && vm->pidfd >= 0 &&
	    !recall_pause_left(&vm->recall_pause, now_usec) && (!best || needs_more(vm, best)) &&
	    is_allowed(vm))
		best = vm;
	return best;
}

static void start(struct vm *vm, uint64_t now_usec)
{
	const struct context *c = vm->context;
	char text[RECALL_TEXT_MAX] = "";
	struct recall_job *job;
	int r;

	r = recalls_start(vm, RECALL_ORIGIN_AUTOMATIC, 0, &job, text);
	if (r < 0) {
		recall_pause_add(&vm->recall_pause,
				 r == -ENOSPC ? RECALL_PAUSE_NO_ROOM : RECALL_PAUSE_FAILED,
				 now_usec);
		log_vm(r == -ENOSPC ? LOG_DEBUG : LOG_WARNING, r, vm,
		       "Cannot bring the memory of VM %s back from swap%s%s", vm->name,
		       text[0] ? ": " : "", text);
		return;
	}
	recall_pause_begin(&vm->recall_pause, now_usec);
	log_vm(LOG_INFO, 0, vm,
	       "VM %s: apfd brings about %" PRIu64 " MiB back from swap: the host has been calm "
	       "for %" PRIu64 " s",
	       vm->name, vm->view.swapped.bytes >> 20,
	       (now_usec - c->host.calm_usec) / USEC_PER_SEC);
}

void recall_calm_tick(struct context *c, uint64_t now_usec)
{
	struct recall_job *job = recalls_automatic(&c->recalls);
	const char *why;
	struct vm *vm;

	if (job) {
		vm = registry_find_by_uuid(&c->vms, job->uuid);
		if (vm)
			recall_pause_move(&vm->recall_pause, now_usec);
		why = why_end(c, job);
		if (why && !job->cancelled)
			recalls_cancel(job, why);
		return;
	}
	if (!is_enabled(c) || !is_calm(c, now_usec) || c->recalls.n > 0)
		return;
	vm = choose(c, now_usec);
	if (vm)
		start(vm, now_usec);
}

void recall_calm_cancelled(struct vm *vm, uint64_t now_usec)
{
	recall_pause_add(&vm->recall_pause, RECALL_PAUSE_CANCELLED, now_usec);
}
