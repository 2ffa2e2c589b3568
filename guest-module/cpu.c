// SPDX-License-Identifier: GPL-2.0
/*
 * The CPUs: switching APF on and off by the MSR of each CPU, also when a CPU goes offline, at
 * suspend, reboot and kexec.
 *
 * KVM's behaviour (arch/x86/kvm/x86.c, kvm_pv_enable_async_pf()): a write of MSR_KVM_ASYNC_PF_EN
 * without the enable bit drops all outstanding work of that vCPU. No wake will arrive for this
 * work, except a wake that is already in the local APIC. A write with the bit queues one wake for
 * all (token ~0). Therefore a CPU that switches APF off must wake its own sleepers;
 * apf_table_sync() does this.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/jiffies.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "guest.h"

static struct apf_cpu **apf_cpus;

/*
 * ops->enable. On the CPU itself, interrupts off.
 *
 * The kernel writes this MSR, too: zero when the CPU goes offline, its own value when the CPU comes
 * online. Therefore switch APF on only if we have switched it off and the MSR has not changed
 * since.
 */
static void apf_vcpu_enable(struct apf_table *t, unsigned int cpu, bool on)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	u64 val;

	apf_rdmsr(MSR_KVM_ASYNC_PF_EN, val);
	if (on) {
		if (v->msr_on && val == (v->msr_on & ~(u64)KVM_ASYNC_PF_ENABLED))
			apf_wrmsr(MSR_KVM_ASYNC_PF_EN, v->msr_on);
		v->msr_on = 0;
	} else if (val & KVM_ASYNC_PF_ENABLED) {
		v->msr_on = val;
		apf_wrmsr(MSR_KVM_ASYNC_PF_EN, val & ~(u64)KVM_ASYNC_PF_ENABLED);
	}
}

/* Runs in an interrupt on the kicked CPU; if the CPU kicks itself, runs at once. */
static void apf_vcpu_kicked(void *info)
{
	struct apf_vcpu *v = info;

	/* Clear it before reading the state, so that a later kick queues again. Full barrier. */
	atomic_xchg(&v->kicked, 0);
	apf_table_sync(&apf_table, smp_processor_id(), false, jiffies);
	apf_report_update();
}

/*
 * ops->kick. Any context but NMI. An offline CPU needs no kick, because it checks the state when it
 * comes online. If @kicked is set already, no second kick is needed, because apf_vcpu_kicked() has
 * not read the state yet.
 */
static void apf_vcpu_kick(struct apf_table *t, unsigned int cpu)
{
	struct apf_vcpu *v = per_cpu_ptr(&apf_vcpu, cpu);

	if (atomic_xchg(&v->kicked, 1))
		return;
	if (smp_call_function_single_async(cpu, &v->csd))
		atomic_set(&v->kicked, 0);
}

static const struct apf_table_ops apf_cpu_ops = {
	.alloc = apf_sleep_alloc,
	.free = apf_sleep_free,
	.wake = apf_sleep_wake_task,
	.enable = apf_vcpu_enable,
	.kick = apf_vcpu_kick,
};

/*
 * This CPU comes online or resumes: the kernel has just switched APF on, or APF was never off.
 * Interrupts off.
 */
void apf_cpu_up(bool switching, bool reporting)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	unsigned int cpu = smp_processor_id();
	u64 val;

	apf_rdmsr(MSR_KVM_ASYNC_PF_EN, val);
	if (!v->area)
		v->area = apf_slot_area(val);
	if (switching)
		v->core.stop |= APF_STOP_SWITCH;
	else
		v->core.stop &= ~(u32)APF_STOP_SWITCH;
	apf_table_start(&apf_table, cpu, APF_STOP_DOWN, jiffies);
	if (reporting)
		apf_report_attach();
}

/* This CPU goes offline, is suspended or reboots. Interrupts off. */
void apf_cpu_down(void)
{
	apf_table_stop(&apf_table, smp_processor_id(), APF_STOP_DOWN, jiffies);
	apf_report_detach();
}

static long apf_cpu_check(void *unused)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	u64 val;

	if (apf_rdmsr_safe(MSR_KVM_ASYNC_PF_EN, &val)) {
		pr_err("CPU %d has no APF register, not loading\n", smp_processor_id());
		return -ENODEV;
	}
	if (!(val & KVM_ASYNC_PF_ENABLED)) {
		pr_err("APF is off on CPU %d (no-kvmapf?), not loading\n", smp_processor_id());
		return -ENODEV;
	}
	v->area = apf_slot_area(val);
	return apf_report_check();
}

/*
 * Runs @fn in a worker of each online CPU, one after the other: in the kernel, with interrupts
 * enabled; @fn may sleep. Stops at the first error. Under the lock of CPU hotplug.
 */
int apf_cpu_each(long (*fn)(void *arg), void *arg)
{
	unsigned int cpu;
	long ret = 0;

	for_each_online_cpu(cpu) {
		ret = work_on_cpu(cpu, fn, arg);
		if (ret)
			break;
	}
	return ret;
}

/* Allocates memory and checks every CPU; changes nothing in the system. */
int apf_cpu_init(unsigned int rescue_ms, unsigned int age_ms)
{
	unsigned int cpu;
	int ret;

	apf_cpus = kcalloc(nr_cpu_ids, sizeof(*apf_cpus), GFP_KERNEL);
	if (!apf_cpus)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct apf_vcpu *v = per_cpu_ptr(&apf_vcpu, cpu);

		INIT_CSD(&v->csd, apf_vcpu_kicked, v);
		apf_cpus[cpu] = &v->core;
	}
	apf_table_init(&apf_table, &apf_cpu_ops, apf_cpus, nr_cpu_ids,
		       msecs_to_jiffies(rescue_ms), msecs_to_jiffies(age_ms));

	cpus_read_lock();
	ret = apf_cpu_each(apf_cpu_check, NULL);
	cpus_read_unlock();
	if (ret)
		apf_cpu_uninit();
	return ret;
}

void apf_cpu_uninit(void)
{
	kfree(apf_cpus);
}

/* Reads the MSR of a CPU from the host. May sleep. */
int apf_cpu_msr(unsigned int cpu, u64 *ret_val)
{
	return apf_rdmsr_on_cpu(cpu, MSR_KVM_ASYNC_PF_EN, ret_val);
}
