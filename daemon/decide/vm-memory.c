/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-memory.h"

#include <math.h>

#include "context.h"
#include "vm.h"

static void on_waited(void *userdata)
{
	struct vm *vm = userdata;

	vm->context->ops->waited(vm, vm->context->userdata);
}

/* The figures of @vm's control group were taken for those of another VM: read that one soon. */
static void refresh_sharers(const struct vm *vm)
{
	struct context *c = vm->context;
	struct vm *other;

	REGISTRY_FOREACH(other, &c->vms)
	if (!other->memory.shared && other->memory.cgroup &&
	    cgroup_users_count(&c->cgroup_users, cgroup_path(other->memory.cgroup)) > 1)
		other->memory.active = true;
}

/*
 * Of zram the kernel has no figure for a control group. If all swap in use is zram, whatever the VM
 * has on swap and not in zswap is there; if there is none, nothing is. Else this is not known.
 */
static bool is_all_zram(const struct swapdevs *swap, bool *ret_none)
{
	bool any = false, all = true;

	for (size_t i = 0; i < swap->n; i++) {
		if (swap->dev[i].used_bytes == 0)
			continue;
		any = any || swap->dev[i].kind == SWAPDEV_ZRAM;
		all = all && swap->dev[i].kind == SWAPDEV_ZRAM;
	}
	*ret_none = !any;
	return any && all;
}

static void add_zram(struct memory_figures *f, const struct vm *vm)
{
	uint64_t swapped_bytes = vm->view.swapped.bytes, zswapped_bytes = 0;
	bool none;

	if (vm->view.swapped.source == MEMORY_SOURCE_UNKNOWN)
		return;
	if (memory_figure_known(f, VM_MEMORY_ZSWAPPED))
		zswapped_bytes = MIN_OF(f->value[VM_MEMORY_ZSWAPPED], swapped_bytes);
	if (is_all_zram(&vm->context->swap, &none))
		memory_figure_set(f, VM_MEMORY_ZRAM, swapped_bytes - zswapped_bytes);
	else if (none)
		memory_figure_set(f, VM_MEMORY_ZRAM, 0);
}

static void add_facts(struct memory_figures *f, const struct cgroup_facts *facts)
{
	const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	const struct {
		unsigned int bit;
		enum vm_memory figure;
		uint64_t value;
	} rows[] = {
		{ CGROUP_SWAPINS, VM_MEMORY_SWAPPED_IN, facts->swapins * page_bytes },
		{ CGROUP_SWAPOUTS, VM_MEMORY_SWAPPED_OUT, facts->swapouts * page_bytes },
		{ CGROUP_REFAULTS, VM_MEMORY_REFAULTS, facts->refaults },
		{ CGROUP_ACTIVATIONS, VM_MEMORY_ACTIVATIONS, facts->activations },
		{ CGROUP_MAJOR_FAULTS, VM_MEMORY_MAJOR_FAULTS, facts->major_faults },
		{ CGROUP_SOME_TOTAL, VM_MEMORY_SOME, facts->some_usec },
		{ CGROUP_FULL_TOTAL, VM_MEMORY_FULL, facts->full_usec },
		{ CGROUP_ACTIVE, VM_MEMORY_ACTIVE, facts->active_anon_bytes },
		{ CGROUP_ZSWAP, VM_MEMORY_ZSWAP, facts->zswap_bytes },
		{ CGROUP_ZSWAPPED, VM_MEMORY_ZSWAPPED, facts->zswapped_bytes },
	};

	for (size_t i = 0; i < ELEMENTSOF(rows); i++)
		if (facts->known & rows[i].bit)
			memory_figure_set(f, rows[i].figure, rows[i].value);
}

static void update_figures(struct vm *vm)
{
	const struct cgroup_limits *limits = &vm->memory.limits;
	struct memory_figures f = {};

	add_facts(&f, &vm->memory.pressure.facts);
	add_zram(&f, vm);
	if (limits->max.limited) {
		memory_figure_set(&f, VM_MEMORY_LIMIT, limits->max.limit_bytes);
		memory_figure_set(&f, VM_MEMORY_ROOM, limits->max.room_bytes);
	}
	if (limits->high.limited)
		memory_figure_set(&f, VM_MEMORY_HIGH, limits->high.limit_bytes);
	if (limits->swap.limited) {
		memory_figure_set(&f, VM_MEMORY_SWAP_LIMIT, limits->swap.limit_bytes);
		memory_figure_set(&f, VM_MEMORY_SWAP_ROOM, limits->swap.room_bytes);
	}
	vm->memory_figures = f;
}

void vm_read_memory(struct vm *vm, uint64_t now_usec)
{
	struct pressure_reading reading = {
		.stall_ratio = NAN,
		.swapin_rate = NAN,
		.waiting = vm->waiting,
	};
	const struct memory_env env = {
		.event = vm->context->event,
		.proc_root = vm->context->proc_root,
		.cgroup_root = vm->context->cgroup_root,
		.users = &vm->context->cgroup_users,
		.pid = (pid_t)vm->view.pid,
		.name = vm->name,
		.waited = on_waited,
		.userdata = vm,
	};
	bool shared = vm->memory.shared;

	if (!vm->view.pid)
		return;
	if (vm->have_sample) {
		reading.stall_ratio = vm->view.figures.stall_ratio;
		reading.swapin_rate = vm->view.figures.async_rate + vm->view.figures.sync_rate;
	}
	memory_read(&vm->memory, &env, &reading, now_usec, &vm->view.swapped,
		    vm->view.pressure);
	update_figures(vm);
	if (vm->memory.shared && !shared)
		refresh_sharers(vm);
}
