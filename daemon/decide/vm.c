/* SPDX-License-Identifier: GPL-2.0 */
#include "vm.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "context.h"
#include "names.h"
#include "vm-log.h"

const char *vm_state_to_string(enum vm_state state)
{
	static const char *const table[] = {
		[VM_STATE_OFF] = NAME_OFF,	   [VM_STATE_PV] = NAME_PV,
		[VM_STATE_ON] = NAME_ON,	   [VM_STATE_MIXED] = NAME_MIXED,
		[VM_STATE_UNKNOWN] = NAME_UNKNOWN,
	};

	return table[state];
}

int vm_state_from_string(const char *s, enum apf_state *ret)
{
	for (int i = 0; i <= APF_STATE_MAX; i++)
		if (streq(s, vm_state_to_string((enum vm_state)i))) {
			*ret = (enum apf_state)i;
			return 0;
		}
	return -EINVAL;
}

const char *vm_guest_module_to_string(enum vm_guest_module state)
{
	static const char *const table[] = {
		[VM_GUEST_MODULE_ABSENT] = NAME_ABSENT,
		[VM_GUEST_MODULE_PRESENT] = NAME_PRESENT,
		[VM_GUEST_MODULE_UNKNOWN] = NAME_UNKNOWN,
	};

	return table[state];
}

int vm_new(struct context *c, const struct virt_domain *d, bool has_pid_file, struct vm **ret)
{
	_cleanup_(vm_freep) struct vm *vm = NULL;

	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->context = c;
	vm->pidfd = -1;
	vm->vm_fd = -1;
	vm->has_pid_file = has_pid_file;
	memcpy(vm->uuid, d->uuid, sizeof(vm->uuid));
	uuid_to_path(vm->uuid, vm->path);
	vm->view.libvirt_id = d->id;
	vm->view.state = VM_STATE_UNKNOWN;
	vm->view.guest_module = VM_GUEST_MODULE_UNKNOWN;
	vm->waiting = NAN;
	pressure_none(vm->view.pressure);
	vm->published = vm->view;
	vm->settings.config = vm->settings.own = SETTINGS_NONE;
	snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "it is just starting");
	vm->name = strdup(d->name);
	if (!vm->name)
		return -ENOMEM;
	*ret = TAKE_PTR(vm);
	return 0;
}

void vm_clear_process(struct vm *vm)
{
	memory_reset(&vm->memory, vm->view.pressure);
	vm->exit_source = sd_event_source_disable_unref(vm->exit_source);
	vm->pidfd = safe_close(vm->pidfd);
	vm->executable_changed = vm->executable_changed || vm->executable;
	free(vm->executable);
	vm->executable = NULL;
	vm->view.pid = 0;
	vm->memory_figures = (struct memory_figures){};
	vm->view.swapped = (struct memory_swapped){ .source = MEMORY_SOURCE_UNKNOWN };
}

struct vm *vm_free(struct vm *vm)
{
	if (!vm)
		return NULL;
	vm_clear_process(vm);
	sd_event_source_disable_unref(vm->retry_source);
	free(vm->governor.vcpus);
	history_done(&vm->governor.history);
	settings_done(&vm->settings.config);
	settings_done(&vm->settings.own);
	free(vm->executable);
	free(vm->identity);
	free(vm->vcpus);
	free(vm->name);
	free(vm);
	return NULL;
}

void vm_update_state(struct vm *vm)
{
	vm->view.state = vm->module_id ? (int)vm->gate : VM_STATE_UNKNOWN;
	for (size_t i = 0; vm->module_id && i < vm->n_vcpus; i++)
		if (vm->vcpus[i].state != vm->gate)
			vm->view.state = VM_STATE_MIXED;
}

/* The sums may wrap, as the guest's own totals do. */
void vm_update_guest(struct vm *vm)
{
	uint32_t sum[APF_GUEST_A_MAX + 1] = {};
	bool present = false;

	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct genl_guest *guest = &vm->vcpus[i].guest;

		if (!guest->present)
			continue;
		present = true;
		for (int k = APF_GUEST_A_UNSPEC + 1; k <= APF_GUEST_A_MAX; k++)
			if (k == APF_GUEST_A_OLDEST_SLEEPER_MSEC)
				sum[k] = MAX_OF(sum[k], guest->value[k]);
			else if (k != APF_GUEST_A_AGE_MSEC)
				sum[k] += guest->value[k];
	}
	memcpy(vm->view.guest, sum, sizeof(sum));
	vm->view.guest_module = !vm->module_id ? VM_GUEST_MODULE_UNKNOWN
				: present      ? VM_GUEST_MODULE_PRESENT
					       : VM_GUEST_MODULE_ABSENT;
}

