// SPDX-License-Identifier: GPL-2.0
#include "vm-memory-fields.h"

#include <math.h>
#include <stdio.h>

#include "field.h"
#include "format.h"

static bool known(const struct vm *vm, enum vm_memory figure)
{
	return memory_figure_known(&vm->memory, figure);
}

static const char *bytes(char buffer[static FORMAT_MAX], const struct vm *vm, enum vm_memory figure)
{
	return format_bytes(buffer, vm->memory.value[figure]);
}

static void print_limits(const struct term *term, const struct vm *vm)
{
	char limit[FORMAT_MAX], room[FORMAT_MAX];

	if (known(vm, VM_MEMORY_LIMIT))
		field_printf(term, "Limit", "%s of memory, %s left",
			     bytes(limit, vm, VM_MEMORY_LIMIT), bytes(room, vm, VM_MEMORY_ROOM));
	if (known(vm, VM_MEMORY_HIGH))
		field_printf(term, "Limit", "%s of memory before it is slowed down",
			     bytes(limit, vm, VM_MEMORY_HIGH));
	if (known(vm, VM_MEMORY_SWAP_LIMIT))
		field_printf(term, "Limit", "%s of swap, %s left",
			     bytes(limit, vm, VM_MEMORY_SWAP_LIMIT),
			     bytes(room, vm, VM_MEMORY_SWAP_ROOM));
}

static void print_io(const struct term *term, const struct vm *vm)
{
	const struct pressure *p = &vm->pressure;
	char in[FORMAT_MAX], out[FORMAT_MAX], pages[FORMAT_MAX];

	if (p->known[PRESSURE_SWAPIN_BYTES])
		field_printf(term, "Swap I/O", "%s/s from swap (%s pages/s)",
			     format_bytes(in, (uint64_t)p->figures[PRESSURE_SWAPIN_BYTES]),
			     format_rate(pages, p->figures[PRESSURE_SWAPIN_RATE]));
	if (p->known[PRESSURE_SWAPOUT_BYTES])
		field_printf(term, "Swap I/O", "%s/s to swap (%s pages/s)",
			     format_bytes(out, (uint64_t)p->figures[PRESSURE_SWAPOUT_BYTES]),
			     format_rate(pages, p->figures[PRESSURE_SWAPOUT_RATE]));
}

static void print_places(const struct term *term, const struct vm *vm)
{
	char a[FORMAT_MAX], b[FORMAT_MAX];

	if (known(vm, VM_MEMORY_ACTIVE))
		field_printf(term, "Active", "%s", bytes(a, vm, VM_MEMORY_ACTIVE));
	if (known(vm, VM_MEMORY_ZSWAPPED) && known(vm, VM_MEMORY_ZSWAP) &&
	    vm->memory.value[VM_MEMORY_ZSWAPPED] > 0)
		field_printf(term, "In zswap", "%s, compressed to %s",
			     bytes(a, vm, VM_MEMORY_ZSWAPPED), bytes(b, vm, VM_MEMORY_ZSWAP));
	if (known(vm, VM_MEMORY_ZRAM) && vm->memory.value[VM_MEMORY_ZRAM] > 0)
		field_printf(term, "On zram", "%s", bytes(a, vm, VM_MEMORY_ZRAM));
	for (size_t i = 0; i < vm->nodes.n; i++)
		if (vm->nodes.all[i].bytes > 0)
			field_printf(term, "On node", "%u: %s", vm->nodes.all[i].node,
				     format_bytes(a, vm->nodes.all[i].bytes));
}

void vm_print_memory(const struct term *term, const struct vm *vm)
{
	print_limits(term, vm);
	print_io(term, vm);
	print_places(term, vm);
}

void vm_print_peaks(const struct term *term, const struct vm *vm)
{
	char stalled[FORMAT_MAX], latency[FORMAT_MAX];

	if (isnan(vm->peak_stall_ratio) || vm->peak_latency_usec == UINT64_MAX)
		return;
	field_printf(term, "Peak", "stalled %s, latency up to %s (last minute)",
		     format_share(stalled, vm->peak_stall_ratio),
		     vm->peak_latency_usec > 0 ? format_usec(latency, vm->peak_latency_usec) : "-");
}
