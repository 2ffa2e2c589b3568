/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Under which name and UUID a VM that libvirt does not know is shown. A VMM chooses its own name
 * and UUID, so two VMs can claim the same. Then a domain of libvirt has them, else a VM whose id
 * is a fact (of Proxmox, a pod or a jail), else one of root, else the VM that was known first.
 * The other VM is shown as pid-PROGRAM-PID, under a UUID made of its PID, and is "shadowed": it
 * gets its own name and UUID when they are free.
 */
#ifndef APFD_VM_IDENTITY_H
#define APFD_VM_IDENTITY_H

#include <stdbool.h>

#include "foreign.h"

struct registry;
struct vm;

/**
 * struct vm_shown - what vm_identity_choose() has decided
 * @name: points into the process or its identity
 * @shadowed: a name or a UUID that was claimed belongs to another VM
 * @evict: a VM that has lost its name or UUID to this one: the caller must remove it, choose
 *	again, and scan again; NULL if there is none
 */
struct vm_shown {
	const char *name;
	char uuid[UUID_LEN + 1];
	bool shadowed;
	struct vm *evict;
};

void vm_identity_choose(struct registry *vms, const struct foreign_process *p,
			struct vm_shown *ret);

/*
 * vm_identity_taken: @vm is a domain of libvirt that was added or renamed: marks the other VM
 * that is shown under its name. Returns true if there is one, and the caller must scan again.
 */
bool vm_identity_taken(struct registry *vms, const struct vm *vm);

/*
 * vm_identity_released: @vm ends: marks shadowed VMs that claim its name or UUID. Returns true if
 * there is one, and the caller must scan again.
 */
bool vm_identity_released(struct registry *vms, const struct vm *vm);

#endif /* APFD_VM_IDENTITY_H */
