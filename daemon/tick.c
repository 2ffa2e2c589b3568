/* SPDX-License-Identifier: GPL-2.0 */
#include "tick.h"

#include "conf.h"
#include "governor.h"
#include "log.h"
#include "manager-bus.h"
#include "manager.h"
#include "module.h"
#include "recall-calm.h"
#include "vm-bus.h"
#include "vm-memory.h"
#include "vm.h"

/* Lets the kernel merge wake-ups; rates are computed from the time that really passed. */
#define TICK_ACCURACY_USEC (50 * USEC_PER_MSEC)

/* Minimum interval between two PropertiesChanged signals of an object. */
#define PUBLISH_USEC (1 * USEC_PER_SEC)

/* One turn of the loop does not work on VMs for longer than this, requests apart. */
#define SLICE_USEC (20 * USEC_PER_MSEC)

/*
 * So long the governor waits for time for its requests. Then the tick goes on without them: the
 * next ticks change the gates that are left, and the figures are read meanwhile.
 */
#define PATIENCE_USEC (2 * USEC_PER_SEC)

/* 0 would mean sd-event's default of a quarter of a second. */
#define TURN_ACCURACY_USEC 1

/* The shortest time between two ticks. */
#define TICK_MIN_USEC (250 * USEC_PER_MSEC)

/* Next tick after pressure starts, so that EnterHoldSec can be met early. */
#define RISING_USEC (500 * USEC_PER_MSEC)

/* Without VMs only the figures of the host are read. */
#define NO_VMS_USEC (10 * USEC_PER_SEC)

void tick_read_host(struct manager *m)
{
	int before = swapdevs_synchronous(&m->context.swap);
	struct vm *vm;

	host_state_read(&m->context.host, m->context.proc_root, m->context.sys_root,
			clock_usec(CLOCK_MONOTONIC));
	if (swapdevs_read(&m->context.swap, m->context.proc_root, m->context.sys_root) <= 0)
		return;
	if (swapdevs_synchronous(&m->context.swap) == before)
		return;
	REGISTRY_FOREACH(vm, &m->context.vms)
	governor_invalidate(vm);
}

/* ---- passes over all VMs ---- */

static void decide(struct manager *m, struct vm *vm)
{
	/* The module did not answer when it was to be given up. */
	if (vm->foreign && !m->foreign_wanted) {
		vm_work(vm, VM_WORK_GIVE_UP);
		return;
	}
	/* VMs that have not swapped lately are read in turns. */
	if (vm->memory.active || m->tick.turn++ % IDLE_TICKS == 0)
		vm_read_memory(vm, m->tick.now_usec);
	vm_settings_tick(vm);
	governor_run(vm, m->tick.now_usec);
	if (vm->governor.rising)
		m->tick.wait_usec = MIN_OF(m->tick.wait_usec, RISING_USEC);
}

static void publish(struct manager *m, struct vm *vm)
{
	vm_bus_publish(m->server, vm);
}

/* If there is not room for all on the bus, the VMs at the end of the list must not always wait. */
static void publish_late(struct manager *m, struct vm *vm)
{
	if (vm->publish_late)
		vm_bus_publish(m->server, vm);
}

static bool has_time(struct manager *m, uint64_t until_usec)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);

	if (now_usec >= until_usec)
		return false;
	return m->tick.phase != TICK_DECIDING || apfd_genl_has_time(m->context.genl) ||
	       now_usec - m->tick.phase_usec > PATIENCE_USEC;
}

/* Calls @fn for the VMs that had no turn in this pass. False: there was no time for all. */
static bool pass(struct manager *m, void (*fn)(struct manager *m, struct vm *vm),
		 uint64_t until_usec)
{
	struct vm *vm, *next;

	for (vm = TAILQ_FIRST(&m->context.vms.list); vm; vm = next) {
		/* @fn may free @vm. */
		next = TAILQ_NEXT(vm, list);
		if (vm->pass == m->tick.pass)
			continue;
		if (!has_time(m, until_usec))
			return false;
		vm->pass = m->tick.pass;
		fn(m, vm);
	}
	return true;
}

/* ---- the phases of a tick ---- */

static int end_tick(struct manager *m)
{
	struct tick *t = &m->tick;
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), at_usec;
	int r;

	t->phase = TICK_IDLE;
	if (m->context.vms.n == 0)
		t->wait_usec = NO_VMS_USEC;
	at_usec = MAX_OF(t->begin_usec + t->wait_usec, now_usec + TICK_MIN_USEC);
	if (t->wanted)
		at_usec = MAX_OF(t->begin_usec + TICK_MIN_USEC, now_usec);
	t->wanted = false;
	r = sd_event_source_set_time(t->source, at_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(t->source, SD_EVENT_ONESHOT);
}

static bool must_publish(struct manager *m)
{
	/* An early tick must not cause additional signals. */
	return !m->tick.publish_usec ||
	       m->tick.now_usec - m->tick.publish_usec >= PUBLISH_USEC - TICK_ACCURACY_USEC;
}

static void begin_publishing(struct manager *m)
{
	m->tick.phase = TICK_PUBLISHING_LATE;
	m->tick.pass++;
	m->tick.publish_usec = m->tick.now_usec;
}

static int next_turn(struct manager *m);

