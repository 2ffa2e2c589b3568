// SPDX-License-Identifier: GPL-2.0
/*
 *	bench	write "SLEEPERS STRETCHES" to measure, read for the ns of one wait and wake
 *
 * Sleepers and waker are threads of one CPU. The sleepers are of real-time priority: whenever the
 * waker gets to run, all of them sleep, and whom it wakes runs, and sleeps again with another
 * token, within the waker's next schedule(). One turn of the waker is so a complete wake, the end
 * of one wait and the start of the next, with the two context switches that belong to them.
 *
 * Where the wake function can be called, it is. From 6.18 on it is static: there the wake is a
 * whole page-ready event, with its interrupt, its EOI and its acknowledgement.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/kvm_para.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/sysfs.h>

#include "test.h"

enum {
	SLEEPERS_MAX = 64, /* KVM's limit of outstanding faults per vCPU */
	/*
	 * A figure is that of the pairs of one stretch; the result is what nine in ten stretches
	 * take at least. An emulated or shared machine takes time away for milliseconds, and never
	 * gives any: a mean would measure that.
	 */
	STRETCH_PAIRS = 64,
	STRETCHES_MAX = 10000,
};

static void (*wait_schedule)(u32 token);

#ifdef APF_HOOK_INTERRUPT
static void wake_token(u32 token)
{
	local_irq_disable();
	if (test_post(token))
		test_interrupt();
	local_irq_enable();
}
#else
static void wake_token(u32 token)
{
	local_irq_disable();
	kvm_async_pf_task_wake(token);
	local_irq_enable();
}
#endif

struct bench {
	struct slot {
		struct bench *bench;
		struct task_struct *task;
		u32 token;	     /* what it sleeps for */
		unsigned int rounds; /* waits that have ended */
		bool woken;	     /* by us, not by a wake for all */
	} slot[SLEEPERS_MAX];
	unsigned int sleepers;
	unsigned int stretches;
	bool stop;
	int error;
	u64 *ns; /* of each stretch */
	struct completion done;
};

static u64 bench_ns; /* of one pair; guarded by the module's parameter lock */

