/* SPDX-License-Identifier: GPL-2.0 */
#include "recalls.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "conf.h"
#include "context.h"
#include "log.h"
#include "recall-room.h"
#include "vm.h"
#include "vm-log.h"

#define READ_USEC (1 * USEC_PER_SEC)

static void job_free(struct recall_job *job)
{
	struct recalls *r = &job->context->recalls;

	TAILQ_REMOVE(&r->jobs, job, list);
	r->n--;
	recall_free(job->recall);
	free(job->vm_name);
	free(job);
}

void recalls_init(struct recalls *r)
{
	TAILQ_INIT(&r->jobs);
}

void recalls_done(struct recalls *r)
{
	struct recall_job *job;

	while ((job = TAILQ_FIRST(&r->jobs)))
		job_free(job);
	r->timer = sd_event_source_disable_unref(r->timer);
}

struct recall_job *recalls_find(struct recalls *r, const char *path)
{
	struct recall_job *job;

	TAILQ_FOREACH(job, &r->jobs, list)
		if (streq(job->path, path))
			return job;
	return NULL;
}

struct recall_job *recalls_of_vm(const struct recalls *r, const struct vm *vm)
{
	struct recall_job *job;

	TAILQ_FOREACH(job, &r->jobs, list)
		if (streq(job->uuid, vm->uuid))
			return job;
	return NULL;
}

struct recall_job *recalls_automatic(const struct recalls *r)
{
	struct recall_job *job;

	TAILQ_FOREACH(job, &r->jobs, list)
		if (job->origin == RECALL_ORIGIN_AUTOMATIC)
			return job;
	return NULL;
}

const char *recall_origin_to_string(enum recall_origin origin)
{
	return origin == RECALL_ORIGIN_AUTOMATIC ? NAME_AUTOMATIC : NAME_REQUEST;
}

static struct recall_terms terms_of(const struct recall_job *job)
{
	return (struct recall_terms){
		.limit_bytes = recall_rate(job->rate_bytes, job->brake.factor),
		.reserve = job->origin == RECALL_ORIGIN_AUTOMATIC ? RECALL_RESERVE_AUTOMATIC
								  : RECALL_RESERVE_REQUESTED,
	};
}

static void set_terms(struct recall_job *job)
{
	const struct recall_terms terms = terms_of(job);

	recall_set_terms(job->recall, &terms);
}

/* ---- progress ---- */

static void read_progress(struct recall_job *job)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), before_bytes = job->progress.done_bytes;

	recall_read(job->recall, &job->progress);
	if (now_usec > job->read_usec)
		job->bytes_per_sec = (job->progress.done_bytes - before_bytes) * USEC_PER_SEC /
				     (now_usec - job->read_usec);
	job->read_usec = now_usec;
}

/* From the module if it watches the VM, else from the control group. */
double vm_waiting(const struct vm *vm)
{
	double waiting = vm->waiting;

	if (isnan(waiting) || !vm->module_id)
		waiting = vm->view.pressure[PRESSURE_SOME_AVG10] / 100;
	return isnan(waiting) ? 0 : waiting;
}

/* The worst of all VMs, except for those that are recalled themselves. */
static struct recall_others read_others(const struct context *c)
{
	struct recall_others worst = {};
	const struct vm *vm;

	REGISTRY_FOREACH(vm, &c->vms)
	{
		uint64_t p95_usec = vm->view.figures.p95_usec;

		if (recalls_of_vm(&c->recalls, vm))
			continue;
		worst.waiting = MAX_OF(worst.waiting, vm_waiting(vm));
		if (vm->module_id && p95_usec != STATS_USEC_UNKNOWN)
			worst.p95_usec = MAX_OF(worst.p95_usec, p95_usec);
	}
	return worst;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct context *c = userdata;
	const struct recall_others others = read_others(c);
	struct recall_job *job;
	int r;

