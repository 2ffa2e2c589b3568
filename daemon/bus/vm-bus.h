/* SPDX-License-Identifier: GPL-2.0 */
/* org.apfd.VM1 at /org/apfd/vm/UUID. */
#ifndef APFD_VM_BUS_H
#define APFD_VM_BUS_H

#include <stdint.h>
#include <systemd/sd-bus.h>

struct decision;
struct gate_change;
struct genl_event;
struct server;
struct vm;

/* vm_bus_register: puts the objects of all VMs on the bus of @s. 0 or -errno. */
int vm_bus_register(struct server *s);

/*
 * vm_bus_added, vm_bus_removed: send InterfacesAdded, InterfacesRemoved; @vm is registered. While
 * the bus does not read, they are sent later, see backlog.h.
 */
void vm_bus_added(struct server *s, struct vm *vm);
void vm_bus_removed(struct server *s, struct vm *vm);

/*
 * vm_bus_publish: sends PropertiesChanged for properties that changed since the last signal.
 * While the bus does not read, nothing is sent: the changes are in a later signal.
 */
void vm_bus_publish(struct server *s, struct vm *vm);

/* vm_bus_property: the bit of the property @name for vm_bus_append(), 0 if there is none. */
uint64_t vm_bus_property(const char *name);

/* vm_bus_append: appends the @wanted properties of @vm to @m, as a{sv}. 0 or -errno. */
int vm_bus_append(sd_bus_message *m, struct vm *vm, uint64_t wanted);

/* For &struct backlog_ops: send at once InterfacesAdded, InterfacesRemoved. 0 or -errno. */
int vm_bus_send_added(struct server *s, struct vm *vm);
int vm_bus_send_removed(struct server *s, const char *path);

/* vm_bus_gate_changing: apfd is about to request @change from the module. */
void vm_bus_gate_changing(struct server *s, struct vm *vm, const struct gate_change *change);

/* vm_bus_gate_changed: the module reports a change of gates. */
void vm_bus_gate_changed(struct server *s, struct vm *vm, const struct genl_event *e);

/* vm_bus_decided: the policy has made the decision @d. */
void vm_bus_decided(struct server *s, struct vm *vm, const struct decision *d);

/* vm_bus_guest_event: sends the signal at once; the module limits the rate of these events. */
void vm_bus_guest_event(struct server *s, struct vm *vm, const struct genl_event *e);

#endif /* APFD_VM_BUS_H */
