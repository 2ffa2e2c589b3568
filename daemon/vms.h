/* SPDX-License-Identifier: GPL-2.0 */
/* Adds and removes VMs: those that libvirt reports, and those found in /proc. */
#ifndef APFD_VMS_H
#define APFD_VMS_H

#include <sys/types.h>

#include "foreign.h"
#include "stored.h"
#include "virt.h"

struct manager;
struct vm;

/* Callbacks for virt_new(), foreign_new() and stored_new(); userdata is the &struct manager. */
extern const struct virt_ops vms_virt_ops;
extern const struct foreign_ops vms_foreign_ops;
extern const struct stored_ops vms_stored_ops;

/* vms_remove: announces the end of @vm and frees it. */
void vms_remove(struct manager *m, struct vm *vm);

/* vms_remove_foreign: removes the foreign VM with process @pid, which libvirt manages after all. */
void vms_remove_foreign(struct manager *m, pid_t pid);

/* vms_libvirt_silent: libvirt had the time to answer; see ForeignVMs=auto in apfd.conf(5). */
void vms_libvirt_silent(struct manager *m);
/*
 * vms_give_up: @vm goes on without apfd: its gates are the kernel's again at once. Frees @vm,
 * unless the module does not answer: then a later turn of the event loop or the next tick tries
 * again.
 */
void vms_give_up(struct manager *m, struct vm *vm);

/* vms_request_name: requests the bus name, if all is ready for it and it was not requested yet. */
void vms_request_name(struct manager *m);

/* vms_apply_foreign: starts or stops the search for foreign VMs, as configured. 0 or -errno. */
int vms_apply_foreign(struct manager *m);

#endif /* APFD_VMS_H */
