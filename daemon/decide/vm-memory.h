/* SPDX-License-Identifier: GPL-2.0 */
/* The memory figures of a VM, from the files of its process and its control group. */
#ifndef APFD_VM_MEMORY_H
#define APFD_VM_MEMORY_H

#include <stdint.h>

struct vm;

/* vm_read_memory: reads these files; does nothing while the process is not known. */
void vm_read_memory(struct vm *vm, uint64_t now_usec);

#endif /* APFD_VM_MEMORY_H */
