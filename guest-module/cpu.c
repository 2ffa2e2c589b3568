// SPDX-License-Identifier: GPL-2.0
/*
 * The CPUs: switching APF of each through its MSR, taking sleepers over from the kernel's own table
 * and handing them back, and the times when a CPU goes away (offline, suspend, reboot, kexec).
 *
 * What KVM does (arch/x86/kvm/x86.c, kvm_pv_enable_async_pf()): a write of MSR_KVM_ASYNC_PF_EN
 * without the enable bit drops all outstanding work of that vCPU: no wake will come for it any
 * more, except one that is already in the local APIC. A write with the bit queues one wake of all
 * (token ~0). So a CPU whose APF is switched off must wake its own sleepers, and does, in
 * apf_table_sync().
 *
 * The switch-over loses nobody. At load:
 *
 *   1. on each CPU (also on those that come online meanwhile): MSR off; interrupts on, so that a
 *      wake in the APIC is delivered, to the kernel's table; then kvm_async_pf_task_wake(~0), which
 *      wakes what sleeps for this CPU there. From now on the host starts no new fault.
 *   2. synchronize_rcu_tasks(). The one way for a fault to be taken from the host and not be in a
 *      table yet, with interrupts on, is a hypervisor inside this guest: it reads the token after
 *      its own guest exits and waits for it later, without leaving the kernel or scheduling
 *      voluntarily in between. When this returns each of them has. Then wake all on each CPU again.
 *   3. hooks in. Nobody can be on his way from one table to the other, as there is no fault.
 *   4. on each CPU: MSR back.
 *
 * Unload is the same the other way round; our table refuses to put anybody to sleep on a CPU that
 * is stopped, which also covers the latecomers of step 2.
 *
 * The lock of CPU hotplug is not held over 2 and 3: both may wait for work that takes it. Instead
 * @switching tells the online callback to leave a new CPU off; it runs before any user task can.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kvm_para.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/syscore_ops.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "guest.h"

DEFINE_PER_CPU(struct apf_vcpu, apf_vcpu);
struct apf_table apf_table;

static struct apf_cpu **cpus;
/* Written under the hotplug read lock, read by its callbacks, which run under the write lock. */
static bool switching;
/* Likewise: from the end of the load to the begin of the unload. */
static bool reporting;
static int cpuhp_state = -1;

/*
 * ops->enable. On the CPU itself, interrupts off.
 *
 * The kernel writes this MSR too: zero when the CPU goes down, its own value when it comes up.
 * Hence only what we have switched off is switched on again, and only if it is still as we left it.
 */
static void vcpu_enable(struct apf_table *t, unsigned int cpu, bool on)
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

/* In interrupt context on the CPU that was kicked, or, if it kicked itself, at once. */
static void vcpu_kicked(void *info)
{
	struct apf_vcpu *v = info;

	/* Before the state is read: a kick from here on comes again. Full barrier. */
	atomic_xchg(&v->kicked, 0);
	apf_table_sync(&apf_table, smp_processor_id(), false, jiffies);
	apf_report_update();
}

/*
 * ops->kick. Any context but NMI. An offline CPU needs no kick: coming online it looks for itself.
 * Whoever finds @kicked set may rely on the one who set it, as vcpu_kicked() has not read the state
 * yet.
 */
static void vcpu_kick(struct apf_table *t, unsigned int cpu)
{
	struct apf_vcpu *v = per_cpu_ptr(&apf_vcpu, cpu);

	if (atomic_xchg(&v->kicked, 1))
		return;
	if (smp_call_function_single_async(cpu, &v->csd))
		atomic_set(&v->kicked, 0);
}

static const struct apf_table_ops table_ops = {
	.alloc = apf_sleep_alloc,
	.free = apf_sleep_free,
	.wake = apf_sleep_wake_task,
	.enable = vcpu_enable,
	.kick = vcpu_kick,
};

/* A CPU comes up, or back: the kernel has just switched APF on, or it was never off. */
static void cpu_up_here(void)
{
	unsigned int cpu = smp_processor_id();
	u64 val;

	if (switching)
		apf_table.cpus[cpu]->stop |= APF_STOP_SWITCH;
	else
		apf_table.cpus[cpu]->stop &= ~(u32)APF_STOP_SWITCH;
	apf_table_start(&apf_table, cpu, APF_STOP_DOWN, jiffies);
	if (reporting) {
		apf_rdmsr(MSR_KVM_ASYNC_PF_EN, val);
		apf_report_attach(val);
	}
}

