// SPDX-License-Identifier: GPL-2.0
/*
 * Sleeping and waking of tasks, and the timer that limits the sleep.
 *
 * Context of apf_guest_wait(): ftrace redirects the kernel's own kvm_async_pf_task_wait_schedule()
 * to it, in the #PF handler of a task that was in user mode, or in a vCPU thread of a hypervisor in
 * this guest; in both cases interrupts are off and RCU is watching, also on return.
 *
 * Context of apf_guest_wake(): the same for kvm_async_pf_task_wake(), or called by
 * apf_guest_interrupt(); hard interrupt.
 *
 * Both run with interrupts off from the first instruction. So they are RCU read-side sections
 * before schedule() and after it; on unload, synchronize_rcu() waits for these sections. For tasks
 * in schedule(), unload waits until apf_sleep_inside() is false.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kvm_para.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/timer.h>

#include "compat.h"
#include "guest.h"

static struct kmem_cache *apf_sleep_cache;
static struct timer_list apf_sleep_timer;
static bool apf_sleep_closed;
/* Time of the first wake without a fault, if no fault has arrived before; else 0. */
static unsigned long apf_sleep_unmatched;
static bool apf_sleep_proven;
/* Called if only page-ready events arrive here. Any context. */
static void (*apf_sleep_useless)(void);

APF_NOT_ON_RT_MAP(apf_sleep_alloc_map);

/*
 * ops->alloc, with interrupts off, usually in a hard interrupt. There PREEMPT_RT does not allow
 * allocations, so only the emergency node can be used.
 */
void *apf_sleep_alloc(struct apf_table *t)
{
	void *entry;

	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return NULL;
	apf_not_on_rt_begin(&apf_sleep_alloc_map);
	entry = kmem_cache_alloc(apf_sleep_cache, GFP_NOWAIT | __GFP_NOWARN);
	apf_not_on_rt_end(&apf_sleep_alloc_map);
	return entry;
}

/* ops->free, of what apf_sleep_alloc() has allocated; also in a hard interrupt. */
void apf_sleep_free(struct apf_table *t, void *entry)
{
	apf_not_on_rt_begin(&apf_sleep_alloc_map);
	kmem_cache_free(apf_sleep_cache, entry);
	apf_not_on_rt_end(&apf_sleep_alloc_map);
}

/*
 * ops->wake. The task was in the table, so it was still waiting and could not exit, and interrupts
 * have been off since. Even if the task exits now, its task_struct is freed only after a grace
 * period, which waits for us. If the task already runs, or sleeps elsewhere, this is a spurious
 * wake-up, which every task must tolerate.
 */
void apf_sleep_wake_task(struct apf_table *t, void *task)
{
	wake_up_process(task);
}

static bool apf_may_sleep(void)
{
	return !preempt_count() && !is_idle_task(current);
}

/*
 * Sleeps until the entry was removed from the table. Afterwards only return, do not use @w; see
 * apf_waiter_release() in table.c.
 */
static void apf_sleep_until_released(struct apf_entry *w)
{
	for (;;) {
		/* Full barrier: the state is visible before queued is read. */
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!apf_entry_queued(w))
			break;
		local_irq_enable();
		schedule();
		local_irq_disable();
		/* The usual end: after schedule() the state is already TASK_RUNNING. */
		if (!apf_entry_queued(w))
			return;
	}
	__set_current_state(TASK_RUNNING);
}

void apf_guest_wait(u32 token)
{
	unsigned int cpu = smp_processor_id();
	struct apf_entry w;

	lockdep_assert_irqs_disabled();
	this_cpu_inc(apf_vcpu.entered);

	/*
	 * This should not happen, because the host delivers faults to user mode only. Do not panic:
	 * return, so that the task accesses the page again. The host then halts the vCPU until the
	 * page is there.
	 */
	if (unlikely(!apf_may_sleep())) {
		apf_table_refuse(&apf_table, cpu, token, jiffies);
		apf_sleep_arm();
		goto out;
	}

	if (apf_table_wait(&apf_table, cpu, &w, current, token, jiffies)) {
		apf_sleep_arm();
		apf_report_update_usual();
		apf_sleep_until_released(&w);
	} else {
		apf_sleep_arm();
		apf_report_update();
	}
out:
	/* The task may be on another CPU now. */
	this_cpu_inc(apf_vcpu.left);
}