	if (c->recalls.n == 0)
		return 0;
	TAILQ_FOREACH(job, &c->recalls.jobs, list) {
		job->slowed = recall_brake_update(&job->brake, others);
		set_terms(job);
		read_progress(job);
		c->ops->recall_progressed(job, c->userdata);
	}
	r = sd_event_source_set_time_relative(s, READ_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int start_timer(struct context *c)
{
	int r;

	if (c->recalls.timer) {
		r = sd_event_source_set_time_relative(c->recalls.timer, READ_USEC);
		return r < 0 ? r : sd_event_source_set_enabled(c->recalls.timer, SD_EVENT_ONESHOT);
	}
	r = sd_event_add_time_relative(c->event, &c->recalls.timer, CLOCK_MONOTONIC, READ_USEC, 0,
				       on_timer, c);
	if (r >= 0)
		(void)sd_event_source_set_description(c->recalls.timer, "recalls");
	return r;
}

static void on_ended(struct recall *recall, void *userdata)
{
	struct recall_job *job = userdata;
	const struct recall_progress *p = &job->progress;

	read_progress(job);
	log_fields(p->result == RECALL_FAILED ? LOG_WARNING : LOG_INFO, 0,
		   ((const struct log_field[]){
			   { "APF_VM", job->vm_name }, { "APF_UUID", job->uuid }, {} }),
		   "VM %s: %" PRIu64 " of %" PRIu64 " MiB were brought back from swap%s%s%s",
		   job->vm_name, p->done_bytes >> 20, p->total_bytes >> 20,
		   job->origin == RECALL_ORIGIN_AUTOMATIC ? ", automatically" : "",
		   p->text[0] ? ": " : "", p->text);
	job->context->ops->recall_ended(job, job->context->userdata);
	job_free(job);
}

/* ---- start ---- */

/* The pages on swap must fit; what is not known is checked window by window. */
static int check_room(const struct vm *vm, const struct recall_target *t,
		      enum recall_reserve reserve, char *text)
{
	struct recall_room room;
	int r;

	r = recall_room_read(t->proc_root, t->group_fd, t->group, reserve, &room);
	if (r < 0 || vm->view.swapped.bytes <= recall_room_bytes(&room))
		return r;
	recall_room_text(&room, vm->view.swapped.bytes, text, RECALL_TEXT_MAX);
	return -ENOSPC;
}

static int check(const struct vm *vm)
{
	const struct recalls *r = &vm->context->recalls;

	if (recalls_of_vm(r, vm))
		return -EBUSY;
	if (r->n >= RECALLS_MAX)
		return -EAGAIN;
	return vm->view.pid && vm->pidfd >= 0 ? 0 : -ESRCH;
}

static struct recall_job *job_new(struct vm *vm, enum recall_origin origin, uint64_t rate_bytes)
{
	struct recall_job *job = calloc(1, sizeof(*job));
	struct recalls *r = &vm->context->recalls;

	if (!job)
		return NULL;
	job->context = vm->context;
	snprintf(job->path, sizeof(job->path), BUS_PATH_RECALL "/%u", ++r->last_id);
	memcpy(job->uuid, vm->uuid, sizeof(job->uuid));
	memcpy(job->vm_path, vm->path, sizeof(job->vm_path));
	job->origin = origin;
	job->rate_bytes = rate_bytes;
	job->read_usec = clock_usec(CLOCK_MONOTONIC);
	job->vm_name = strdup(vm->name);
	TAILQ_INSERT_TAIL(&r->jobs, job, list);
	r->n++;
	return job;
}

static int start_new(struct vm *vm, enum recall_origin origin, uint64_t rate_bytes,
		     struct recall_job **ret, char *text)
{
	struct context *c = vm->context;
	const struct recall_target target = {
		.proc_root = c->proc_root,
		.group_fd = vm->memory.cgroup ? cgroup_dir(vm->memory.cgroup) : -1,
		.group = vm->memory.cgroup ? cgroup_path(vm->memory.cgroup) : "",
		.pid = (pid_t)vm->view.pid,
		.pidfd = vm->pidfd,
	};
	struct recall_terms terms;
	struct recall_job *job;
	int r;

	r = check(vm);
	if (r < 0)
		return r;
	job = job_new(vm, origin, rate_bytes);
	if (!job)
		return -ENOMEM;
	(void)recall_brake_update(&job->brake, read_others(c));
	terms = terms_of(job);
	r = check_room(vm, &target, terms.reserve, text);
	if (r >= 0)
		r = job->vm_name
			    ? recall_new(c->event, &target, &terms, on_ended, job, &job->recall)
			    : -ENOMEM;
	if (r >= 0)
		r = start_timer(c);
	if (r < 0) {
		job_free(job);
		return r;
	}
	*ret = job;
	return 0;
}

int recalls_start(struct vm *vm, enum recall_origin origin, uint64_t rate_bytes,
		  struct recall_job **ret, char *text)
{
	struct context *c = vm->context;
	struct recall_job *job = recalls_of_vm(&c->recalls, vm);
	int r;

	if (!rate_bytes)
		rate_bytes = origin == RECALL_ORIGIN_AUTOMATIC ? c->conf->calm_rate_bytes
							       : c->conf->recall_rate_bytes;
	if (job && job->origin == RECALL_ORIGIN_AUTOMATIC && origin == RECALL_ORIGIN_REQUEST &&
	    !job->cancelled) {
		job->origin = origin;
		job->rate_bytes = rate_bytes;
		set_terms(job);
		*ret = job;
	} else {
		r = start_new(vm, origin, rate_bytes, ret, text);
		if (r < 0)
			return r;
	}
	c->ops->recall_started(*ret, c->userdata);
	return 0;
}

void recalls_cancel(struct recall_job *job, const char *why)
{
	job->cancelled = true;
	recall_cancel(job->recall, why);
}
