// SPDX-License-Identifier: GPL-2.0
/*
 * apf_test: for the lab's guests alone, and not part of what is installed anywhere. It taints the
 * kernel (TAINT_TEST) and says so. It does to kvm_async_pf_task_wait_schedule() and
 * kvm_async_pf_task_wake() what neither the kernel's own table nor apf_guest can be asked for, and
 * the same to both, because whichever of them is in charge is behind these two names:
 *
 *	misdirect	number of page-ready events still to be lost. The wake goes to a token that
 *			nobody waits for; 0 takes the probes out again
 *	comm		only those of tasks with this name; empty: of any task
 *	victims		threads that lost their wake since misdirect was last written
 *	bench		write "SLEEPERS STRETCHES" to measure, read for the ns of one wait and wake
 *
 * Probes. Both are kprobes at the function's entry, hence ftrace callbacks, called with the
 * interrupts of their caller: off. They have no post handler, so they do not ask to be the only one
 * to change the instruction pointer and get on with apf_guest's hooks in either order of coming.
 *
 * Tokens. KVM's are a serial number above 12 bits of vCPU number. Ours have numbers no guest of the
 * lab has, so they meet nobody's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/kvm_para.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>

enum {
	VICTIMS_MAX = 16,
	SLEEPERS_MAX = 64, /* KVM's limit of outstanding faults per vCPU */
	/*
	 * A figure is that of the pairs of one stretch; the result is what nine in ten stretches
	 * take at least. An emulated or shared machine takes time away for milliseconds, and never
	 * gives any: a mean would measure that.
	 */
	STRETCH_PAIRS = 64,
	STRETCHES_MAX = 10000,
	VCPU_NOBODY = 0xfff,
	VCPU_BENCH = 0xffe,
};

/* Never 0 and never ~0: the serial number has 19 of its 20 bits. */
static u32 fresh_token(unsigned int vcpu)
{
	static atomic_t serial;

	return ((u32)atomic_inc_return(&serial) & 0x7ffff) << 12 | vcpu;
}

/* misdirect */

static struct victim {
	u32 token; /* 0 once the wake is lost */
	pid_t tid; /* 0: free */
} victims[VICTIMS_MAX];	     /* guarded by victims_lock, as the next two */
static unsigned int nr_victims;
static unsigned int misdirect; /* still to be lost */
static DEFINE_RAW_SPINLOCK(victims_lock);
static char comm[TASK_COMM_LEN];
static bool probed; /* guarded by the module's parameter lock */

/* Somebody goes to sleep: he may be one to lose his wake. */
static int wait_enter(struct kprobe *p, struct pt_regs *regs)
{
	unsigned long flags;

	if (comm[0] && strcmp(comm, current->comm))
		return 0;
	raw_spin_lock_irqsave(&victims_lock, flags);
	if (nr_victims < VICTIMS_MAX && nr_victims < misdirect) {
		victims[nr_victims].token = regs->di;
		victims[nr_victims].tid = task_pid_nr(current);
		nr_victims++;
	}
	raw_spin_unlock_irqrestore(&victims_lock, flags);
	return 0;
}

static int wake_enter(struct kprobe *p, struct pt_regs *regs)
{
	u32 token = regs->di;
	unsigned long flags;
	unsigned int i;

	if (!token || token == ~0U)
		return 0;
	raw_spin_lock_irqsave(&victims_lock, flags);
	for (i = 0; i < nr_victims; i++) {
		if (victims[i].token != token)
			continue;
		victims[i].token = 0;
		regs->di = fresh_token(VCPU_NOBODY);
		break;
	}
	raw_spin_unlock_irqrestore(&victims_lock, flags);
	return 0;
}

static struct kprobe wait_probe, wake_probe;

static void probes_del(void)
{
	if (!probed)
		return;
	unregister_kprobe(&wait_probe);
	unregister_kprobe(&wake_probe);
	probed = false;
}

/* Set up anew each time: a probe that was taken out keeps its address and flags. */
static int probes_add(void)
{
	int ret;

	if (probed)
		return 0;
	wake_probe = (struct kprobe){
		.symbol_name = "kvm_async_pf_task_wake",
		.pre_handler = wake_enter,
	};
	wait_probe = (struct kprobe){
		.symbol_name = "kvm_async_pf_task_wait_schedule",
		.pre_handler = wait_enter,
	};
	ret = register_kprobe(&wake_probe);
	if (ret)
		return ret;
	ret = register_kprobe(&wait_probe);
	if (ret) {
		unregister_kprobe(&wake_probe);
		return ret;
	}
	probed = true;
	return 0;
}

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
	raw_spin_lock_irqsave(&victims_lock, flags);
	nr_victims = 0;
	misdirect = n;
	raw_spin_unlock_irqrestore(&victims_lock, flags);
	if (n)
		return probes_add();
	probes_del();
	return 0;
}

static unsigned int lost(char *buf, int *ret_at)
{
	unsigned int i, n = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&victims_lock, flags);
	for (i = 0; i < nr_victims; i++) {
		if (victims[i].token)
			continue;
		n++;
		if (buf)
			*ret_at += sysfs_emit_at(buf, *ret_at, "%d ", victims[i].tid);
	}
	raw_spin_unlock_irqrestore(&victims_lock, flags);
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

module_param_cb(misdirect, &misdirect_ops, NULL, 0600);
MODULE_PARM_DESC(misdirect, "page-ready events still to be lost");
module_param_cb(victims, &victims_ops, NULL, 0400);
MODULE_PARM_DESC(victims, "threads that lost one");
module_param_string(comm, comm, sizeof(comm), 0600);
MODULE_PARM_DESC(comm, "name of the tasks that may lose one; empty: all");

/*
 * bench
 *
 * Sleepers and waker are threads of one CPU. The sleepers are of real-time priority: whenever the
 * waker gets to run, all of them sleep, and whom it wakes runs, and sleeps again with another
 * token, within the waker's next schedule(). One turn of the waker is so a complete wake, the end
 * of one wait and the start of the next, with the two context switches that belong to them.
 */
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
		u32 token = fresh_token(VCPU_BENCH);

		WRITE_ONCE(s->woken, false);
		WRITE_ONCE(s->token, token);
		local_irq_disable();
		kvm_async_pf_task_wait_schedule(token);
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
	local_irq_disable();
	kvm_async_pf_task_wake(READ_ONCE(s->token));
	local_irq_enable();
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
		local_irq_disable();
		kvm_async_pf_task_wake(READ_ONCE(s->token));
		local_irq_enable();
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
	/* It would be the probes that are measured. */
	if (probed)
		return -EBUSY;
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

static int __init apf_test_init(void)
{
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	pr_warn("loaded: this kernel is for tests\n");
	return 0;
}

static void __exit apf_test_exit(void)
{
	probes_del();
}

module_init(apf_test_init);
module_exit(apf_test_exit);

MODULE_DESCRIPTION("Test-only: lose page-ready events, measure wait and wake");
MODULE_LICENSE("GPL");
