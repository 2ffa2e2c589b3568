// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of KVM that the module finds by name, because since Linux 6.18 KVM
 * exports them to kvm-amd and kvm-intel only.
 *
 *  name                    use       without it
 *  kvm_vm_release()        compared  the module does not load
 *  kvm_get_running_vcpu()  called    no STAT_REPEATED, no no-wait swap-in
 *  kvm_get_linear_rip()    called    state pv cannot detect user mode
 *
 * A function may be called only if it has the ENDBR instruction that IBT requires for
 * indirect calls; exported functions have it. A function that is only compared may lack
 * this instruction.
 *
 * Lifetime: apf_host also uses symbols that KVM exports to all modules
 * (kvm_get_kvm_safe(), kvm_put_kvm()), so kvm.ko cannot be unloaded first.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpufeature.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "symbol.h"

static void *vm_release;
static struct kvm_vcpu *(*running_vcpu)(void);
static unsigned long (*linear_rip)(struct kvm_vcpu *vcpu);

#define ENDBR64 0xfa1e0ff3U

/**
 * apf_host_symbol_find() - find the address of a kernel function
 * @name: the function
 *
 * Modules can find the address only by a kprobe; a disabled kprobe changes no code. The
 * kprobe may be behind an ENDBR instruction: sprint_symbol() returns its offset from the
 * beginning of the function.
 *
 * Context: process.
 * Return: the address, or an ERR_PTR().
 */
void *apf_host_symbol_find(const char *name)
{
	struct kprobe *kp = kzalloc(sizeof(*kp), GFP_KERNEL);
	char *text = kzalloc(KSYM_SYMBOL_LEN, GFP_KERNEL);
	unsigned long offset;
	void *address;
	char *plus;
	int ret;

	if (!kp || !text) {
		address = ERR_PTR(-ENOMEM);
		goto out;
	}
	kp->symbol_name = name;
	kp->flags = KPROBE_FLAG_DISABLED;
	ret = register_kprobe(kp);
	if (ret) {
		address = ERR_PTR(ret);
		goto out;
	}
	address = kp->addr;
	unregister_kprobe(kp);

	sprint_symbol(text, (unsigned long)address);
	plus = strchr(text, '+');
	if (!plus || sscanf(plus, "+0x%lx/", &offset) != 1)
		address = ERR_PTR(-EINVAL);
	else
		address -= offset;
out:
	kfree(text);
	kfree(kp);
	return address;
}

/* The same as apf_host_symbol_find(), for a function that will be called. */
static void *symbol_find_callable(const char *name)
{
	void *address = apf_host_symbol_find(name);
	u32 first;

	if (IS_ERR(address) || !boot_cpu_has(X86_FEATURE_IBT))
		return address;
	if (copy_from_kernel_nofault(&first, address, sizeof(first)) || first != ENDBR64)
		return ERR_PTR(-EPERM);
	return address;
}

/**
 * apf_host_symbol_init() - find KVM's functions
 *
 * Return: 0, or the error for kvm_vm_release(), which the module needs.
 */
int apf_host_symbol_init(void)
{
	void *found;

	found = apf_host_symbol_find("kvm_vm_release");
	if (IS_ERR(found)) {
		pr_err("cannot distinguish a KVM VM from other files: kvm_vm_release: %pe\n", found);
		return PTR_ERR(found);
	}
	vm_release = found;

	found = symbol_find_callable("kvm_get_running_vcpu");
	if (!IS_ERR(found))
		running_vcpu = found;
	found = symbol_find_callable("kvm_get_linear_rip");
	if (!IS_ERR(found))
		linear_rip = found;
	return 0;
}

/* Whether @file is a KVM VM. Only files of KVM VMs have this release function. */
bool apf_host_file_is_kvm(const struct file *file)
{
	return (void *)file->f_op->release == vm_release;
}

bool apf_host_running_vcpu_known(void)
{
	return running_vcpu;
}

/* The vCPU of this thread; NULL if the thread has none, or if this is not known. */
struct kvm_vcpu *apf_host_running_vcpu(void)
{
	return running_vcpu ? running_vcpu() : NULL;
}

bool apf_host_rip_known(void)
{
	return linear_rip;
}

/* Call it only if apf_host_rip_known(); in the vCPU's thread, with the vCPU loaded. */
unsigned long apf_host_linear_rip(struct kvm_vcpu *vcpu)
{
	return linear_rip(vcpu);
}
