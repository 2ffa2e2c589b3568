// SPDX-License-Identifier: GPL-2.0
/*
 * The task side of the table (who sleeps, how it is woken) and the timer that bounds the sleep.
 *
 * Context of apf_guest_wait_schedule(): reached by ftrace from the entry of the kernel's own
 * kvm_async_pf_task_wait_schedule(), in the #PF handler of a task that was in user mode, or in a
 * vCPU thread of a hypervisor in this guest; interrupts off and RCU watching in both, and so on
 * return.
 *
 * Context of apf_guest_task_wake(): the same for kvm_async_pf_task_wake(); hard interrupt, or task
 * with interrupts off.
 *
 * Both have interrupts off from the first instruction, so up to the schedule() and after it they
 * are RCU read-side sections. That is what synchronize_rcu() waits for on unload; for the
 * schedule() in between there is the count of those inside.
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

static struct kmem_cache *cache;
static struct timer_list timer;
static bool timer_closed;

/*
 * ops->alloc, with interrupts off, usually in a hard interrupt. On PREEMPT_RT the allocator may not
 * be called there at all, which leaves the emergency pool.
 */
void *apf_sleep_alloc(struct apf_table *t)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT) || apf_inject_alloc())
		return NULL;
	return kmem_cache_alloc(cache, GFP_NOWAIT | __GFP_NOWARN);
}

void apf_sleep_free(struct apf_table *t, void *entry)
{
	kmem_cache_free(cache, entry);
}

/*
 * ops->wake. The task was found in the table, so it had not left its wait and could not exit, and
 * we have had interrupts off since: whatever it does now, its task_struct is freed only after a
 * grace period, which waits for us. Woken when it already runs, or even sleeps elsewhere by now, it
 * takes this as any other spurious wake-up.
 */
void apf_sleep_wake_task(struct apf_table *t, void *task)
{
	wake_up_process(task);
}

static bool may_sleep(void)
{
	return !preempt_count() && !is_idle_task(current);
}

/*
 * Sleep until the entry is out of the table. Nothing may be done with @w after this has been seen,
 * but to return; see waiter_release() in table.c.
 */
static void sleep_until_released(struct apf_entry *w)
{
	for (;;) {
		/* Full barrier: the state is visible before queued is read. */
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!apf_entry_queued(w))
			break;
		local_irq_enable();
		schedule();
		local_irq_disable();
		/* The usual end: out of schedule() the state is TASK_RUNNING already. */
		if (!apf_entry_queued(w))
			return;
	}
	__set_current_state(TASK_RUNNING);
}

/*
 * The wait itself, for the tables of the self-tests, where @cpu is only a name. Interrupts off.
 * Returns whether it slept.
 */
bool apf_sleep_in(struct apf_table *t, unsigned int cpu, u32 token)
{
	struct apf_entry w;

	if (!apf_table_wait(t, cpu, &w, current, token, jiffies))
		return false;
	sleep_until_released(&w);
	return true;
}

void apf_guest_wait_schedule(u32 token)
{
	unsigned int cpu = smp_processor_id();
	struct apf_entry w;

	lockdep_assert_irqs_disabled();
	this_cpu_inc(apf_vcpu.entered);

	/*
	 * Where the kernel would never fault us (the host delivers to user mode only), nor should
	 * we die on it: go back and touch the page again. The host then halts the vCPU until it is
	 * there.
	 */
	if (unlikely(!may_sleep())) {
		apf_table_refuse(&apf_table, cpu, token, jiffies);
		apf_sleep_arm();
		goto out;
	}

	if (unlikely(apf_fault_injection)) {
		/* May sleep, and come back on another CPU. */
		apf_inject_wait(cpu, token);
		cpu = smp_processor_id();
	}

	if (apf_table_wait(&apf_table, cpu, &w, current, token, jiffies)) {
		apf_sleep_arm();
		apf_report_usual();
		sleep_until_released(&w);
	} else {
		apf_sleep_arm();
		apf_report_update();
	}
out:
	/* On whichever CPU that is. */
	this_cpu_inc(apf_vcpu.left);
}

void apf_guest_task_wake(u32 token)
{
	unsigned int cpu = smp_processor_id();

	lockdep_assert_irqs_disabled();
	if (unlikely(apf_fault_injection) && apf_inject_wake(cpu, token))
		return;
	if (likely(apf_table_wake(&apf_table, cpu, token, jiffies))) {
		/* The timer is armed: the sleeper did that, and it has not run empty since. */
		apf_report_usual();
		return;
	}
	apf_sleep_arm();
	apf_report_update();
}

/* Is anybody between the first and the last line of apf_guest_wait_schedule()? */
bool apf_sleep_inside(void)
{
	unsigned long left = 0, entered = 0;
	unsigned int cpu;

	/* In this order: who comes out while we count must not hide one who went in. */
	for_each_possible_cpu(cpu)
		left += READ_ONCE(per_cpu_ptr(&apf_vcpu, cpu)->left);
	smp_rmb();
	for_each_possible_cpu(cpu)
		entered += READ_ONCE(per_cpu_ptr(&apf_vcpu, cpu)->entered);
	return entered != left;
}

static unsigned long scan_period(void)
{
	unsigned long rescue = READ_ONCE(apf_table.rescue), age = READ_ONCE(apf_table.age);
	unsigned long p = age / 4;

	if (rescue)
		p = min(p, rescue / 4);
	/* Not above a second, which the report promises; not below a tenth, which nobody needs. */
	return clamp_t(unsigned long, p, HZ / 10, HZ);
}

/*
 * Someone may have come into the table: see that it is scanned. One comparison when the timer runs
 * already. No arming is lost: the timer is no longer pending when its function starts, the scan
 * takes the lock of each bucket, and so did whoever came into one. Either the scan sees him and
 * arms the timer, or he comes after and sees it not pending.
 */
void apf_sleep_arm(void)
{
	if (timer_pending(&timer) || READ_ONCE(timer_closed))
		return;
	mod_timer(&timer, jiffies + scan_period());
}

/*
 * Softirq. Any CPU scans for all; afterwards those with sleepers, or whose sleepers went (another
 * CPU may have woken them), bring their own report up to date, as only they may write it.
 * Everything that comes into the table arms the timer, so this sees the last of them go, too.
 */
static void timer_fn(struct timer_list *unused)
{
	struct apf_figures f;
	unsigned int cpu;

	if (apf_table_scan(&apf_table, jiffies))
		apf_sleep_arm();
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

int apf_sleep_init(void)
{
	cache = kmem_cache_create("apf_guest_early", sizeof(struct apf_entry), 0,
				  SLAB_HWCACHE_ALIGN, NULL);
	if (!cache)
		return -ENOMEM;
	timer_closed = false;
	timer_setup(&timer, timer_fn, 0);
	return 0;
}

/* When nobody waits or wakes any more, and the table is purged. */
void apf_sleep_uninit(void)
{
	kmem_cache_destroy(cache);
}

/* The timer's end comes earlier: it kicks CPUs, and those kicks are waited for. */
void apf_sleep_close(void)
{
	WRITE_ONCE(timer_closed, true);
	apf_timer_delete_sync(&timer);
}
