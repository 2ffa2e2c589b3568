/* SPDX-License-Identifier: GPL-2.0 */
/* Notifications of the module about a VM: changed gates, and reports of the guest's module. */
#ifndef APFD_VM_EVENT_H
#define APFD_VM_EVENT_H

#include <uapi/apf_host.h>

struct genl_event;
struct vm;

/* vm_gate_changed: the module reports a change of gates. */
void vm_gate_changed(struct vm *vm, const struct genl_event *e);

/* vm_guest_event: the module reports a change of the guest's report about a vCPU. */
void vm_guest_event(struct vm *vm, const struct genl_event *e);

/* vm_guest_event_to_string: name of an event about a guest's report; NULL for other events. */
const char *vm_guest_event_to_string(enum apf_event type);

#endif /* APFD_VM_EVENT_H */