void vm_set_paused(struct vm *vm, struct genl_vcpu *vcpu, bool paused)
{
	if (vcpu->paused != paused)
		vm->paused_changed = true;
	vcpu->paused = paused;
}

void vm_unpause_all(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_vcpus; i++)
		vm_set_paused(vm, &vm->vcpus[i], false);
}

void vm_unwatch(struct vm *vm, const char *why)
{
	snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "%s", why);
	vm->access_refused = false;
	if (!vm->module_id)
		return;
	log_vm(LOG_INFO, 0, vm, "VM %s is no longer watched: %s", vm->name, why);
	vm->module_id = 0;
	vm->view.watched = 0;
	vm->view.since_usec = 0;
	vm->view.outstanding = 0;
	memset(&vm->view.figures, 0, sizeof(vm->view.figures));
	memset(&vm->view.totals, 0, sizeof(vm->view.totals));
	vm->waiting = NAN;
	vm->peak_stall_ratio = vm->peak_latency_usec = (struct peak){};
	vm->have_sample = false;
	vm->vcpu_states_changed = vm->vcpu_states_changed || vm->n_vcpus > 0;
	vm_unpause_all(vm);
	free(vm->vcpus);
	vm->vcpus = NULL;
	vm->n_vcpus = 0;
	vm_update_state(vm);
	vm_update_guest(vm);
}

void vm_lease_set(struct vm *vm, bool leased, const uint32_t *indices, size_t n_indices)
{
	if (n_indices == 0)
		vm->leased = leased;
	for (size_t j = 0; j < vm->n_vcpus; j++) {
		if (n_indices == 0)
			vm->vcpus[j].leased = leased;
		for (size_t i = 0; i < n_indices; i++)
			if (vm->vcpus[j].index == indices[i])
				vm->vcpus[j].leased = leased;
	}
}

void vm_gate_set(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices)
{
	vm->gate_usec = clock_usec(CLOCK_MONOTONIC);
	if (n_indices == 0) {
		vm->gate = state;
		for (size_t i = 0; i < vm->n_vcpus; i++) {
			if (vm->vcpus[i].state != state)
				vm->vcpu_states_changed = true;
			vm->vcpus[i].state = state;
		}
	}
	/* A vCPU that was added after the last reading is added with the next one. */
	for (size_t i = 0; i < n_indices; i++)
		for (size_t j = 0; j < vm->n_vcpus; j++)
			if (vm->vcpus[j].index == indices[i] && vm->vcpus[j].state != state) {
				vm->vcpus[j].state = state;
				vm->vcpu_states_changed = true;
			}
	vm_update_state(vm);
}

void vm_dump(const struct vm *vm)
{
	char gates[64] = "", swapped[64] = "not known how much is";
	size_t of_state[APF_STATE_MAX + 1] = {}, paused = 0;

	for (size_t i = 0; i < vm->n_vcpus; i++) {
		of_state[vm->vcpus[i].state]++;
		paused += vm->vcpus[i].paused;
	}
	snprintf(gates, sizeof(gates), "%zu off, %zu pv, %zu on, %zu paused",
		 of_state[APF_STATE_OFF], of_state[APF_STATE_PV], of_state[APF_STATE_ON], paused);
	if (vm->view.swapped.source != MEMORY_SOURCE_UNKNOWN)
		snprintf(swapped, sizeof(swapped), "%" PRIu64 " bytes", vm->view.swapped.bytes);
	log_fields(LOG_NOTICE, 0,
		   ((const struct log_field[]){
			   { "APF_VM", vm->name },
			   { "APF_UUID", vm->uuid },
			   { "APF_STATE", vm_state_to_string((enum vm_state)vm->view.state) },
			   { "APF_MODE", policy_mode_to_string(vm_mode(vm)) },
			   { "APF_MODE_SOURCE", vm_mode_source(vm) },
			   { "APF_GATES", gates },
			   { "APF_WHY_UNWATCHED", vm->module_id ? NULL : vm->why_unwatched },
			   {} }),
		   "VM %s: PID %u, module id %u, mode %s (%s), %zu vCPUs: %s; %s swapped%s%s",
		   vm->name, vm->view.pid, vm->module_id, policy_mode_to_string(vm_mode(vm)),
		   vm_mode_source(vm), vm->n_vcpus, gates, swapped,
		   vm->module_id ? "" : "; not watched: ", vm->module_id ? "" : vm->why_unwatched);
}
