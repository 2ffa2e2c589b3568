/* SPDX-License-Identifier: GPL-2.0 */
/* Handlers for the methods of org.apfd.VM1 that answer with a list. */
#ifndef APFD_VM_LISTS_H
#define APFD_VM_LISTS_H

#include <systemd/sd-bus.h>

/* GetVCPUs(), Explain(), History(); @userdata is the &struct vm. */
int vm_list_vcpus(sd_bus_message *message, void *userdata, sd_bus_error *error);
int vm_list_reasons(sd_bus_message *message, void *userdata, sd_bus_error *error);
int vm_list_decisions(sd_bus_message *message, void *userdata, sd_bus_error *error);

#endif /* APFD_VM_LISTS_H */
