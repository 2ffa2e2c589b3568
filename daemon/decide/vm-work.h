/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Work for VMs that needs the module or many files. It is done at once while there is time in this
 * turn of the event loop, and else in later turns, so that work for thousands of VMs does not hold
 * up the loop: neither its callers on the bus nor the watchdog.
 */
#ifndef APFD_VM_WORK_H
#define APFD_VM_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

struct context;
struct vm;

enum vm_work {
	VM_WORK_ATTACH = 1 << 0,  /* find the process, let the module watch the VM */
	VM_WORK_APPLY = 1 << 1,	  /* decide again about all vCPUs */
	VM_WORK_GIVE_UP = 1 << 2, /* context_ops.give_up, which ends the VM */
	VM_WORK_RESTORE = 1 << 3, /* context_ops.restore */
	VM_WORK_WATCHED = 1 << 4, /* context_ops.watched, which had no time for it before */
	VM_WORK_ANNOUNCE = 1 << 5, /* context_ops.announce; after VM_WORK_ATTACH */
};

/**
 * struct vm_works - the VMs with work, in the order in which they are served
 * @source: the next turn
 * @iteration, @end_usec: until when this turn of the loop may be used
 */
struct vm_works {
	TAILQ_HEAD(, vm) list;
	sd_event_source *source;
	uint64_t iteration;
	uint64_t end_usec;
};

void vm_works_init(struct context *c);
void vm_works_done(struct context *c);

/* vm_works_empty: all work is done; if not, context_ops.work_done tells when it is. */
bool vm_works_empty(const struct context *c);

/*
 * vm_work: the work @what is to be done for @vm, now or later. With VM_WORK_GIVE_UP, @vm may be
 * freed when this returns; VM_WORK_ATTACH may free a VM that libvirt does not know, but not @vm.
 */
void vm_work(struct vm *vm, unsigned int what);

/* vm_work_cancel: less to do. Also for a VM that is about to be freed. */
void vm_work_cancel(struct vm *vm, unsigned int what);

#endif /* APFD_VM_WORK_H */
