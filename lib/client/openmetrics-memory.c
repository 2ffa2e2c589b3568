// SPDX-License-Identifier: GPL-2.0
/* The metrics about memory: of the host, and of the VMs' control groups. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "openmetrics-family.h"

/* Totals of microseconds, printed as seconds; all other figures are printed as they are. */
static bool is_usec(const struct subject *s, unsigned int figure)
{
	return s ? figure == VM_MEMORY_SOME || figure == VM_MEMORY_FULL
		 : figure == HOST_MEMORY_SOME || figure == HOST_MEMORY_FULL;
}

static void print_figure(const struct out *o, const struct family *f, const struct subject *s,
			 unsigned int figure, const char *extra)
{
	const struct memory_figures *memory = s ? &s->vm->memory : &o->data->host->memory;

	if (!memory_figure_known(memory, figure))
		return;
	if (!is_usec(s, figure)) {
		family_print_count(o, f, s, extra, memory->value[figure]);
		return;
	}
	family_print_head(o, f, "", s, extra);
	family_print_fraction(o, memory->value[figure], USEC_PER_SEC, 6);
}

static void print_memory(const struct out *o, const struct family *f, const struct subject *s)
{
	print_figure(o, f, s, f->arg, NULL);
}

static void print_stall(const struct out *o, const struct family *f, const struct subject *s)
{
	unsigned int some = s ? (unsigned int)VM_MEMORY_SOME : (unsigned int)HOST_MEMORY_SOME;
	unsigned int full = s ? (unsigned int)VM_MEMORY_FULL : (unsigned int)HOST_MEMORY_FULL;

	print_figure(o, f, s, some, "kind=\"some\"");
	print_figure(o, f, s, full, "kind=\"full\"");
}

static void print_nodes(const struct out *o, const struct family *f, const struct subject *s)
{
	const struct nodes_memory *nodes = s ? &s->vm->nodes : &o->data->host->nodes;

	for (size_t i = 0; i < nodes->n; i++) {
		const struct node_memory *node = &nodes->all[i];
		char extra[32];

		snprintf(extra, sizeof(extra), "node=\"%" PRIu32 "\"", node->node);
		family_print_count(o, f, s, extra, f->arg ? node->free_bytes : node->bytes);
	}
}

static void print_state(const struct out *o, const struct family *f, const struct subject *s)
{
	const char *values[_MEMORY_STATE_MAX + 1] = {};

	for (unsigned int i = 0; i < _MEMORY_STATE_MAX; i++)
		values[i] = memory_state_names[i];
	if (o->data->host->memory_state)
		family_print_set(o, f, s, "state", values, o->data->host->memory_state);
}

static void print_peak_stall(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->vm->watched || isnan(s->vm->peak_stall_ratio))
		return;
	family_print_head(o, f, "", s, NULL);
	fprintf(o->file, "%.15g\n", s->vm->peak_stall_ratio);
}

static void print_peak_latency(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->vm->watched || s->vm->peak_latency_usec == UINT64_MAX)
		return;
	family_print_head(o, f, "", s, NULL);
	family_print_fraction(o, s->vm->peak_latency_usec, USEC_PER_SEC, 6);
}

