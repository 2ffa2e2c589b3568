/* SPDX-License-Identifier: GPL-2.0 */
/* org.apfd.VM1 at /org/apfd/vm/UUID. */
#ifndef APFD_VM_BUS_H
#define APFD_VM_BUS_H

#include <systemd/sd-bus.h>

#include "genl-parse.h"
#include "policy.h"

struct manager;
struct vm;

/* vm_bus_register: serves the VMs of @m on its bus. */
int vm_bus_register(struct manager *m);

/* vm_bus_added, vm_bus_removed: InterfacesAdded, InterfacesRemoved; @vm is in the list. */
void vm_bus_added(struct vm *vm);
void vm_bus_removed(struct vm *vm);

/* vm_bus_publish: PropertiesChanged for what differs from the last one, if anything. */
void vm_bus_publish(struct vm *vm);

/* vm_bus_gate_changing: the module is about to be asked; no indices: the whole VM. */
void vm_bus_gate_changing(struct vm *vm, enum apf_state state, const uint32_t *indices,
			  size_t n_indices, const char *reason);

void vm_bus_gate_changed(struct vm *vm, const struct genl_event *e);

/* vm_bus_decided: by the policy; with @dry_run nothing follows from it. */
void vm_bus_decided(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices,
		    enum policy_rule rule, const char *reason, const struct policy_figures *f,
		    bool dry_run);

/* vm_bus_guest_event: at once; the module paces its events. */
void vm_bus_guest_event(struct vm *vm, const struct genl_event *e);

/* vm_bus_mode_kept: libvirt has, or has not, taken a setting; the result of virt_write_metadata().
 */
void vm_bus_mode_kept(void *cookie, int error, const char *text);

#endif /* APFD_VM_BUS_H */
