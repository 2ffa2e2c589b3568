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
	if (vm->memory.shared && !shared)
		refresh_sharers(vm);
}
