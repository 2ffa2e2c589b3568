// SPDX-License-Identifier: GPL-2.0
#include "automatic.h"

#include <string.h>

#include "names.h"

/* Mode of a vCPU: its own, or the VM's. */
static const char *vcpu_mode(const struct vm *vm, uint32_t index)
{
	for (size_t i = 0; i < vm->vcpu_modes.n; i++)
		if (vm->vcpu_modes.all[i].index == index)
			return vm->vcpu_modes.all[i].mode;
	return vm->mode;
}

bool vm_is_automatic(const struct vm *vm, const struct vcpu_list *vcpus)
{
	if (!vm->mode)
		return false;
	if (vcpus->n == 0)
		return strcmp(vm->mode, NAME_AUTO) == 0;
	for (uint32_t i = 0; i <= VCPU_INDEX_MAX; i++)
		if (vcpus->member[i] && strcmp(vcpu_mode(vm, i), NAME_AUTO) == 0)
			return true;
	return false;
}
