// SPDX-License-Identifier: GPL-2.0
/*
 * Switches from the kernel's table to ours and back, while tasks fault, without losing a wake:
 *
 *   1. On each CPU (also on CPUs that come online meanwhile): switch APF off by the MSR; enable
 *      interrupts, so that a wake in the APIC is delivered to the kernel's table; then wake the
 *      tasks that sleep there for this CPU. From now on the host starts no new fault.
 *   2. synchronize_rcu_tasks(). With interrupts on, only a hypervisor inside this guest can have a
 *      fault from the host that is not in a table yet: it reads the token after its own guest exits
 *      and waits for the token later, without leaving the kernel or scheduling voluntarily in
 *      between. When this returns, all such tasks have reached the table. Then wake all on each CPU
 *      again.
 *   3. Place the hooks. There is no fault, so no task can be between the two tables.
 *   4. Wake all on each CPU once more: now the wake must arrive in our hook, else switch back.
 *   5. On each CPU: restore the MSR.
 *
 * Unload does the same in reverse. On a stopped CPU our table lets no task sleep, so a task that
 * reaches it late in step 2 does not sleep, either.
 *
 * How to wake all tasks that sleep in the kernel's table: since 6.18 its wake function is static.
 * But KVM itself sends a wake for all when the MSR is written with the enable bit. While the bit is
 * set, this code stays in the kernel on that CPU; Linux enables faults in user mode only, so no
 * fault can start.
 *
 * The lock of CPU hotplug is not held in steps 2 to 4, because they may wait for work that takes
 * it. Instead, if @apf_switching is set, the online callback leaves APF off on a new CPU; the
 * callback runs before any user task on that CPU.
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
#include <linux/syscore_ops.h>

#include "compat.h"
#include "guest.h"

/* Written under the hotplug read lock, read by its callbacks, which run under the write lock. */
static bool apf_switching;
/* The same locks; true from the end of the load to the beginning of the unload. */
static bool apf_reporting;
/* Error of step 1 on some CPU, or 0. */
static int apf_switch_error;
static int apf_cpuhp_state = -1;

/*
 * Makes the host wake all tasks that sleep for this CPU, in the table that is in use now. On the
 * CPU itself, in the kernel, interrupts enabled; we have switched APF off, and APF is off again
 * afterwards.
 */
static int apf_host_wakes_all(void)
{
	struct apf_vcpu *v;
	unsigned long limit;
	unsigned int i;
	u64 on;
	int ret = -EIO;

	preempt_disable();
	v = this_cpu_ptr(&apf_vcpu);
	on = v->msr_on;
	if (!on || !v->area) {
		/* No task can sleep for a CPU on which APF was never on. */
		ret = 0;
		goto out;
	}
	/* The host may lack memory for this event, so try several times. */
	for (i = 0; i < 10 && ret; i++) {
		local_irq_disable();
		/* The host posts nothing to a stuck slot. The slot's sleeper is woken below. */
		apf_slot_free(READ_ONCE(v->area->token), false);
		apf_wrmsr(MSR_KVM_ASYNC_PF_EN, on);
		/* The host posts the event before the guest continues; the interrupt follows. */
		if (READ_ONCE(v->area->token) == APF_TOKEN_ALL)
			ret = 0;
		local_irq_enable();
		limit = jiffies + HZ;
		while (READ_ONCE(v->area->token)) {
			if (time_after(jiffies, limit)) {
				ret = -EIO;
				break;
			}
			cpu_relax();
		}
		local_irq_disable();
		apf_wrmsr(MSR_KVM_ASYNC_PF_EN, on & ~(u64)KVM_ASYNC_PF_ENABLED);
		local_irq_enable();
	}
	if (ret)
		pr_err("CPU %d: the host does not wake all when APF is switched on\n",
		       smp_processor_id());
out:
	preempt_enable();
	return ret;
}

static long apf_host_wakes_all_here(void *unused)
{
	return apf_host_wakes_all();
}

/*
 * Hotplug callbacks: in the CPU's hotplug thread, interrupts on. Our dynamic state is registered
 * after the kernel's own "x86/kvm:online": it runs after that when a CPU comes online, and before
 * it when a CPU goes offline. User tasks run on the CPU only after the online callback, and none
 * runs any more at the offline callback.
 */
static int apf_cpu_online(unsigned int cpu)
{
	unsigned long flags;
	int ret;

	local_irq_save(flags);
	apf_cpu_up(apf_switching, apf_reporting);
	local_irq_restore(flags);
	if (!apf_switching)
		return 0;

	/* Interrupts were on, so a wake that was in the APIC has been delivered. */
	ret = apf_host_wakes_all();
	if (ret)
		apf_switch_error = ret;
	return 0;
}

static int apf_cpu_offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	apf_cpu_down();
	local_irq_restore(flags);
	return 0;
}

/*
 * Suspend and hibernation: on the last CPU, interrupts off; the others are offline. The callbacks
 * that were registered last suspend first and resume last: so ours suspends before the kernel's and
 * resumes after it.
 */
static int apf_syscore_down(APF_SYSCORE_ARG)
{
	apf_cpu_down();
	return 0;
}

static void apf_syscore_up(APF_SYSCORE_ARG)
{
	apf_cpu_up(apf_switching, apf_reporting);
}

static APF_SYSCORE_OPS(apf_syscore, apf_syscore_down, apf_syscore_up);

static void apf_reboot_down(void *unused)
{
	apf_cpu_down();
}

