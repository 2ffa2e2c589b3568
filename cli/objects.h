/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds the VMs in what an org.freedesktop.DBus.ObjectManager says.
 */
#ifndef APFCTL_OBJECTS_H
#define APFCTL_OBJECTS_H

#include <systemd/sd-bus.h>

/**
 * typedef objects_vm_t - takes a VM
 * @path: its object
 * @m: stands before its properties, an a{sv} that must be read to its end
 * @ret_bad: may be set to the name of a property that is at fault
 * Return: 0, or a negative errno, which ends the reading.
 */
typedef int (*objects_vm_t)(const char *path, sd_bus_message *m, void *userdata,
			    const char **ret_bad);

/* Reads a{sa{sv}}, the interfaces of the object at @path; 0 or a negative errno. */
int object_read(const char *path, sd_bus_message *m, objects_vm_t take, void *userdata,
		const char **ret_bad);

/* The same for a{oa{sa{sv}}}, the reply of GetManagedObjects(). */
int objects_read(sd_bus_message *m, objects_vm_t take, void *userdata, const char **ret_bad);

#endif
