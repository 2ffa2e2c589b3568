/* SPDX-License-Identifier: GPL-2.0 */
/* Finds the process of a VM, and asks the module to watch the KVM VM of this process. */
#ifndef APFD_VM_ATTACH_H
#define APFD_VM_ATTACH_H

#include "vm-identity.h"

struct context;
struct vm;

/*
 * vm_new_foreign: as vm_new(), for the process @p under the name and UUID in @shown; takes the
 * pidfd from @p. 0 or -errno.
 */
int vm_new_foreign(struct context *c, struct foreign_process *p, const struct vm_shown *shown,
		   struct vm **ret);

/*
 * vm_attach: finds the process and asks the module to watch the VM, at once or in a later turn of
 * the event loop (vm-work.h); if this fails, it is retried later. Does nothing if the module
 * watches the VM already.
 */
void vm_attach(struct vm *vm);

/* vm_attach_new: as vm_attach(), and announces the VM then (VM_WORK_ANNOUNCE). */
void vm_attach_new(struct vm *vm);

/* vm_attach_now: does what vm_attach() asks for; with the time of this turn of the event loop. */
void vm_attach_now(struct vm *vm);

/*
 * vm_watch_lost: the module reported that the KVM VM was destroyed. Usually the process ends now;
 * if not, the process may create a new KVM VM, so vm_attach() is retried later.
 */
void vm_watch_lost(struct vm *vm);

#endif /* APFD_VM_ATTACH_H */