void apf_guest_wake(u32 token)
{
	unsigned int cpu = smp_processor_id();

	lockdep_assert_irqs_disabled();
	if (likely(apf_table_wake(&apf_table, cpu, token, jiffies))) {
		/* The sleeper armed the timer, and the table has not been empty since. */
		apf_report_update_usual();
		return;
	}
	if (token == APF_TOKEN_ALL)
		this_cpu_inc(apf_vcpu.broadcasts);
	else if (unlikely(!READ_ONCE(apf_sleep_proven)) && !READ_ONCE(apf_sleep_unmatched))
		WRITE_ONCE(apf_sleep_unmatched, jiffies | 1);
	apf_sleep_arm();
	apf_report_update();
}

/* Whether some task is between the first and the last line of apf_guest_wait(). */
bool apf_sleep_inside(void)
{
	unsigned long left = 0, entered = 0;
	unsigned int cpu;

	/* Count @left first: a task that leaves meanwhile must not hide one that entered. */
	for_each_possible_cpu(cpu)
		left += READ_ONCE(per_cpu_ptr(&apf_vcpu, cpu)->left);
	smp_rmb();
	for_each_possible_cpu(cpu)
		entered += READ_ONCE(per_cpu_ptr(&apf_vcpu, cpu)->entered);
	return entered != left;
}

static unsigned long apf_scan_period(void)
{
	unsigned long rescue = READ_ONCE(apf_table.rescue), age = READ_ONCE(apf_table.age);
	unsigned long p = age / 4;

	if (rescue)
		p = min(p, rescue / 4);
	/* At most a second, as the report promises; at least a tenth, which is often enough. */
	return clamp_t(unsigned long, p, HZ / 10, HZ);
}

/*
 * Arms the timer, because an entry may have been added to the table. If the timer is armed already,
 * this is only one comparison. No arming is lost: the timer is not pending any more when its
 * function starts, and both the scan and the code that adds an entry take the lock of the bucket.
 * Either the scan finds the new entry and arms the timer, or the entry is added after the scan, and
 * then the timer is not pending here.
 */
void apf_sleep_arm(void)
{
	if (timer_pending(&apf_sleep_timer) || READ_ONCE(apf_sleep_closed))
		return;
	mod_timer(&apf_sleep_timer, jiffies + apf_scan_period());
}

/*
 * The first fault in our hook proves that faults arrive there. If only page-ready events arrive,
 * the tasks sleep in the kernel's table (callers may contain an inlined copy of the function, which
 * cannot be hooked). Then these tasks must be woken there, and the module is useless.
 */
static void apf_sleep_prove(void)
{
	unsigned long unmatched = READ_ONCE(apf_sleep_unmatched);
	unsigned int cpu;

	if (apf_sleep_proven || !unmatched)
		return;
	for_each_possible_cpu(cpu) {
		if (READ_ONCE(per_cpu_ptr(&apf_vcpu, cpu)->entered)) {
			WRITE_ONCE(apf_sleep_proven, true);
			return;
		}
	}
	/* A wake can arrive before its fault, but much less than a second before. */
	if (time_after_eq(jiffies, unmatched + HZ)) {
		WRITE_ONCE(apf_sleep_proven, true);
		apf_sleep_useless();
	}
}

/*
 * Softirq. Any CPU scans the whole table. Then kick the CPUs that have sleepers, or whose sleepers
 * have ended (another CPU may have woken them), because each CPU must update its own report. Every
 * new entry arms the timer, so the timer also runs after the last entry was removed.
 */
static void apf_sleep_timer_fn(struct timer_list *unused)
{
	struct apf_figures f;
	unsigned int cpu;

	if (apf_table_scan(&apf_table, jiffies))
		apf_sleep_arm();
	apf_sleep_prove();
	for_each_online_cpu(cpu) {
		struct apf_vcpu *v = per_cpu_ptr(&apf_vcpu, cpu);
		u32 ends;

		apf_table_figures(&apf_table, cpu, &f);
		ends = f.wakes + f.rescues + f.broadcasts + f.aged;
		if (f.sleepers || ends != v->reported)
			apf_table.ops->kick(&apf_table, cpu);
		v->reported = ends;
	}
}

int apf_sleep_init(void (*useless)(void))
{
	apf_sleep_cache = kmem_cache_create("apf_guest_early", sizeof(struct apf_entry), 0,
					    SLAB_HWCACHE_ALIGN, NULL);
	if (!apf_sleep_cache)
		return -ENOMEM;
	apf_sleep_useless = useless;
	timer_setup(&apf_sleep_timer, apf_sleep_timer_fn, 0);
	return 0;
}

/* Call it when no task waits, no wake arrives any more, and the table is purged. */
void apf_sleep_uninit(void)
{
	kmem_cache_destroy(apf_sleep_cache);
}

/* Stops the timer, before the unload waits for the kicks that the timer has sent. */
void apf_sleep_close(void)
{
	WRITE_ONCE(apf_sleep_closed, true);
	apf_timer_delete_sync(&apf_sleep_timer);
}
