/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-event.h"

#include "genl.h"
#include "names.h"
#include "vm-log.h"

/*
 * Limit of log entries about a VM's guest in each minute, for warnings and for
 * notices, so that a guest cannot fill the log.
 */
#define GUEST_LOG_BURST		5
#define GUEST_LOG_INTERVAL_USEC (60 * USEC_PER_SEC)

/* The events about a guest's report, by enum apf_event. */
static const struct {
	const char *name;
	int level;
	const char *meaning;
} guest_events[APF_EVENT_MAX + 1] = {
	[APF_EVENT_POOL_TAKEN] = { NAME_POOL_TAKEN, LOG_NOTICE,
				   "the guest uses its emergency pool, gate closed meanwhile" },
	[APF_EVENT_POOL_RETURNED] = { NAME_POOL_RETURNED, LOG_INFO,
				      "the guest's emergency pool is full again, gate as it was" },
	[APF_EVENT_POOL_EXHAUSTED] = { NAME_POOL_EXHAUSTED, LOG_WARNING,
				       "the guest's emergency pool was empty, "
				       "it woke all sleepers" },
	[APF_EVENT_WAITER_OLD] = { NAME_WAITER_OLD, LOG_WARNING,
				   "a task of the guest waits for too long" },
	[APF_EVENT_REPORT_GONE] = { NAME_REPORT_GONE, LOG_INFO,
				    "the guest's module has stopped reporting" },
	[APF_EVENT_SLOT_STUCK] = { NAME_SLOT_STUCK, LOG_WARNING,
				   "an interrupt to the guest was lost, the guest recovered" },
};

const char *vm_guest_event_to_string(enum apf_event type)
{
	return guest_events[type].name;
}

void vm_gate_changed(struct vm *vm, const struct genl_event *e)
{
	bool by_us = e->by_pid == getpid();

	vm_gate_set(vm, e->state, e->indices, e->n_indices);
	/* The governor knows our own changes already, and may have made a new decision since. */
	if (!by_us) {
		governor_gate_changed(vm, e->state, e->indices, e->n_indices);
		/* If the change has a lease, the next reading tells it. */
		vm_lease_set(vm, false, e->indices, e->n_indices);
	}
	log_vm(LOG_INFO, 0, vm, "VM %s: gate of %s set to %s by %s (PID %d)%s%s", vm->name,
	       e->n_indices ? "some vCPUs" : "the VM", vm_state_to_string((enum vm_state)e->state),
	       e->by_comm[0] ? e->by_comm : "?", (int)e->by_pid, e->reason[0] ? ": " : "",
	       e->reason);
}

static void log_guest_event(struct vm *vm, const struct genl_event *e)
{
	int level = guest_events[e->type].level;
	bool warning = level <= LOG_WARNING;
	char vcpu[16], msec[48] = "";

	switch (ratelimit_check(warning ? &vm->guest_warnings : &vm->guest_notices, GUEST_LOG_BURST,
				GUEST_LOG_INTERVAL_USEC, clock_usec(CLOCK_MONOTONIC))) {
	case RATELIMIT_OVER:
		return;
	case RATELIMIT_FIRST_OVER:
		log_vm(level, 0, vm,
		       "VM %s: more than %d %s of its guest within a minute, not logging the rest "
		       "of them",
		       vm->name, GUEST_LOG_BURST, warning ? "warnings" : "notices");
		return;
	case RATELIMIT_PASS:
		break;
	}

	snprintf(vcpu, sizeof(vcpu), "%u", e->indices[0]);
	if (e->type == APF_EVENT_WAITER_OLD)
		snprintf(msec, sizeof(msec), " (%u ms)",
			 e->guest.value[APF_GUEST_A_OLDEST_SLEEPER_MSEC]);
	log_fields(level, 0,
		   ((const struct log_field[]){
			   { "APF_VM", vm->name },
			   { "APF_UUID", vm->uuid },
			   { "APF_STATE", vm_state_to_string((enum vm_state)vm->view.state) },
			   { "APF_VCPU", vcpu },
			   { "APF_EVENT", guest_events[e->type].name },
			   {} }),
		   "VM %s, vCPU %s: %s%s", vm->name, vcpu, guest_events[e->type].meaning, msec);
}

void vm_guest_event(struct vm *vm, const struct genl_event *e)
{
	/* A vCPU that was added after the last reading is added with the next one. */
	for (size_t i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].index == e->indices[0]) {
			vm->vcpus[i].guest = e->guest;
			vm_set_paused(vm, &vm->vcpus[i],
				      e->guest.value[APF_GUEST_A_POOL_IN_USE] > 0);
			governor_pool(vm, e->indices[0], e->guest.value[APF_GUEST_A_POOL_IN_USE]);
		}
	vm_update_guest(vm);
	log_guest_event(vm, e);
}
