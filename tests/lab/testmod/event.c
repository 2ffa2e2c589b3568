// SPDX-License-Identifier: GPL-2.0
/*
 * Page-ready events, on their way to whoever is in charge. The probe is at the body of the
 * interrupt's handler, before the handler has read the slot:
 *
 *	misdirect	number of events still to be lost. The event goes to a token that nobody
 *			waits for; 0 takes the probes out again
 *	comm		only those of tasks with this name; empty: of any task
 *	victims		threads that lost their wake since misdirect was last written
 *	drop		number of events still to become one for token 0, which apf_guest ignores;
 *			not for the kernel's own table
 *	delay		number of events still to be held back for "ms", and to be delivered on
 *			whichever CPU the timer runs; likewise
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kvm_para.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/timer.h>
#include <linux/version.h>

#include "test.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define timer_delete_sync del_timer_sync
#endif

enum { VICTIMS_MAX = 16, HELD_MAX = 64 };

static struct victim {
	u32 token; /* 0 once the wake is lost */
	pid_t tid; /* 0: free */
} victims[VICTIMS_MAX];	     /* guarded by event_lock, as the next four */
static unsigned int nr_victims;
static unsigned int misdirect; /* still to be lost */
static struct {
	u32 token; /* 0: free */
	bool posted;
	unsigned long due;
} held[HELD_MAX];
static bool held_closed;
static DEFINE_RAW_SPINLOCK(event_lock);
static char comm[TASK_COMM_LEN];
static atomic_t drop_left, delay_left;
static struct timer_list held_timer;
static struct kprobe wait_probe, event_probe;

/* Somebody goes to sleep: he may be one to lose his wake. */
static int wait_enter(struct kprobe *p, struct pt_regs *regs)
{
	unsigned long flags;

	if (comm[0] && !sysfs_streq(comm, current->comm))
		return 0;
	raw_spin_lock_irqsave(&event_lock, flags);
	if (nr_victims < VICTIMS_MAX && nr_victims < misdirect) {
		victims[nr_victims].token = regs->di;
		victims[nr_victims].tid = task_pid_nr(current);
		nr_victims++;
	}
	raw_spin_unlock_irqrestore(&event_lock, flags);
	return 0;
}

/* Under event_lock. One that we post ourselves goes through, once. */
static bool held_arrives(u32 token)
{
	unsigned int i;

	for (i = 0; i < HELD_MAX; i++) {
		if (held[i].token == token && held[i].posted) {
			held[i].token = 0;
			return true;
		}
	}
	return false;
}

static bool hold_back(u32 token)
{
	unsigned int i;

	for (i = 0; i < HELD_MAX && !held_closed; i++) {
		if (held[i].token)
			continue;
		held[i].token = token;
		held[i].posted = false;
		held[i].due = jiffies + msecs_to_jiffies(READ_ONCE(test_ms));
		if (!timer_pending(&held_timer))
			mod_timer(&held_timer, held[i].due);
		return true;
	}
	return false;
}

/* What becomes of an event: itself, another one, or 0. Under event_lock. */
static u32 event_instead(u32 token)
{
	unsigned int i;

	if (held_arrives(token))
		return token;
	for (i = 0; i < nr_victims; i++) {
		if (victims[i].token != token)
			continue;
		victims[i].token = 0;
		return test_token(VCPU_NOBODY);
	}
	if (test_spoil(&drop_left) || (test_spoil(&delay_left) && hold_back(token)))
		return 0;
	return token;
}

static int event_enter(struct kprobe *p, struct pt_regs *regs)
{
	struct kvm_vcpu_pv_apf_data *a = test_area();
	unsigned long flags;
	u32 token;

	token = a ? READ_ONCE(a->token) : 0;
	if (!token || token == ~0U || (token & 0xfff) >= VCPU_BENCH)
		return 0;
	raw_spin_lock_irqsave(&event_lock, flags);
	WRITE_ONCE(a->token, event_instead(token));
	raw_spin_unlock_irqrestore(&event_lock, flags);
	return 0;
}

