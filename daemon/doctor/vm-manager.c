/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-manager.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

/* What Kubernetes allows in a name. */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-."

/* Is @name, up to its end or @len bytes, a name that a command line can contain as it is? */
static bool is_name(const char *name, size_t len)
{
	return len > 0 && strspn(name, NAME_CHARS) >= len && name[0] != '-';
}

/*
 * The name of a VM in a pod is NAMESPACE/NAME if the namespace is known, else what the VM claims:
 * for KubeVirt NAMESPACE_NAME. A namespace has neither '/' nor '_'.
 */
static void name_pod(const char *name, char ret[static VM_MANAGER_NAME_MAX])
{
	size_t len = strcspn(name, "/_");
	const char *rest = name + len + (name[len] != '\0');
	int n = 0;

	if (is_name(name, len) && is_name(rest, strlen(rest)))
		n = snprintf(ret, VM_MANAGER_NAME_MAX, "-n %.*s %s", (int)len, name, rest);
	if (n <= 0 || n >= VM_MANAGER_NAME_MAX)
		snprintf(ret, VM_MANAGER_NAME_MAX, "-n NAMESPACE VM");
}

/* QEMU under a name that is not known is recognized by an option that only QEMU has. */
static enum vm_manager_kind kind_by_vmm(const struct identity *i, const struct process *p)
{
	switch (i->vmm) {
	case VMM_QEMU:
		return VM_MANAGER_QEMU;
	case VMM_FIRECRACKER:
		return VM_MANAGER_FIRECRACKER;
	case VMM_CLOUD_HYPERVISOR:
		return VM_MANAGER_CLOUD_HYPERVISOR;
	case VMM_CROSVM:
	case VMM_KVMTOOL:
		return VM_MANAGER_OTHER;
	case VMM_UNKNOWN:
		break;
	}
	return process_value_of(p, "cpu") ? VM_MANAGER_QEMU : VM_MANAGER_OTHER;
}

void vm_manager_find(const struct identity *i, const struct process *p, const char *name,
		     struct vm_manager *ret)
{
	*ret = (struct vm_manager){};
	snprintf(ret->name, sizeof(ret->name), "%s",
		 strlen(name) < sizeof(ret->name) ? name : "VM");
	if (!i) {
		ret->kind = VM_MANAGER_LIBVIRT;
		return;
	}
	switch (i->keeper) {
	case KEEPER_PROXMOX:
		ret->kind = VM_MANAGER_PROXMOX;
		/* Only digits. */
		snprintf(ret->name, sizeof(ret->name), "%.*s", VM_MANAGER_NAME_MAX - 1, i->id);
		break;
	case KEEPER_KUBERNETES:
		ret->kind = VM_MANAGER_KUBERNETES;
		name_pod(i->name, ret->name);
		break;
	case KEEPER_NONE:
		ret->kind = kind_by_vmm(i, p);
		break;
	}
}
