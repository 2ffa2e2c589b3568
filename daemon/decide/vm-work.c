/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-work.h"

#include <errno.h>

#include "context.h"
#include "log.h"
#include "util.h"
#include "vm.h"

/* The part of a turn in which further VMs are begun; a request may then take 100 ms. */
#define SLICE_USEC (20 * USEC_PER_MSEC)

/* 0 would mean sd-event's default of a quarter of a second. */
#define ACCURACY_USEC 1

void vm_works_init(struct context *c)
{
	c->works = (struct vm_works){};
	TAILQ_INIT(&c->works.list);
}

void vm_works_done(struct context *c)
{
	c->works.source = sd_event_source_disable_unref(c->works.source);
}

bool vm_works_empty(const struct context *c)
{
	return TAILQ_EMPTY(&c->works.list);
}

/* Until when the work for @vm waits for a module that is silent; 0: now. */
static uint64_t pause_usec(struct context *c, const struct vm *vm)
{
	/* When apfd ends, nobody waits; and the module is not needed for everything. */
	if (vm->work & (VM_WORK_RESTORE | VM_WORK_ANNOUNCE) || !apfd_genl_info(c->genl))
		return 0;
	return apfd_genl_pause_usec(c->genl);
}

static bool has_time(struct context *c, const struct vm *vm)
{
	struct vm_works *w = &c->works;
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), iteration = 0;

	(void)sd_event_get_iteration(c->event, &iteration);
	if (iteration != w->iteration || !w->end_usec) {
		w->iteration = iteration;
		w->end_usec = now_usec + SLICE_USEC;
	}
	return now_usec < w->end_usec && apfd_genl_has_time(c->genl) && !pause_usec(c, vm);
}

/* Does the work for one VM. @vm may have been freed afterwards. */
static void serve(struct context *c, struct vm *vm)
{
	unsigned int what = vm->work;

	/* The rest waits for the module, behind the VMs that are still to be announced. */
	if (what & VM_WORK_ANNOUNCE && apfd_genl_pause_usec(c->genl))
		what = VM_WORK_ANNOUNCE;
	vm_work_cancel(vm, what);
	if (vm->work) {
		TAILQ_REMOVE(&c->works.list, vm, working);
		TAILQ_INSERT_TAIL(&c->works.list, vm, working);
	}
	if (what & VM_WORK_GIVE_UP) {
		c->ops->give_up(vm, c->userdata);
		return;
	}
	if (what & VM_WORK_RESTORE) {
		c->ops->restore(vm, c->userdata);
		return;
	}
	if (what & VM_WORK_ATTACH)
		c->ops->attach(vm, c->userdata);
	if (what & VM_WORK_WATCHED && vm->module_id)
		c->ops->watched(vm, c->userdata);
	if (what & VM_WORK_APPLY)
		c->ops->apply(vm, c->userdata);
	if (what & VM_WORK_ANNOUNCE)
		c->ops->announce(vm, c->userdata);
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata);

/* A timer and not a "defer" source, which would be served before all other sources. */
static int set_timer(struct context *c, uint64_t at_usec)
{
	struct vm_works *w = &c->works;
	int r;

	if (w->source) {
		r = sd_event_source_set_time(w->source, at_usec);
		return r < 0 ? r : sd_event_source_set_enabled(w->source, SD_EVENT_ONESHOT);
	}
	r = sd_event_add_time(c->event, &w->source, CLOCK_MONOTONIC, at_usec, ACCURACY_USEC,
			      on_turn, c);
	if (r >= 0)
		(void)sd_event_source_set_description(w->source, "vm-work");
	return r;
}

/* Continues with the first VM in the next turn, or when the module is asked again. */
static void next_turn(struct context *c)
{
	uint64_t at_usec = pause_usec(c, TAILQ_FIRST(&c->works.list));
	int r;

	r = set_timer(c, at_usec ? at_usec : clock_usec(CLOCK_MONOTONIC));
	if (r < 0)
		log_errno(LOG_ERR, r, "Cannot continue with the work for VMs");
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct context *c = userdata;
	struct vm *vm;

	while ((vm = TAILQ_FIRST(&c->works.list)) && has_time(c, vm))
		serve(c, vm);
	if (vm)
		next_turn(c);
	else
		c->ops->work_done(c->userdata);
	return 0;
}

void vm_work(struct vm *vm, unsigned int what)
{
	struct context *c = vm->context;
	bool first = TAILQ_EMPTY(&c->works.list);

	if (!vm->work)
		TAILQ_INSERT_TAIL(&c->works.list, vm, working);
	vm->work |= what;
	/* Other VMs have to wait for a turn of their own: the caller may be about to use them. */
	if (!first)
		return;
	if (has_time(c, vm))
		serve(c, vm);
	if (!TAILQ_EMPTY(&c->works.list))
		next_turn(c);
}

void vm_work_cancel(struct vm *vm, unsigned int what)
{
	if (!vm->work)
		return;
	vm->work &= ~what;
	if (!vm->work)
		TAILQ_REMOVE(&vm->context->works.list, vm, working);
}