static void cpu_down_here(void)
{
	apf_table_stop(&apf_table, smp_processor_id(), APF_STOP_DOWN, jiffies);
	apf_report_detach();
}

/*
 * Hotplug callbacks: in the CPU's hotplug thread, interrupts on. Ours is a dynamic state registered
 * after the kernel's own "x86/kvm:online": it comes after that on the way up and before it on the
 * way down. User tasks run on the CPU only after the one and not any more before the other.
 */
static int vcpu_online(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	cpu_up_here();
	local_irq_restore(flags);
	if (!switching)
		return 0;

	/* With interrupts on, a wake that was in the APIC has been delivered by now. */
	local_irq_save(flags);
	kvm_async_pf_task_wake(APF_TOKEN_ALL);
	local_irq_restore(flags);
	return 0;
}

static int vcpu_offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	cpu_down_here();
	local_irq_restore(flags);
	return 0;
}

/*
 * Suspend and hibernation: on the last CPU, interrupts off; the others are offline. The latest to
 * register suspends first and resumes last, so this too is on the inside of what the kernel does.
 */
static int syscore_down(APF_SYSCORE_ARG)
{
	cpu_down_here();
	return 0;
}

static void syscore_up(APF_SYSCORE_ARG)
{
	cpu_up_here();
}

static APF_SYSCORE_OPS(syscore_ops, syscore_down, syscore_up);

static void reboot_down(void *unused)
{
	cpu_down_here();
}

/*
 * Reboot, halt and kexec: task context, all CPUs up. Ahead of the kernel's own notifier (priority
 * 0), which writes zero to the MSR but lets the sleepers lie: here they go on with synchronous
 * faults. The block is cleared, so the host does not take the figures of a kernel that is gone for
 * the next one's.
 */
static int reboot_notify(struct notifier_block *nb, unsigned long code, void *unused)
{
	on_each_cpu(reboot_down, NULL, 1);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = {
	.notifier_call = reboot_notify,
	.priority = 1,
};

static long check_cpu(void *unused)
{
	u64 val;

	if (apf_rdmsr_safe(MSR_KVM_ASYNC_PF_EN, &val)) {
		pr_err("CPU %d has no APF register, not loading\n", smp_processor_id());
		return -ENODEV;
	}
	if (!(val & KVM_ASYNC_PF_ENABLED)) {
		pr_err("APF is off on CPU %d (no-kvmapf?), not loading\n", smp_processor_id());
		return -ENODEV;
	}
	return apf_report_check(val);
}

/* In each CPU's worker, one after the other; stops at the first error. Hotplug lock held. */
static int on_each_worker(long (*fn)(void *unused))
{
	unsigned int cpu;
	long ret = 0;

	for_each_online_cpu(cpu) {
		ret = work_on_cpu(cpu, fn, NULL);
		if (ret)
			break;
	}
	return ret;
}

/* Wakes in whichever table the hooks lead to, and in ours: never wrong, see table.c. */
static long wake_all_here(void *unused)
{
	unsigned long flags;

	local_irq_save(flags);
	kvm_async_pf_task_wake(APF_TOKEN_ALL);
	apf_table_broadcast(&apf_table, smp_processor_id(), jiffies);
	local_irq_restore(flags);
	return 0;
}

static void wake_all(void)
{
	cpus_read_lock();
	on_each_worker(wake_all_here);
	cpus_read_unlock();
}

static long stop_here(void *unused)
{
	unsigned long flags;

	local_irq_save(flags);
	apf_table_stop(&apf_table, smp_processor_id(), APF_STOP_SWITCH, jiffies);
	apf_report_detach();
	local_irq_restore(flags);
	return 0;
}

static long start_here(void *report)
{
	unsigned long flags;
	u64 val;

	local_irq_save(flags);
	apf_table_start(&apf_table, smp_processor_id(), APF_STOP_SWITCH, jiffies);
	apf_rdmsr(MSR_KVM_ASYNC_PF_EN, val);
	if (report)
		apf_report_attach(val);
	local_irq_restore(flags);
	return 0;
}

static void start_all(bool report)
{
	unsigned int cpu;

	cpus_read_lock();
	switching = false;
	reporting = report;
	for_each_online_cpu(cpu)
		work_on_cpu(cpu, start_here, report ? &apf_table : NULL);
	cpus_read_unlock();
}

/* Allocate, and look at every CPU; changes nothing in the system. */
int apf_cpu_init(void)
{
	unsigned int cpu;
	int ret = -ENOMEM;

	cpus = kcalloc(nr_cpu_ids, sizeof(*cpus), GFP_KERNEL);
	if (!cpus)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct apf_vcpu *v = per_cpu_ptr(&apf_vcpu, cpu);

		v->core.pool = kcalloc_node(apf_pool, sizeof(*v->core.pool), GFP_KERNEL,
					    cpu_to_node(cpu));
		if (!v->core.pool)
			goto err_pool;
		v->core.pool_size = apf_pool;
		INIT_CSD(&v->csd, vcpu_kicked, v);
		cpus[cpu] = &v->core;
	}
	apf_table_init(&apf_table, &table_ops, cpus, nr_cpu_ids, msecs_to_jiffies(apf_rescue_ms),
		       msecs_to_jiffies(apf_age_ms));

	cpus_read_lock();
	ret = on_each_worker(check_cpu);
	cpus_read_unlock();
	if (!ret)
		return 0;

err_pool:
	apf_cpu_uninit();
	return ret;
}