/*
 * Reboot, halt and kexec: task context, all CPUs online. Runs before the kernel's own notifier
 * (priority 0), which writes zero to the MSR but does not wake the sleepers: here they are woken
 * and continue with synchronous faults. The block is cleared, so that the host does not mistake the
 * old kernel's figures for those of the next kernel.
 */
static int apf_reboot_notify(struct notifier_block *nb, unsigned long code, void *unused)
{
	on_each_cpu(apf_reboot_down, NULL, 1);
	return NOTIFY_DONE;
}

static struct notifier_block apf_reboot_nb = {
	.notifier_call = apf_reboot_notify,
	.priority = 1,
};

/* Wakes all sleepers of this CPU in our table; waking too many does no harm, see table.c. */
static long apf_broadcast_here(void *unused)
{
	unsigned long flags;

	local_irq_save(flags);
	apf_table_broadcast(&apf_table, smp_processor_id(), jiffies);
	local_irq_restore(flags);
	return 0;
}

static int apf_each_online(long (*fn)(void *arg))
{
	int ret;

	cpus_read_lock();
	ret = apf_cpu_each(fn, NULL);
	cpus_read_unlock();
	return ret;
}

static long apf_stop_here(void *unused)
{
	unsigned long flags;

	local_irq_save(flags);
	apf_table_stop(&apf_table, smp_processor_id(), APF_STOP_SWITCH, jiffies);
	apf_report_detach();
	local_irq_restore(flags);
	return 0;
}

static long apf_start_here(void *report)
{
	unsigned long flags;

	local_irq_save(flags);
	apf_table_start(&apf_table, smp_processor_id(), APF_STOP_SWITCH, jiffies);
	if (report)
		apf_report_attach();
	local_irq_restore(flags);
	return 0;
}

static void apf_start_all(bool report)
{
	cpus_read_lock();
	apf_switching = false;
	apf_reporting = report;
	apf_cpu_each(apf_start_here, report ? &apf_table : NULL);
	cpus_read_unlock();
}

/* Steps 1 and 2 of the load. */
int apf_switch_takeover(void)
{
	int ret;

	apf_switching = true;
	apf_switch_error = 0;
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "kvm/apf_guest:online", apf_cpu_online,
				apf_cpu_offline);
	if (ret < 0) {
		pr_err("no CPU hotplug state left (%d), not loading\n", ret);
		apf_switching = false;
		return ret;
	}
	apf_cpuhp_state = ret;
	synchronize_rcu_tasks();
	ret = apf_each_online(apf_host_wakes_all_here);
	if (!ret)
		ret = apf_switch_error;
	if (ret)
		apf_switch_end(false);
	return ret;
}

static long apf_prove_here(void *unused)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	u32 before = READ_ONCE(v->broadcasts);
	int ret = apf_host_wakes_all();

	if (ret)
		return ret;
	/* @v is still valid: this is a worker of this CPU. */
	if (v->msr_on && READ_ONCE(v->broadcasts) == before) {
		pr_err("CPU %d: page-ready events do not arrive in the hook, not loading\n",
		       raw_smp_processor_id());
		return -ENXIO;
	}
	return 0;
}

/* Step 4. Whether faults arrive is not known before the first fault; see apf_sleep_timer_fn(). */
int apf_switch_prove(void)
{
	return apf_each_online(apf_prove_here);
}

/* Step 5 of the load. */
void apf_switch_go(void)
{
	apf_syscore_register(&apf_syscore);
	register_reboot_notifier(&apf_reboot_nb);
	apf_start_all(true);
	apf_slot_open();
}

/* Unload, before the hooks are removed: when this returns, no task sleeps in our table. */
void apf_switch_stop(void)
{
	apf_slot_close();
	unregister_reboot_notifier(&apf_reboot_nb);
	apf_syscore_unregister(&apf_syscore);

	cpus_read_lock();
	apf_switching = true;
	apf_reporting = false;
	apf_cpu_each(apf_stop_here, NULL);
	cpus_read_unlock();

	synchronize_rcu_tasks();
	apf_each_online(apf_broadcast_here);
	/* A CPU wakes its sleepers when it goes offline, so only online CPUs can have some. */
	while (apf_sleep_inside()) {
		msleep(20);
		apf_each_online(apf_broadcast_here);
	}
}

/*
 * Unload, after the hooks were removed: no task enters our functions any more. Also undoes
 * apf_switch_takeover() if the load fails, after the hooks were tried or not: even then the timer
 * may be armed, because step 4 delivers events to our hook, and step 1 may free a stuck slot.
 *
 * @kernel_sleepers: tasks may sleep in the kernel's table.
 */
void apf_switch_end(bool kernel_sleepers)
{
	unsigned int cpu;

	/* Wait for tasks that entered before: until they are counted, and after they left. */
	synchronize_rcu();
	while (apf_sleep_inside())
		msleep(20);
	synchronize_rcu();
	WARN_ON(apf_table_purge(&apf_table));
	/*
	 * Switching APF on makes the host wake all, and the wake arrives in the kernel's table. But
	 * a host that has an event left for this vCPU sends only this event. If tasks sleep there,
	 * try until the wake has arrived. If it never does, go on all the same.
	 */
	if (kernel_sleepers)
		apf_each_online(apf_host_wakes_all_here);
	apf_start_all(false);
	cpuhp_remove_state_nocalls(apf_cpuhp_state);
	/* Not earlier: the online callback arms the timer if it has freed a stuck slot. */
	apf_sleep_close();

	/* The purge kicked the owners of emergency nodes: wait until these kicks are done. */
	for_each_possible_cpu(cpu)
		while (atomic_read(&per_cpu_ptr(&apf_vcpu, cpu)->kicked))
			msleep(1);
	synchronize_rcu();
}
