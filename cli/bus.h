/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything between apfctl and apfd. All functions return an exit status.
 */
#ifndef APFCTL_BUS_H
#define APFCTL_BUS_H

#include "apfctl.h"
#include "check.h"
#include "decision.h"
#include "vm.h"

#define BUS_NAME	  "org.apfd"
#define MANAGER_PATH	  "/org/apfd"
#define MANAGER_INTERFACE "org.apfd.Manager1"
#define VM_INTERFACE	  "org.apfd.VM1"

/*
 * Turn the error of a call about @subject ("" for none), and a message that tells
 * of @what something wrong (of property @bad, NULL if it is none), into words.
 */
int bus_fail_call(struct apfctl *ctl, const char *subject, const sd_bus_error *error, int r);
int bus_fail_message(struct apfctl *ctl, const char *what, const char *bad, int r);

/* Connects to the system bus (DBUS_SYSTEM_BUS_ADDRESS) unless that was done. */
int bus_open(struct apfctl *ctl);

/**
 * bus_find_vm() - asks apfd for a VM
 * @vm: name, UUID or libvirt id
 * @ret_path: its object, to be freed
 */
int bus_find_vm(struct apfctl *ctl, const char *vm, char **ret_path);

int bus_read_host(struct apfctl *ctl, struct host *host);
int bus_read_vms(struct apfctl *ctl, struct vm_list *list);
int bus_read_vm(struct apfctl *ctl, const char *name, const char *path, struct vm *vm);

/**
 * bus_read_vcpus() - per-vCPU figures
 * @ret_available: false if apfd has none, because the module is absent or does
 *	not watch the VM; that is no failure
 */
int bus_read_vcpus(struct apfctl *ctl, const char *name, const char *path, struct vcpu_array *vcpus,
		   bool *ret_available);

int bus_read_explanations(struct apfctl *ctl, const char *name, const char *path,
			  struct explanations *explanations);
int bus_read_decisions(struct apfctl *ctl, const char *name, const char *path,
		       struct decisions *decisions);

/*
 * Sets the VM, or only ctl->vcpus if there are any, to @mode, for good if
 * ctl->persistent. Needs an apfd that knows modes only for what is no mere state.
 */
int bus_set_mode(struct apfctl *ctl, const char *name, const char *path, const char *mode);

/* The call for that, without arguments that depend on how it is made. */
int bus_new_set_mode(struct apfctl *ctl, const char *path, const char *mode,
		     sd_bus_message **ret_m);

/* Lets apfd read its configuration again. */
int bus_reload(struct apfctl *ctl);

/* What apfd finds of the object at @path, by its @interface's Diagnose(). */
int bus_diagnose(struct apfctl *ctl, const char *subject, const char *path, const char *interface,
		 struct check_list *list);

#endif
