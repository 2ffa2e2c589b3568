/* SPDX-License-Identifier: GPL-2.0 */
/* Remedies in the words of the VM's manager: the command, file or option to change. */
#ifndef APFD_REMEDY_H
#define APFD_REMEDY_H

#include "diagnosis.h"
#include "process.h"
#include "vm-manager.h"

enum remedy {
	REMEDY_HIDDEN,	   /* do not hide KVM */
	REMEDY_HUGE_PAGES, /* no huge pages */
	REMEDY_LOCKED,	   /* no locked memory */
	REMEDY_DEVICES,	   /* virtio devices instead of devices of the host */
	REMEDY_SHARED,	   /* no shared memory */
	REMEDY_FILE,	   /* no memory in a file */
	REMEDY_NODES,	   /* memory from all NUMA nodes */
	REMEDY_ENCRYPTION, /* no encryption */
	_REMEDY_MAX
};

/* remedy_add: sets the remedy of the finding that was added last. */
void remedy_add(enum remedy remedy, const struct vm_manager *vmm, struct diagnosis *d);

/* remedy_asyncpf_int: the same, to offer kvm-asyncpf-int in the VM's CPUID. */
void remedy_asyncpf_int(const struct vm_manager *vmm, const struct process *p, struct diagnosis *d);

/*
 * remedy_swap_limit: the same, to let the VM swap.
 * @group: path of the cgroup that forbids it
 * @swap_hard_limit: libvirt has set the limit
 */
void remedy_swap_limit(const struct vm_manager *vmm, const char *group, bool swap_hard_limit,
		       struct diagnosis *d);

#endif /* APFD_REMEDY_H */
