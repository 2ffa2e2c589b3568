/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What "monitor" prints. Pure but for print: a new kind is one more row of a table.
 */
#ifndef APFCTL_EVENT_H
#define APFCTL_EVENT_H

#include <stdint.h>

#include "apfctl.h"
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
 * struct event - one of them; strings are lent
 * @now_usec: when it was heard of, microseconds since the epoch
 * @name: of the VM, may be empty; NULL if it is about none
 * @uuid: of the VM, NULL if it is about none
 * @state: EVENT_DECIDED and EVENT_GATE_*: the new state
 * @vcpus: whose; empty for the whole VM
 * @rule: EVENT_DECIDED: of the policy
 * @inputs: EVENT_DECIDED: what it looked at
 * @dry_run: EVENT_DECIDED: it stays a decision
 * @pid: EVENT_GATE_CHANGED: who asked the module
 * @comm: its name
 * @reason: its words, or those of the policy; may be empty
 * @guest_event: EVENT_GUEST: as on the bus, e.g. "pool-taken"
 * @vcpu: whose
 * @report: what it reports
 * @value: EVENT_HOST_MODULE and EVENT_LIBVIRT: as on the bus
 * @version: EVENT_HOST_MODULE: of the module, may be empty
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

/* Writes one line and hands it over at once; returns an exit status. */
int event_print(const struct apfctl *ctl, const struct event *event);

#endif
