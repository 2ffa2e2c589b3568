/* SPDX-License-Identifier: GPL-2.0 */
#include "gate.h"

#include <errno.h>

#include "context.h"
#include "vm.h"

int gate_set(struct vm *vm, const struct gate_change *c, char *text)
{
	const struct context *context = vm->context;
	int r;

	/* Do not announce what is not even requested. */
	text[0] = '\0';
	if (!apfd_genl_has_time(context->genl))
		return -ETIME;
	context->ops->gate_changing(vm, c, context->userdata);
	r = apfd_genl_set(context->genl, vm->module_id, c->state, c->indices, c->n_indices,
			  c->lease_msec, c->reason, text);
	if (r == -ENOENT)
		context->ops->watch_lost(vm, context->userdata);
	if (r < 0)
		return r;
	vm_gate_set(vm, c->state, c->indices, c->n_indices);
	vm_lease_set(vm, c->lease_msec > 0, c->indices, c->n_indices);
	return 0;
}
