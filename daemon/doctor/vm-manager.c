/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-manager.h"

#include <stdio.h>
#include <string.h>

#include "util.h"

#define DIGITS "0123456789"
/* What Kubernetes allows in a name. */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz" DIGITS "-."

static bool begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* Copies the digits of @text between @before and @after; false if there are none. */
static bool number_between(const char *text, const char *before, const char *after,
			   char ret[static VM_MANAGER_NAME_MAX])
{
	const char *at = strstr(text, before);
	size_t len;

	if (!at)
		return false;
	at += strlen(before);
	len = strspn(at, DIGITS);
	if (len == 0 || len >= VM_MANAGER_NAME_MAX || !begins(at + len, after))
		return false;
	snprintf(ret, VM_MANAGER_NAME_MAX, "%.*s", (int)len, at);
	return true;
}

/* Proxmox: the cgroup is qemu.slice/ID.scope, and the PID file has the number, too. */
static bool is_proxmox(const char *group, const struct process *p,
		       char ret[static VM_MANAGER_NAME_MAX])
{
	const char *pid_file = process_value_of(p, "pidfile");

	return number_between(group, "/qemu.slice/", ".scope", ret) ||
	       (pid_file && number_between(pid_file, "/qemu-server/", ".pid", ret));
}

/* KubeVirt names a domain NAMESPACE_NAME; a namespace has no '_'. */
static void name_pod(const struct process *p, char ret[static VM_MANAGER_NAME_MAX])
{
	const char *value = process_value_of(p, "name");
	char name[128];
	size_t len;

	snprintf(ret, VM_MANAGER_NAME_MAX, "-n NAMESPACE VM");
	if (!value || !process_property(value, "guest", name, sizeof(name)))
		return;
	len = strspn(name, NAME_CHARS);
	if (len > 0 && name[len] == '_' && name[len + 1] && name[0] != '-' &&
	    name[len + 1 + strspn(name + len + 1, NAME_CHARS)] == '\0' && name[len + 1] != '-')
		snprintf(ret, VM_MANAGER_NAME_MAX, "-n %.*s %s", (int)len, name, name + len + 1);
}

static bool is_qemu(const struct process *p)
{
	const char *program = process_program(p);

	return begins(program, "qemu") || streq(program, "kvm") || process_value_of(p, "cpu");
}

void vm_manager_find(bool libvirt, const char *group, const struct process *p, const char *name,
		     struct vm_manager *ret)
{
	const char *program = process_program(p);

	*ret = (struct vm_manager){};
	snprintf(ret->name, sizeof(ret->name), "%s",
		 strlen(name) < sizeof(ret->name) ? name : "VM");
	if (libvirt) {
		ret->kind = VM_MANAGER_LIBVIRT;
	} else if (is_proxmox(group, p, ret->name)) {
		ret->kind = VM_MANAGER_PROXMOX;
	} else if (strstr(group, "/kubepods") || strstr(group, "-kubepods")) {
		ret->kind = VM_MANAGER_KUBERNETES;
		name_pod(p, ret->name);
	} else if (begins(program, "firecracker")) {
		ret->kind = VM_MANAGER_FIRECRACKER;
	} else if (begins(program, "cloud-hypervisor")) {
		ret->kind = VM_MANAGER_CLOUD_HYPERVISOR;
	} else if (is_qemu(p)) {
		ret->kind = VM_MANAGER_QEMU;
	}
}
