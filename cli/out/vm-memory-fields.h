/* SPDX-License-Identifier: GPL-2.0 */
/* The memory figures of a VM in "status". */
#ifndef APFCTL_VM_MEMORY_FIELDS_H
#define APFCTL_VM_MEMORY_FIELDS_H

#include "term.h"
#include "vm.h"

/* vm_print_memory: prints limits, rates, places; what is not known is left out. */
void vm_print_memory(const struct term *term, const struct vm *vm);

/* vm_print_peaks: of the last minute; only for a watched VM. */
void vm_print_peaks(const struct term *term, const struct vm *vm);

#endif
