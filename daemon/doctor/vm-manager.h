/* SPDX-License-Identifier: GPL-2.0 */
/* Who started a VM, so that a remedy can name the setting to change. */
#ifndef APFD_VM_MANAGER_H
#define APFD_VM_MANAGER_H

#include "identity.h"
#include "process.h"

enum vm_manager_kind {
	VM_MANAGER_OTHER, /* crosvm, kvmtool, or not known */
	VM_MANAGER_LIBVIRT,
	VM_MANAGER_PROXMOX,
	VM_MANAGER_KUBERNETES, /* KubeVirt and other VMs in pods */
	VM_MANAGER_FIRECRACKER,
	VM_MANAGER_CLOUD_HYPERVISOR,
	VM_MANAGER_QEMU, /* started by a script or an unknown tool */
	_VM_MANAGER_MAX
};

enum { VM_MANAGER_NAME_MAX = 256 };

/**
 * struct vm_manager
 * @name: the VM in commands of this manager: of Proxmox, its number; of KubeVirt,
 *	"-n NAMESPACE NAME"; else the name that apfctl accepts; quoted for a shell
 */
struct vm_manager {
	enum vm_manager_kind kind;
	char name[VM_MANAGER_NAME_MAX];
};

/*
 * vm_manager_find: decides by the identity; see identity.h, which knows the managers' control
 * groups, PID files and programs.
 * @i: NULL: libvirt of this host manages the VM
 * @name: name of the VM, quoted for a shell
 */
void vm_manager_find(const struct identity *i, const struct process *p, const char *name,
		     struct vm_manager *ret);

#endif /* APFD_VM_MANAGER_H */