static int probes_add(void)
{
	int ret = test_probe(&event_probe, "__sysvec_kvm_asyncpf_interrupt", event_enter, NULL);

	return ret ? ret : test_probe(&wait_probe, "kvm_async_pf_task_wait_schedule", wait_enter, NULL);
}

/* Softirq, on any CPU: the event crosses CPUs. One at a time, as the slot is. */
static void held_fn(struct timer_list *unused)
{
	unsigned long flags;
	bool left = false;
	unsigned int i;

	raw_spin_lock_irqsave(&event_lock, flags);
	for (i = 0; i < HELD_MAX; i++) {
		if (!held[i].token || held[i].posted)
			continue;
		left = true;
		if (time_before(jiffies, held[i].due) || !test_post(held[i].token))
			continue;
		held[i].posted = true;
		test_interrupt();
		break;
	}
	if (left && !held_closed)
		mod_timer(&held_timer, jiffies + 1);
	raw_spin_unlock_irqrestore(&event_lock, flags);
}

static DEFINE_TIMER(held_timer, held_fn);

static int misdirect_set(const char *val, const struct kernel_param *kp)
{
	unsigned long flags;
	unsigned int n;
	int ret;

	ret = kstrtouint(val, 0, &n);
	if (ret)
		return ret;
	if (n > VICTIMS_MAX)
		return -ERANGE;
	raw_spin_lock_irqsave(&event_lock, flags);
	nr_victims = 0;
	misdirect = n;
	raw_spin_unlock_irqrestore(&event_lock, flags);
	if (n)
		return probes_add();
	test_event_uninit();
	return 0;
}

static unsigned int lost(char *buf, int *ret_at)
{
	unsigned int i, n = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&event_lock, flags);
	for (i = 0; i < nr_victims; i++) {
		if (victims[i].token)
			continue;
		n++;
		if (buf)
			*ret_at += sysfs_emit_at(buf, *ret_at, "%d ", victims[i].tid);
	}
	raw_spin_unlock_irqrestore(&event_lock, flags);
	return n;
}

static int misdirect_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%u\n", misdirect - lost(NULL, NULL));
}

static int victims_get(char *buf, const struct kernel_param *kp)
{
	int at = 0;

	lost(buf, &at);
	return at + sysfs_emit_at(buf, at, "\n");
}

static const struct kernel_param_ops misdirect_ops = { .set = misdirect_set, .get = misdirect_get };
static const struct kernel_param_ops victims_ops = { .get = victims_get };

static int spoil_set(const char *val, const struct kernel_param *kp)
{
	unsigned int n;
	int ret = kstrtouint(val, 0, &n);

	if (ret)
		return ret;
	if (n > INT_MAX)
		return -ERANGE;
	if (n)
		ret = probes_add();
	if (!ret)
		atomic_set(kp->arg, n);
	return ret;
}

static int spoil_get(char *buf, const struct kernel_param *kp)
{
	return test_count_ops.get(buf, kp);
}

static const struct kernel_param_ops spoil_ops = { .set = spoil_set, .get = spoil_get };

module_param_cb(misdirect, &misdirect_ops, NULL, 0600);
MODULE_PARM_DESC(misdirect, "page-ready events still to be lost");
module_param_cb(victims, &victims_ops, NULL, 0400);
MODULE_PARM_DESC(victims, "threads that lost one");
module_param_string(comm, comm, sizeof(comm), 0600);
MODULE_PARM_DESC(comm, "name of the tasks that may lose one; empty: all");
module_param_cb(drop, &spoil_ops, &drop_left, 0600);
MODULE_PARM_DESC(drop, "page-ready events still to be dropped");
module_param_cb(delay, &spoil_ops, &delay_left, 0600);
MODULE_PARM_DESC(delay, "page-ready events still to be held back");

/* What is held back is lost: whoever waits for it has to be rescued. */
void test_event_uninit(void)
{
	unsigned long flags;

	test_unprobe(&wait_probe);
	test_unprobe(&event_probe);
	raw_spin_lock_irqsave(&event_lock, flags);
	held_closed = true;
	raw_spin_unlock_irqrestore(&event_lock, flags);
	timer_delete_sync(&held_timer);
	memset(held, 0, sizeof(held));
	held_closed = false;
}
