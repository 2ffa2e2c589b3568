// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on purpose, for tests. Nothing here does anything unless the module was loaded with
 * fault_injection=1, which taints the kernel and says so; then each of these parameters is a number
 * of events still to be spoiled, and counts down to 0:
 *
 *	inject_alloc	allocations to refuse
 *	inject_drop	page-ready events to drop
 *	inject_delay	page-ready events to hold back for inject_ms, to be delivered on
 *			whichever CPU the timer runs
 *	inject_early	faults whose page-ready is delivered inject_ms before they may sleep
 *
 * A rescue and the pool's way back can be watched this way on a real host, where they do not
 * happen.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/kernel.h>
#include <linux/panic.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

#include "compat.h"
#include "guest.h"

/* Held-back events; one vCPU's worth. One too many is delivered at once. */
enum { HELD_MAX = 64 };

static atomic_t alloc_left, drop_left, delay_left, early_left;
static unsigned int inject_ms = 500;

static DEFINE_RAW_SPINLOCK(held_lock);
static struct {
	u32 token;
	unsigned long due;
} held[HELD_MAX]; /* token 0: free; guarded by held_lock */
static struct timer_list held_timer;
static bool held_closed; /* guarded by held_lock */

static int count_set(const char *val, const struct kernel_param *kp)
{
	unsigned int n;
	int ret;

	if (!apf_fault_injection) {
		pr_err("%s needs fault_injection=1 at load\n", kp->name);
		return -EPERM;
	}
	ret = kstrtouint(val, 0, &n);
	if (ret)
		return ret;
	if (n > INT_MAX)
		return -ERANGE;
	atomic_set(kp->arg, n);
	return 0;
}

static int count_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static const struct kernel_param_ops count_ops = { .set = count_set, .get = count_get };

module_param_cb(inject_alloc, &count_ops, &alloc_left, 0600);
MODULE_PARM_DESC(inject_alloc, "test only: allocations to refuse");
module_param_cb(inject_drop, &count_ops, &drop_left, 0600);
MODULE_PARM_DESC(inject_drop, "test only: page-ready events to drop");
module_param_cb(inject_delay, &count_ops, &delay_left, 0600);
MODULE_PARM_DESC(inject_delay, "test only: page-ready events to hold back for inject_ms");
module_param_cb(inject_early, &count_ops, &early_left, 0600);
MODULE_PARM_DESC(inject_early, "test only: faults to keep inject_ms behind their page-ready");
module_param(inject_ms, uint, 0600);
MODULE_PARM_DESC(inject_ms, "test only: how long inject_delay and inject_early take, milliseconds");

/* Any context. */
static bool spoil(atomic_t *left)
{
	return atomic_read(left) && atomic_add_unless(left, -1, 0);
}

bool apf_inject_alloc(void)
{
	return unlikely(apf_fault_injection) && spoil(&alloc_left);
}

static bool hold_back(u32 token)
{
	unsigned long due = jiffies + msecs_to_jiffies(READ_ONCE(inject_ms));
	unsigned int i;
	bool ret = false;

	raw_spin_lock(&held_lock);
	for (i = 0; i < HELD_MAX && !held_closed; i++) {
		if (held[i].token)
			continue;
		held[i].token = token;
		held[i].due = due;
		ret = true;
		break;
	}
	if (ret && !timer_pending(&held_timer))
		mod_timer(&held_timer, due);
	raw_spin_unlock(&held_lock);
	return ret;
}

/* Softirq, on any CPU: the wake crosses CPUs. */
static void held_fn(struct timer_list *unused)
{
	unsigned long flags, next = 0;
	unsigned int i;
	u32 token;

	for (i = 0; i < HELD_MAX; i++) {
		token = 0;
		local_irq_save(flags);
		raw_spin_lock(&held_lock);
		if (held[i].token && time_after_eq(jiffies, held[i].due)) {
			token = held[i].token;
			held[i].token = 0;
		}
		raw_spin_unlock(&held_lock);
		if (token)
			apf_table_wake(&apf_table, smp_processor_id(), token, jiffies);
		local_irq_restore(flags);
	}
	raw_spin_lock_irqsave(&held_lock, flags);
	for (i = 0; i < HELD_MAX; i++)
		if (held[i].token && (!next || time_before(held[i].due, next)))
			next = held[i].due;
	if (next && !held_closed)
		mod_timer(&held_timer, next);
	raw_spin_unlock_irqrestore(&held_lock, flags);
	apf_sleep_arm();
}

/* Interrupts off. True: the event is dealt with. */
bool apf_inject_wake(unsigned int cpu, u32 token)
{
	if (token == APF_TOKEN_ALL || token == APF_TOKEN_NONE)
		return false;
	if (spoil(&drop_left))
		return true;
	return spoil(&delay_left) && hold_back(token);
}

/*
 * In the wait, interrupts off, before the fault is in the table. Interrupts are off on return, too.
 */
void apf_inject_wait(unsigned int cpu, u32 token)
{
	if (!spoil(&early_left))
		return;
	apf_table_wake(&apf_table, cpu, token, jiffies);
	apf_sleep_arm();
	apf_report_update();
	local_irq_enable();
	schedule_timeout_uninterruptible(msecs_to_jiffies(READ_ONCE(inject_ms)));
	local_irq_disable();
}

int apf_inject_init(void)
{
	timer_setup(&held_timer, held_fn, 0);
	if (!apf_fault_injection)
		return 0;
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	pr_warn("fault injection is on: this kernel is for tests\n");
	return 0;
}

/* When no wake comes any more: what is held back is for nobody. */
void apf_inject_uninit(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&held_lock, flags);
	held_closed = true;
	raw_spin_unlock_irqrestore(&held_lock, flags);
	apf_timer_delete_sync(&held_timer);
}
