/* SPDX-License-Identifier: GPL-2.0 */
#include "registry.h"

#include <errno.h>
#include <limits.h>

#include "util.h"
#include "uuid.h"
#include "vm-work.h"
#include "vm.h"

void registry_init(struct registry *r)
{
	*r = (struct registry){};
	TAILQ_INIT(&r->list);
}

void registry_done(struct registry *r)
{
	struct vm *vm;

	while ((vm = TAILQ_FIRST(&r->list))) {
		registry_remove(r, vm);
		vm_free(vm);
	}
}

/* UUIDs are random, except on test hosts; FNV-1a also spreads UUIDs that are similar. */
static struct vm_bucket *bucket_of(struct registry *r, const char *uuid)
{
	uint32_t hash = UINT32_C(2166136261);

	for (; *uuid; uuid++)
		hash = (hash ^ (unsigned char)*uuid) * UINT32_C(16777619);
	return &r->by_uuid[hash % REGISTRY_BUCKETS];
}

void registry_insert(struct registry *r, struct vm *vm)
{
	TAILQ_INSERT_TAIL(&r->list, vm, list);
	LIST_INSERT_HEAD(bucket_of(r, vm->uuid), vm, same_hash);
	r->n++;
}

void registry_remove(struct registry *r, struct vm *vm)
{
	TAILQ_REMOVE(&r->list, vm, list);
	LIST_REMOVE(vm, same_hash);
	r->n--;
	vm_work_cancel(vm, ~0U);
}

/* Must be fast: sd-bus looks up the object several times for every message. */
struct vm *registry_find_by_uuid(struct registry *r, const char *uuid)
{
	struct vm *vm;

	LIST_FOREACH(vm, bucket_of(r, uuid), same_hash)
		if (streq(vm->uuid, uuid))
			return vm;
	return NULL;
}

struct vm *registry_find_by_module_id(struct registry *r, uint32_t module_id, struct vm *after)
{
	struct vm *vm;

	for (vm = after ? TAILQ_NEXT(after, list) : NULL; vm; vm = TAILQ_NEXT(vm, list))
		if (vm->module_id == module_id)
			return vm;
	REGISTRY_FOREACH(vm, r)
	{
		if (vm->module_id == module_id)
			return vm;
		if (vm == after)
			break;
	}
	return NULL;
}

static struct vm *find_by_name(struct registry *r, const char *name, bool foreign)
{
	struct vm *vm;

	REGISTRY_FOREACH(vm, r)
	if (vm->foreign == foreign && streq(vm->name, name))
		return vm;
	return NULL;
}

static struct vm *find_by_id(struct registry *r, const char *id, bool is_fact)
{
	struct vm *vm;

	REGISTRY_FOREACH(vm, r)
	if (vm->identity && vm->identity->id_is_fact == is_fact && streq(vm->identity->id, id))
		return vm;
	return NULL;
}

static struct vm *find_by_libvirt_id(struct registry *r, const char *wanted)
{
	unsigned long id;
	struct vm *vm;
	char *end;

	if (*wanted < '0' || *wanted > '9')
		return NULL;
	errno = 0;
	id = strtoul(wanted, &end, 10);
	if (errno || *end || id > INT_MAX)
		return NULL;
	REGISTRY_FOREACH(vm, r)
	if (vm->view.libvirt_id == (int32_t)id)
		return vm;
	return NULL;
}

struct vm *registry_find(struct registry *r, const char *wanted)
{
	char uuid[UUID_LEN + 1];
	struct vm *vm;

	if (!*wanted)
		return NULL;
	vm = find_by_name(r, wanted, false);
	if (!vm && uuid_parse(wanted, uuid) >= 0)
		vm = registry_find_by_uuid(r, uuid);
	if (!vm)
		vm = find_by_id(r, wanted, true);
	if (!vm)
		vm = find_by_name(r, wanted, true);
	if (!vm)
		vm = find_by_libvirt_id(r, wanted);
	return vm ? vm : find_by_id(r, wanted, false);
}
