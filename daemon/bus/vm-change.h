/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The methods of org.apfd.VM1 that change a VM. Each is one transaction: polkit gives permission,
 * the module sets the gates, apfd sets the mode, libvirt or apfd stores the mode, apfd answers the
 * caller.
 */
#ifndef APFD_VM_CHANGE_H
#define APFD_VM_CHANGE_H

#include <systemd/sd-bus.h>

/* Handlers for Enable(), Disable(), SetState(), SetMode(); @userdata is the &struct vm. */
int vm_change_enable(sd_bus_message *message, void *userdata, sd_bus_error *error);
int vm_change_disable(sd_bus_message *message, void *userdata, sd_bus_error *error);
int vm_change_set_state(sd_bus_message *message, void *userdata, sd_bus_error *error);
int vm_change_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *error);

/*
 * vm_change_stored: takes the result of virt_write_metadata() or stored_put() with @cookie: the
 * setting is stored, or @error, @what and @text say why not.
 */
void vm_change_stored(void *cookie, int error, const char *what, const char *text);

#endif /* APFD_VM_CHANGE_H */
