/* SPDX-License-Identifier: GPL-2.0 */
/* The checks of a VM that have their own files, in the order in which they are made. */
#ifndef APFD_DOCTOR_CHECKS_H
#define APFD_DOCTOR_CHECKS_H

#include <limits.h>

#include "doctor-vm.h"
#include "process.h"
#include "vm-manager.h"

/**
 * struct subject - the VM that is checked
 * @v: what the caller knows; its name is quoted for a shell
 * @group: path of its cgroup, "" if not known
 * @v1_group: path of its memory cgroup of version 1, "" if there is none
 * @windows: the guest is a Windows
 */
struct subject {
	const struct doctor_vm *v;
	struct process process;
	struct vm_manager vmm;
	char group[PATH_MAX];
	char v1_group[PATH_MAX];
	bool windows;
};

static inline uint64_t mib(uint64_t bytes)
{
	return bytes >> 20;
}

/* doctor_cpu: what the VM's CPUID offers to the guest. */
void doctor_cpu(const struct subject *s, struct diagnosis *d);

/* doctor_vmm: memory encryption, options of the VMM, nested guests. */
void doctor_vmm(const struct subject *s, struct diagnosis *d);

/* doctor_memory: memory that is never swapped, or not asynchronously. */
void doctor_memory(const struct subject *s, struct diagnosis *d);

/* doctor_numa: whether the VM is bound to a NUMA node that is full. */
void doctor_numa(const struct subject *s, struct diagnosis *d);

/* doctor_limits: limits of the VM's cgroup. */
void doctor_limits(const struct subject *s, struct diagnosis *d);

/* doctor_psi_trigger: whether the kernel notifies apfd of the VM's pressure. */
void doctor_psi_trigger(const struct doctor_vm *v, struct diagnosis *d);

/* doctor_groups: finds the cgroups of @s. */
void doctor_groups(struct subject *s);

/* doctor_group_swap_bytes: memory of the VM's cgroup on swap; 0 if not known. */
uint64_t doctor_group_swap_bytes(const struct subject *s);

#endif /* APFD_DOCTOR_CHECKS_H */
