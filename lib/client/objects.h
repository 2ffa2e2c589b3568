/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds the VMs in messages of org.freedesktop.DBus.ObjectManager and in the reply of ListVMs().
 */
#ifndef APFCTL_OBJECTS_H
#define APFCTL_OBJECTS_H

#include <systemd/sd-bus.h>

/**
 * typedef object_vm_fn - reads a VM
 * @path: D-Bus object of the VM
 * @m: positioned before the VM's properties, an a{sv} that must be read to its end
 * @ret_bad: may be set to the name of the property that cannot be read
 * Return: 0, or a negative errno, which ends the reading.
 */
typedef int (*object_vm_fn)(const char *path, sd_bus_message *m, void *userdata,
			    const char **ret_bad);

/* Reads a{sa{sv}}, the interfaces of the object at @path; 0 or a negative errno. */
int object_read(const char *path, sd_bus_message *m, object_vm_fn read_vm, void *userdata,
		const char **ret_bad);

/*
 * The same for all VMs: for a{oa{sv}}, the reply of ListVMs(), and for a{oa{sa{sv}}}, the reply of
 * GetManagedObjects().
 */
int objects_read(sd_bus_message *m, object_vm_fn read_vm, void *userdata, const char **ret_bad);

#endif
