/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of VMs and of apfd, as reported by watch.h.
 */
#ifndef APFCTL_EVENT_H
#define APFCTL_EVENT_H

#include <stdint.h>

#include "figures.h"
#include "guest.h"
#include "vcpu-list.h"

enum event_kind {
	EVENT_DECIDED,
	EVENT_GATE_CHANGING,
	EVENT_GATE_CHANGED,
	EVENT_GUEST,
	EVENT_VM_ADDED,
	EVENT_VM_REMOVED,
	EVENT_HOST_MODULE,
	EVENT_LIBVIRT,
	EVENT_APFD_STARTED,
	EVENT_APFD_STOPPED,
	_EVENT_MAX,
};

/**
 * struct event - one event; strings are valid only during the callback
 * @now_usec: when the event was received, microseconds since the epoch
 * @name: name of the VM, may be empty; NULL if the event is not about a VM
 * @uuid: UUID of the VM, NULL if the event is not about a VM
 * @state: EVENT_DECIDED and EVENT_GATE_*: the new state
 * @vcpus: vCPUs it applies to; empty for the whole VM
 * @rule: EVENT_DECIDED: rule of the policy
 * @inputs: EVENT_DECIDED: figures that the policy used
 * @dry_run: EVENT_DECIDED: the decision is not carried out
 * @pid: EVENT_GATE_CHANGED: process that changed the gate
 * @comm: EVENT_GATE_CHANGED: name of that process
 * @reason: reason given by that process or by the policy; may be empty
 * @guest_event: EVENT_GUEST: name on the bus, e.g. "pool-taken"
 * @vcpu: EVENT_GUEST: vCPU that the report is about
 * @report: EVENT_GUEST: the report
 * @value: EVENT_HOST_MODULE and EVENT_LIBVIRT: value of the property on the bus
 * @version: EVENT_HOST_MODULE: version of the module, may be empty
 */
struct event {
	enum event_kind kind;
	uint64_t now_usec;
	const char *name;
	const char *uuid;
	const char *state;
	struct vcpu_list vcpus;
	const char *rule;
	struct figures inputs;
	bool dry_run;
	int32_t pid;
	const char *comm;
	const char *reason;
	const char *guest_event;
	uint32_t vcpu;
	struct guest_report report;
	const char *value;
	const char *version;
};

#endif