/* The part of a tick after the reading, as much of it as there is time for in this turn. */
static int go_on(struct manager *m)
{
	uint64_t until_usec = clock_usec(CLOCK_MONOTONIC) + SLICE_USEC;

	if (m->tick.phase == TICK_DECIDING) {
		if (!pass(m, decide, until_usec))
			return next_turn(m);
		if (!must_publish(m))
			return end_tick(m);
		begin_publishing(m);
	}
	if (m->tick.phase == TICK_PUBLISHING_LATE) {
		if (!pass(m, publish_late, until_usec))
			return next_turn(m);
		m->tick.phase = TICK_PUBLISHING;
		m->tick.pass++;
	}
	if (m->tick.phase == TICK_PUBLISHING) {
		if (!pass(m, publish, until_usec))
			return next_turn(m);
		return end_tick(m);
	}
	return 0;
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata)
{
	return go_on(userdata);
}

/* A timer and not a "defer" source, which would be served before all other sources. */
static int next_turn(struct manager *m)
{
	int r;

	if (m->tick.turn_source) {
		r = sd_event_source_set_time_relative(m->tick.turn_source, 0);
		if (r < 0)
			return r;
		return sd_event_source_set_enabled(m->tick.turn_source, SD_EVENT_ONESHOT);
	}
	r = sd_event_add_time_relative(m->context.event, &m->tick.turn_source, CLOCK_MONOTONIC, 0,
				       TURN_ACCURACY_USEC, on_turn, m);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(m->tick.turn_source, "tick-turn");
	return sd_event_source_set_exit_on_failure(m->tick.turn_source, true);
}

/* The module's counters were read, as far as they could be. */
static void go_on_after_reading(struct manager *m)
{
	int r;

	if (m->tick.phase != TICK_READING)
		return;
	tick_read_host(m);
	m->tick.phase = TICK_DECIDING;
	m->tick.pass++;
	m->tick.turn = m->tick.n;
	m->tick.now_usec = m->tick.phase_usec = clock_usec(CLOCK_MONOTONIC);
	recall_calm_tick(&m->context, m->tick.now_usec);
	r = go_on(m);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot continue the tick");
		(void)sd_event_exit(m->context.event, EXIT_FAILURE);
	}
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	bool watched = false;
	struct vm *vm;
	int r;

	m->tick.phase = TICK_READING;
	m->tick.begin_usec = clock_usec(CLOCK_MONOTONIC);
	m->tick.wait_usec = m->context.conf->tick_usec;
	m->tick.n++;
	REGISTRY_FOREACH(vm, &m->context.vms)
	watched = watched || vm->module_id;
	/* The module has placed its hooks again for the first VM. */
	if (watched && !m->was_watching && apfd_genl_refresh(m->context.genl) > 0)
		manager_bus_host_module_changed(m->server);
	m->was_watching = watched;
	if (!watched) {
		go_on_after_reading(m);
		return 0;
	}
	/*
	 * Before the reading, which may take its time. A dry run keeps no gate closed: what an
	 * earlier apfd closed is given back.
	 */
	r = m->context.dry_run ? 0 : apfd_genl_renew(m->context.genl);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot renew the leases of gates, ignoring");
	module_read(m, go_on_after_reading);
	return 0;
}

/* ---- the timer ---- */

static void tick_at(struct manager *m, uint64_t earliest_usec)
{
	uint64_t at_usec;
	int r;

	if (!m->tick.source)
		return;
	if (m->tick.phase != TICK_IDLE) {
		m->tick.wanted = true;
		return;
	}
	/* Do not delay a tick that is already scheduled for an earlier time. */
	if (sd_event_source_get_time(m->tick.source, &at_usec) >= 0 && at_usec <= earliest_usec)
		return;
	r = sd_event_source_set_time(m->tick.source,
				     MAX_OF(earliest_usec, clock_usec(CLOCK_MONOTONIC)));
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot schedule the tick earlier, ignoring");
}

void tick_soon(struct manager *m)
{
	tick_at(m, m->tick.begin_usec + TICK_MIN_USEC);
}

void tick_now(struct manager *m)
{
	tick_at(m, 0);
}

void tick_stop(struct manager *m)
{
	m->tick.phase = TICK_IDLE;
	m->tick.source = sd_event_source_disable_unref(m->tick.source);
	m->tick.turn_source = sd_event_source_disable_unref(m->tick.turn_source);
}

int tick_start(struct manager *m)
{
	uint64_t at_usec, wanted_usec;
	int r;

	if (m->stopping || m->tick.phase != TICK_IDLE)
		return 0;
	if (!m->tick.source) {
		r = sd_event_add_time_relative(m->context.event, &m->tick.source, CLOCK_MONOTONIC,
					       m->context.conf->tick_usec, TICK_ACCURACY_USEC,
					       on_tick, m);
		if (r < 0)
			return r;
		(void)sd_event_source_set_description(m->tick.source, "tick");
		return sd_event_source_set_exit_on_failure(m->tick.source, true);
	}
	/* For the first VM: without VMs the next tick may be far away. */
	wanted_usec = clock_usec(CLOCK_MONOTONIC) + m->context.conf->tick_usec;
	r = sd_event_source_get_time(m->tick.source, &at_usec);
	if (r < 0 || at_usec <= wanted_usec)
		return r;
	return sd_event_source_set_time(m->tick.source, wanted_usec);
}