/* clang-format off */
const struct family memory_families[] = {
	{ "host_memory_state", GAUGE, NULL, OF_HOST, print_state, 0,
	  "1 for the state of the host's memory, 0 for the others; the rule is in org.apfd(5)." },
	{ "host_memory_size_bytes", GAUGE, "bytes", OF_HOST, print_memory, HOST_MEMORY_TOTAL,
	  "Memory of the host." },
	{ "host_memory_free_bytes", GAUGE, "bytes", OF_HOST, print_memory, HOST_MEMORY_FREE,
	  "Free memory of the host." },
	{ "host_memory_available_bytes", GAUGE, "bytes", OF_HOST, print_memory,
	  HOST_MEMORY_AVAILABLE,
	  "Memory of the host that can be used without swapping." },
	{ "host_zswap_bytes", GAUGE, "bytes", OF_HOST, print_memory, HOST_MEMORY_ZSWAP,
	  "Memory that zswap uses." },
	{ "host_zswapped_bytes", GAUGE, "bytes", OF_HOST, print_memory, HOST_MEMORY_ZSWAPPED,
	  "Size of the pages in zswap before they were compressed." },
	{ "host_swapped_in_bytes", COUNTER, "bytes", OF_HOST, print_memory,
	  HOST_MEMORY_SWAPPED_IN,
	  "Bytes read from swap devices." },
	{ "host_swapped_out_bytes", COUNTER, "bytes", OF_HOST, print_memory,
	  HOST_MEMORY_SWAPPED_OUT,
	  "Bytes written to swap devices." },
	{ "host_scanned_pages", COUNTER, "pages", OF_HOST, print_memory, HOST_MEMORY_SCANNED,
	  "Pages that the kernel looked at to reclaim them." },
	{ "host_direct_scanned_pages", COUNTER, "pages", OF_HOST, print_memory,
	  HOST_MEMORY_DIRECT_SCANNED,
	  "Pages that tasks looked at to reclaim them, because they needed memory at once." },
	{ "host_refault_pages", COUNTER, "pages", OF_HOST, print_memory, HOST_MEMORY_REFAULTS,
	  "Anonymous pages that were read back soon after they were reclaimed." },
	{ "host_memory_stall_seconds", COUNTER, "seconds", OF_HOST, print_stall, 0,
	  "Time in which some tasks, or all tasks, waited for memory." },
	{ "host_node_memory_size_bytes", GAUGE, "bytes", OF_HOST, print_nodes, 0,
	  "Memory of a NUMA node." },
	{ "host_node_memory_free_bytes", GAUGE, "bytes", OF_HOST, print_nodes, 1,
	  "Free memory of a NUMA node." },

	{ "peak_stall_ratio", GAUGE, "ratio", OF_VM, print_peak_stall, 0,
	  "Highest share of vCPU time spent in synchronous swap-ins, of the last minute." },
	{ "peak_swapin_latency_seconds", GAUGE, "seconds", OF_VM, print_peak_latency, 0,
	  "No swap-in of the last minute took longer; a power of two of a microsecond." },
	{ "memory_limit_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_LIMIT,
	  "Lowest memory.max of the VM's control group and those above it." },
	{ "memory_room_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_ROOM,
	  "Memory that can be added before a limit is reached." },
	{ "memory_high_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_HIGH,
	  "Lowest memory.high of the VM's control group and those above it." },
	{ "memory_swap_limit_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_SWAP_LIMIT,
	  "Lowest memory.swap.max of the VM's control group and those above it." },
	{ "memory_swap_room_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_SWAP_ROOM,
	  "Swap that can be added before a limit is reached." },
	{ "memory_swapped_in_bytes", COUNTER, "bytes", OF_VM, print_memory, VM_MEMORY_SWAPPED_IN,
	  "Bytes read from swap devices for the VM's control group; Linux 6.13 and later." },
	{ "memory_swapped_out_bytes", COUNTER, "bytes", OF_VM, print_memory,
	  VM_MEMORY_SWAPPED_OUT,
	  "Bytes of the VM's control group written to swap devices; Linux 6.13 and later." },
	{ "memory_refault_pages", COUNTER, "pages", OF_VM, print_memory, VM_MEMORY_REFAULTS,
	  "Anonymous pages that were read back soon after they were reclaimed." },
	{ "memory_activation_pages", COUNTER, "pages", OF_VM, print_memory, VM_MEMORY_ACTIVATIONS,
	  "Those of these pages that the kernel took for a part of the working set." },
	{ "memory_major_faults", COUNTER, NULL, OF_VM, print_memory, VM_MEMORY_MAJOR_FAULTS,
	  "Major faults of the VM's control group, or of its process without one." },
	{ "memory_stall_seconds", COUNTER, "seconds", OF_VM, print_stall, 0,
	  "Time in which some tasks, or all tasks, of the VM waited for memory." },
	{ "memory_active_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_ACTIVE,
	  "Anonymous memory on the kernel's active list." },
	{ "memory_zswap_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_ZSWAP,
	  "Memory that zswap uses for the VM." },
	{ "memory_zswapped_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_ZSWAPPED,
	  "Size of the VM's pages in zswap before they were compressed." },
	{ "memory_zram_bytes", GAUGE, "bytes", OF_VM, print_memory, VM_MEMORY_ZRAM,
	  "Size of the VM's pages on zram before they were compressed." },
	{ "memory_node_bytes", GAUGE, "bytes", OF_VM, print_nodes, 0,
	  "Anonymous and shared memory of the VM on a NUMA node." },
};
/* clang-format on */

const size_t n_memory_families = sizeof(memory_families) / sizeof(memory_families[0]);
