/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-identity.h"

#include "registry.h"
#include "util.h"
#include "vm.h"

static int rank_of_identity(const struct identity *i)
{
	return i->id_is_fact ? 2 : streq(i->scope, "user:0");
}

static int rank_of(const struct vm *vm)
{
	return vm->identity ? rank_of_identity(vm->identity) : 3;
}

static struct vm *find_by_name(struct registry *vms, const char *name)
{
	struct vm *vm;

	REGISTRY_FOREACH(vm, vms)
	if (streq(vm->name, name))
		return vm;
	return NULL;
}

/* True if the VM with identity @i gets what @other has, if there is such a VM. */
static bool can_take(const struct identity *i, struct vm *other, struct vm_shown *ret)
{
	if (!other)
		return true;
	if (rank_of(other) < rank_of_identity(i))
		ret->evict = other;
	else
		ret->shadowed = true;
	return false;
}

void vm_identity_choose(struct registry *vms, const struct foreign_process *p, struct vm_shown *ret)
{
	const struct identity *i = &p->identity;
	char uuid[UUID_LEN + 1];

	*ret = (struct vm_shown){ .name = p->name };
	memcpy(ret->uuid, p->uuid, sizeof(ret->uuid));
	if (i->name[0] && can_take(i, find_by_name(vms, i->name), ret))
		ret->name = i->name;
	/* The UUID that is made of a name belongs to who has the name. */
	if (!i->uuid[0] && ret->shadowed)
		return;
	if (identity_uuid(i, uuid) >= 0 && can_take(i, registry_find_by_uuid(vms, uuid), ret))
		memcpy(ret->uuid, uuid, sizeof(ret->uuid));
}

bool vm_identity_taken(struct registry *vms, const struct vm *vm)
{
	bool found = false;
	struct vm *other;

	REGISTRY_FOREACH(other, vms)
	if (other != vm && other->foreign && streq(other->name, vm->name))
		other->stale = found = true;
	return found;
}

bool vm_identity_released(struct registry *vms, const struct vm *vm)
{
	bool found = false;
	struct vm *other;

	REGISTRY_FOREACH(other, vms)
	{
		char uuid[UUID_LEN + 1];

		if (other == vm || !other->shadowed)
			continue;
		if (streq(other->identity->name, vm->name) ||
		    (identity_uuid(other->identity, uuid) >= 0 && streq(uuid, vm->uuid)))
			other->stale = found = true;
	}
	return found;
}
