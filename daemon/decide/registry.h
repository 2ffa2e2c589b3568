/* SPDX-License-Identifier: GPL-2.0 */
/* The VMs that apfd knows, and functions to find them. */
#ifndef APFD_REGISTRY_H
#define APFD_REGISTRY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct vm;

TAILQ_HEAD(vm_list, vm);
LIST_HEAD(vm_bucket, vm);

/* Hash buckets for the lookup by UUID. */
enum { REGISTRY_BUCKETS = 1024 };

/* Limits the use of memory and the work in each tick; no known host has more VMs. */
enum { REGISTRY_VMS_MAX = 4096 };

/**
 * struct registry - owns its VMs
 * @list: in the order in which they were found
 * @by_uuid: the same VMs, in buckets by the hash of their UUID
 * @n: number of VMs
 */
struct registry {
	struct vm_list list;
	struct vm_bucket by_uuid[REGISTRY_BUCKETS];
	size_t n;
};

void registry_init(struct registry *r);

/* registry_done: frees all VMs. */
void registry_done(struct registry *r);

/* registry_insert: takes over @vm. */
void registry_insert(struct registry *r, struct vm *vm);

/* registry_remove: the caller owns @vm again; all work for @vm is cancelled. */
void registry_remove(struct registry *r, struct vm *vm);

struct vm *registry_find_by_uuid(struct registry *r, const char *uuid);
struct vm *registry_find_by_module_id(struct registry *r, uint32_t module_id, struct vm *after);

/*
 * registry_find: by the first of these that some VM has: the name of a domain of libvirt, a UUID
 * (any case), an id that is a fact (see identity.h), the name of another VM, libvirt's number, an
 * id that is only claimed. So a VM that names itself like another VM's UUID or id is not found
 * in its place. NULL if there is none.
 */
struct vm *registry_find(struct registry *r, const char *wanted);

#define REGISTRY_FOREACH(vm, r) TAILQ_FOREACH(vm, &(r)->list, list)

#endif /* APFD_REGISTRY_H */
