/* SPDX-License-Identifier: GPL-2.0 */
/* Reads the counters of a VM's vCPUs from the module, for the VM and its governor. */
#ifndef APFD_VM_VCPUS_H
#define APFD_VM_VCPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct genl_vcpu;
struct genl_vm;
struct vm;

/*
 * vm_update_vcpus: updates @vm with the module's records of all its vCPUs, read at @at_usec
 * (CLOCK_MONOTONIC); @vcpus is sorted by index. 0 or -ENOMEM.
 */
int vm_update_vcpus(struct vm *vm, const struct genl_vcpu *vcpus, size_t n, uint64_t at_usec);

/*
 * vm_update_sums: updates @vm with @listed, its record in the module's listing of VMs. Returns
 * true if the vCPUs must be read, because one of them may have changed. Until they are read with
 * success, this stays so.
 */
bool vm_update_sums(struct vm *vm, const struct genl_vm *listed);

/*
 * vm_not_read: the vCPUs could not be read, so that the figures of the interval are not known,
 * which is not the same as calm.
 */
void vm_not_read(struct vm *vm);

/*
 * vm_skip_interval: the vCPUs did not have to be read, so the interval that ends at @now_usec
 * had no swap-ins.
 */
void vm_skip_interval(struct vm *vm, uint64_t now_usec);

/* vm_read_vcpus: reads the vCPUs of this VM from the module. 0 or -errno. */
int vm_read_vcpus(struct vm *vm);

#endif /* APFD_VM_VCPUS_H */
