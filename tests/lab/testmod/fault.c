// SPDX-License-Identifier: GPL-2.0
/*
 * What is spoiled inside of apf_guest, which has to be loaded:
 *
 *	hold	number of faults still to be held back for "ms", before apf_guest hears of them:
 *		their page-ready event comes first
 *	refuse	number of allocations still to be refused
 *	cling	number of times that ftrace does not remove the hooks
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "test.h"

static atomic_t hold_left, refuse_left, cling_left, holding;
static struct kprobe hold_probe, cling_probe;
static bool hold_closed;
static void (*wait_schedule)(u32 token);

/*
 * In place of apf_guest_wait(), interrupts off as there. Goes on through the kernel's own function,
 * and so to whoever is in charge by then.
 */
static void held_wait(u32 token)
{
	unsigned long end = jiffies + msecs_to_jiffies(READ_ONCE(test_ms));

	local_irq_enable();
	while (time_before(jiffies, end) && !READ_ONCE(hold_closed))
		schedule_timeout_uninterruptible(HZ / 20);
	local_irq_disable();
	/* With apf_guest unloaded, the event has gone with its table: touch the page again. */
	if (!(READ_ONCE(hold_probe.flags) & KPROBE_FLAG_GONE))
		wait_schedule(token);
	/* Read-side section of RCU from here to the caller: see test_fault_uninit(). */
	atomic_dec(&holding);
}

static int hold_enter(struct kprobe *p, struct pt_regs *regs)
{
	if (preempt_count() > 1 || is_idle_task(current) || !test_spoil(&hold_left))
		return 0;
	atomic_inc(&holding);
	regs->ip = (unsigned long)held_wait;
	return 1;
}

/* Whatever was allocated goes back. Interrupts off, usually in one. */
static int refuse_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	void *entry = (void *)regs->ax;

	if (entry && test_spoil(&refuse_left)) {
		kfree(entry);
		regs->ax = 0;
	}
	return 0;
}

static struct kretprobe refuse_probe;

static int clinging(void)
{
	return -EBUSY;
}

/* Taking a kprobe out may take this way, too. */
static int cling_enter(struct kprobe *p, struct pt_regs *regs)
{
	if (strcmp(current->comm, "rmmod") || !test_spoil(&cling_left))
		return 0;
	regs->ip = (unsigned long)clinging;
	return 1;
}

/*
 * The kernel replaces a kprobe by a jump after a moment, and then the probe cannot change where the
 * function goes on. A probe that is also called after the instruction is not replaced.
 */
static void cling_after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static int refuse_add(void)
{
	int ret;

	if (refuse_probe.handler && !(refuse_probe.kp.flags & KPROBE_FLAG_GONE))
		return 0;
	if (refuse_probe.handler)
		unregister_kretprobe(&refuse_probe);
	refuse_probe = (struct kretprobe){
		.kp.symbol_name = "apf_sleep_alloc",
		.handler = refuse_return,
		.maxactive = 64,
	};
	ret = register_kretprobe(&refuse_probe);
	if (ret)
		refuse_probe.handler = NULL;
	return ret;
}

static int fault_set(const char *val, const struct kernel_param *kp)
{
	unsigned int n;
	int ret = kstrtouint(val, 0, &n);

	if (ret)
		return ret;
	if (n > INT_MAX)
		return -ERANGE;
	if (n && kp->arg == &hold_left) {
		ret = test_find_wait(&wait_schedule);
		if (!ret)
			ret = test_probe(&hold_probe, "apf_guest_wait", hold_enter, NULL);
	} else if (n && kp->arg == &refuse_left) {
		ret = refuse_add();
	} else if (n) {
		ret = test_probe(&cling_probe, "unregister_ftrace_function", cling_enter, cling_after);
	}
	if (!ret)
		atomic_set(kp->arg, n);
	return ret;
}

static int fault_get(char *buf, const struct kernel_param *kp)
{
	return test_count_ops.get(buf, kp);
}

static const struct kernel_param_ops fault_ops = { .set = fault_set, .get = fault_get };
module_param_cb(hold, &fault_ops, &hold_left, 0600);
MODULE_PARM_DESC(hold, "faults still to be held back");
module_param_cb(refuse, &fault_ops, &refuse_left, 0600);
MODULE_PARM_DESC(refuse, "allocations of apf_guest still to be refused");
module_param_cb(cling, &fault_ops, &cling_left, 0600);
MODULE_PARM_DESC(cling, "times that the hooks of apf_guest still cannot be taken out");

void test_fault_uninit(void)
{
	test_unprobe(&hold_probe);
	test_unprobe(&cling_probe);
	if (refuse_probe.handler)
		unregister_kretprobe(&refuse_probe);
	WRITE_ONCE(hold_closed, true);
	while (atomic_read(&holding))
		msleep(20);
	synchronize_rcu();
}