void apf_cpu_uninit(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		kfree(per_cpu_ptr(&apf_vcpu, cpu)->core.pool);
	kfree(cpus);
}

/* Steps 1 and 2 of the load. */
int apf_cpu_takeover(void)
{
	int ret;

	switching = true;
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "kvm/apf_guest:online", vcpu_online,
				vcpu_offline);
	if (ret < 0) {
		pr_err("no CPU hotplug state left (%d), not loading\n", ret);
		switching = false;
		return ret;
	}
	cpuhp_state = ret;
	synchronize_rcu_tasks();
	wake_all();
	return 0;
}

/* The way back from there, before or after the hooks were tried. */
void apf_cpu_abort(void)
{
	start_all(false);
	cpuhp_remove_state_nocalls(cpuhp_state);
}

/* Step 4 of the load. */
void apf_cpu_go(void)
{
	apf_syscore_register(&syscore_ops);
	register_reboot_notifier(&reboot_nb);
	start_all(true);
}

/* Unload, before the hooks come out: when this returns nobody sleeps in our table. */
void apf_cpu_handback_begin(void)
{
	unregister_reboot_notifier(&reboot_nb);
	apf_syscore_unregister(&syscore_ops);

	cpus_read_lock();
	switching = true;
	reporting = false;
	on_each_worker(stop_here);
	cpus_read_unlock();

	synchronize_rcu_tasks();
	wake_all();
	/* A CPU that went offline woke its sleepers then, so those online are all there are. */
	while (apf_sleep_inside()) {
		msleep(20);
		wake_all();
	}
}

/* Unload, after the hooks: nobody comes in any more. */
void apf_cpu_handback_end(void)
{
	unsigned int cpu;

	/* Those who came in before the hooks went: up to their count, and the lines after it. */
	synchronize_rcu();
	while (apf_sleep_inside())
		msleep(20);
	synchronize_rcu();
	apf_sleep_close();
	WARN_ON(apf_table_purge(&apf_table));
	start_all(false);
	cpuhp_remove_state_nocalls(cpuhp_state);

	/* The purge kicked the owners of emergency nodes: let the kicks arrive, and leave. */
	for_each_possible_cpu(cpu)
		while (atomic_read(&per_cpu_ptr(&apf_vcpu, cpu)->kicked))
			msleep(1);
	synchronize_rcu();
}

/* The MSR of a CPU, as the host sees it. May sleep. */
int apf_cpu_msr(unsigned int cpu, u64 *ret_val)
{
	return apf_rdmsr_on_cpu(cpu, MSR_KVM_ASYNC_PF_EN, ret_val);
}