static int sleeper_fn(void *data)
{
	struct slot *s = data;

	while (!READ_ONCE(s->bench->stop)) {
		u32 token = test_token(VCPU_BENCH);

		WRITE_ONCE(s->woken, false);
		WRITE_ONCE(s->token, token);
		local_irq_disable();
		wait_schedule(token);
		local_irq_enable();
		/*
		 * A table that lets nobody sleep, or wakes all, as when apf_guest comes or goes:
		 * not a measurement, and at this priority nothing to repeat.
		 */
		if (!READ_ONCE(s->woken)) {
			WRITE_ONCE(s->bench->error, -EINTR);
			break;
		}
		WRITE_ONCE(s->rounds, s->rounds + 1);
	}
	WRITE_ONCE(s->token, 0);
	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* Wake one sleeper and let it run until it sleeps again. */
static void wake_one(struct slot *s)
{
	unsigned int rounds = READ_ONCE(s->rounds);
	unsigned long limit = jiffies + 10 * HZ;

	WRITE_ONCE(s->woken, true);
	wake_token(READ_ONCE(s->token));
	do {
		schedule();
		if (time_after(jiffies, limit))
			WRITE_ONCE(s->bench->error, -ETIMEDOUT);
		/* Once round is the rule; a throttled sleeper may take longer. */
	} while (READ_ONCE(s->rounds) == rounds && !READ_ONCE(s->bench->error));
}

static void wake_each(struct bench *b, unsigned int rounds)
{
	unsigned int r, i;

	for (r = 0; r < rounds; r++)
		for (i = 0; i < b->sleepers && !READ_ONCE(b->error); i++)
			wake_one(&b->slot[i]);
}

static unsigned int stretch_rounds(const struct bench *b)
{
	return DIV_ROUND_UP(STRETCH_PAIRS, b->sleepers);
}

static int waker_fn(void *data)
{
	struct bench *b = data;
	unsigned int i;

	for (i = 0; i < b->sleepers; i++)
		if (!READ_ONCE(b->slot[i].token))
			WRITE_ONCE(b->error, -EAGAIN);
	wake_each(b, 2);
	for (i = 0; i < b->stretches; i++) {
		u64 start = ktime_get_ns();

		wake_each(b, stretch_rounds(b));
		b->ns[i] = ktime_get_ns() - start;
	}

	WRITE_ONCE(b->stop, true);
	for (i = 0; i < b->sleepers; i++) {
		struct slot *s = &b->slot[i];

		/* Gone already if a wake for all has ended its part. */
		if (!READ_ONCE(s->token))
			continue;
		WRITE_ONCE(s->woken, true);
		wake_token(READ_ONCE(s->token));
		schedule();
	}
	complete(&b->done);
	return 0;
}

/* On @cpu, not yet started; with a reference of ours, so that it may end before it is reaped. */
static struct task_struct *thread(int (*fn)(void *data), void *data, unsigned int cpu)
{
	struct task_struct *task = kthread_create(fn, data, "apf_test/%u", cpu);

	if (IS_ERR(task))
		return task;
	get_task_struct(task);
	kthread_bind(task, cpu);
	return task;
}

static void reap(struct task_struct *task)
{
	kthread_stop(task);
	put_task_struct(task);
}

static int bench_run(struct bench *b)
{
	unsigned int cpu = raw_smp_processor_id(), i;
	struct task_struct *waker;
	int ret = 0;

	init_completion(&b->done);
	waker = thread(waker_fn, b, cpu);
	if (IS_ERR(waker))
		return PTR_ERR(waker);
	for (i = 0; i < b->sleepers; i++) {
		struct slot *s = &b->slot[i];

		s->bench = b;
		s->task = thread(sleeper_fn, s, cpu);
		if (IS_ERR(s->task)) {
			ret = PTR_ERR(s->task);
			break;
		}
		sched_set_fifo(s->task);
	}
	/* All or none: one that never ran is reaped without having run. */
	if (!ret) {
		unsigned int k;

		for (k = 0; k < b->sleepers; k++)
			wake_up_process(b->slot[k].task);
		wake_up_process(waker);
		wait_for_completion(&b->done);
		ret = b->error;
	}
	while (i--)
		reap(b->slot[i].task);
	reap(waker);
	return ret;
}

static int cmp_ns(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int bench_set(const char *val, const struct kernel_param *kp)
{
	unsigned int sleepers, stretches;
	struct bench *b;
	int ret = -ENOMEM;

	if (sscanf(val, "%u %u", &sleepers, &stretches) != 2)
		return -EINVAL;
	if (!sleepers || sleepers > SLEEPERS_MAX || !stretches || stretches > STRETCHES_MAX)
		return -ERANGE;
	/* Probes of event.c and fault.c would be measured, too: leave them out. */
	ret = test_find_wait(&wait_schedule);
	if (ret)
		return ret;
	ret = -ENOMEM;
	bench_ns = 0;
	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return ret;
	b->sleepers = sleepers;
	b->stretches = stretches;
	b->ns = kvcalloc(stretches, sizeof(*b->ns), GFP_KERNEL);
	if (b->ns) {
		/* The CPU stays. */
		cpus_read_lock();
		ret = bench_run(b);
		cpus_read_unlock();
	}
	if (!ret) {
		sort(b->ns, stretches, sizeof(*b->ns), cmp_ns, NULL);
		bench_ns = div_u64(b->ns[stretches / 10], sleepers * stretch_rounds(b));
	}
	kvfree(b->ns);
	kfree(b);
	return ret;
}

static int bench_get(char *buf, const struct kernel_param *kp)
{
	return bench_ns ? sysfs_emit(buf, "%llu\n", bench_ns) : -ENODATA;
}

static const struct kernel_param_ops bench_ops = { .set = bench_set, .get = bench_get };

module_param_cb(bench, &bench_ops, NULL, 0600);
MODULE_PARM_DESC(bench, "write SLEEPERS STRETCHES to measure, read for ns per wait and wake");
