// SPDX-License-Identifier: GPL-2.0
/*
 *	selftest	write 1 to run, read for the outcome; KTAP on the kernel log
 *
 * The table core of apf_guest, compiled into this module, with the kernel's own locks, lists and
 * scheduler. The tables are the tests' own, so apf_guest may be at work or not be loaded. "CPU" 0
 * and 1 of such a table are names; where two real CPUs are needed the test says so.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

/* The code under test. */
#include "table.c"

enum {
	ST_CPUS = 2,
	ST_AGE = 1000,	  /* ticks of the test's own clock */
	ST_RESCUE = 5000, /* the same */
	ST_ROUNDS = 10000,
	ST_PAIRS = 1000,
};

/**
 * struct st - a table under test
 * @t: the table
 * @cpu: its CPUs
 * @cpus: the same for @t
 * @on: APF of these CPUs, as ops->enable left it
 * @kicked: CPUs for which ops->kick was called
 * @refuse: no memory
 * @nodes: allocated and not freed
 * @why: the check that failed, or NULL
 */
struct st {
	struct apf_table t;
	struct apf_cpu cpu[ST_CPUS];
	struct apf_cpu *cpus[ST_CPUS];
	bool on[ST_CPUS];
	unsigned long kicked;
	bool refuse;
	atomic_t nodes;
	const char *why;
};

#define CHECK(s, cond)                                                                             \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			(s)->why = #cond;                                                          \
			return;                                                                    \
		}                                                                                  \
	} while (0)

static void *st_alloc(struct apf_table *t)
{
	struct st *s = container_of(t, struct st, t);
	void *e = s->refuse ? NULL : kmalloc(sizeof(struct apf_entry), GFP_NOWAIT | __GFP_NOWARN);

	if (e)
		atomic_inc(&s->nodes);
	return e;
}

static void st_free(struct apf_table *t, void *entry)
{
	atomic_dec(&container_of(t, struct st, t)->nodes);
	kfree(entry);
}

static void st_wake(struct apf_table *t, void *task)
{
	/* Most tests look at the entry and have nobody to wake. */
	if (task)
		wake_up_process(task);
}

static void st_enable(struct apf_table *t, unsigned int cpu, bool on)
{
	container_of(t, struct st, t)->on[cpu] = on;
}

static void st_kick(struct apf_table *t, unsigned int cpu)
{
	set_bit(cpu, &container_of(t, struct st, t)->kicked);
}

static const struct apf_table_ops st_ops = {
	.alloc = st_alloc,
	.free = st_free,
	.wake = st_wake,
	.enable = st_enable,
	.kick = st_kick,
};

/* The calls of the core, with interrupts off as it wants them. */
static bool st_wait(struct st *s, unsigned int cpu, struct apf_entry *w, u32 token,
		    unsigned long now)
{
	unsigned long flags;
	bool ret;

	local_irq_save(flags);
	ret = apf_table_wait(&s->t, cpu, w, NULL, token, now);
	local_irq_restore(flags);
	return ret;
}

static void st_ready(struct st *s, unsigned int cpu, u32 token, unsigned long now)
{
	unsigned long flags;

	local_irq_save(flags);
	apf_table_wake(&s->t, cpu, token, now);
	local_irq_restore(flags);
}

/* Let the kicks arrive. */
static void st_settle(struct st *s, unsigned long now)
{
	unsigned long flags;
	unsigned int cpu;

	for (cpu = 0; cpu < ST_CPUS; cpu++) {
		if (!test_and_clear_bit(cpu, &s->kicked))
			continue;
		local_irq_save(flags);
		apf_table_sync(&s->t, cpu, false, now);
		local_irq_restore(flags);
	}
}

/* The n-th token that falls into the bucket of @token. */
static u32 st_collide(u32 token, unsigned int n)
{
	u32 hash = apf_table_hash(token);

	while (n) {
		token++;
		if (apf_table_hash(token) == hash)
			n--;
	}
	return token;
}

static void test_early_wake(struct st *s)
{
	struct apf_figures f;
	struct apf_entry w;

	st_ready(s, 0, 0x1000, 0);
	CHECK(s, atomic_read(&s->nodes) == 1);
	CHECK(s, s->on[0]);
	CHECK(s, !st_wait(s, 0, &w, 0x1000, 1));
	CHECK(s, atomic_read(&s->nodes) == 0);
	/* Used up: the next fault with this token sleeps. */
	CHECK(s, st_wait(s, 0, &w, 0x1000, 2));
	st_ready(s, 0, 0x1000, 3);
	CHECK(s, !apf_entry_queued(&w));
	apf_table_total(&s->t, &f);
	CHECK(s, f.early_wakes == 1 && f.waits == 2 && f.wakes == 2 && !f.sleepers);
}

static void test_pool_used_and_returned(struct st *s)
{
	struct apf_entry w, other;
	struct apf_figures f;

	s->refuse = true;
	CHECK(s, st_wait(s, 0, &w, 0x1000, 0));
	CHECK(s, st_wait(s, 1, &other, 0x1001, 0));
	st_ready(s, 0, 0x2000, 1);
	/* APF off on this CPU, its sleepers awake, the other CPU untouched. */
	CHECK(s, !s->on[0] && s->on[1]);
	CHECK(s, !apf_entry_queued(&w) && apf_entry_queued(&other));
	apf_table_figures(&s->t, 0, &f);
	CHECK(s, f.pool_in_use == 1 && f.pool_taken == 1 && f.blocked == 1 && f.broadcasts == 1);
	/* Nobody sleeps here meanwhile. */
	CHECK(s, !st_wait(s, 0, &w, 0x3000, 2));
	/* The fault comes, on another CPU. */
	CHECK(s, !st_wait(s, 1, &w, 0x2000, 3));
	st_settle(s, 3);
	CHECK(s, s->on[0]);
	apf_table_figures(&s->t, 0, &f);
	CHECK(s, f.pool_in_use == 0 && f.blocked == 0);
	st_ready(s, 1, 0x1001, 4);
	CHECK(s, !apf_entry_queued(&other));
}

static void test_pool_aged(struct st *s)
{
	struct apf_figures f;

	s->refuse = true;
	st_ready(s, 0, 0x2000, 0);
	CHECK(s, !s->on[0]);
	CHECK(s, apf_table_scan(&s->t, ST_AGE - 1));
	st_settle(s, ST_AGE - 1);
	CHECK(s, !s->on[0]);
	CHECK(s, !apf_table_scan(&s->t, ST_AGE));
	st_settle(s, ST_AGE);
	CHECK(s, s->on[0]);
	apf_table_figures(&s->t, 0, &f);
	CHECK(s, f.pool_in_use == 0 && f.aged == 1 && f.unknown_tokens == 1);
}

static void test_second_need(struct st *s)
{
	struct apf_figures f;
	struct apf_entry w;

	s->refuse = true;
	st_ready(s, 0, 0x2000, 0);
	CHECK(s, !s->on[0]);
	/* No honest host sends it: APF is off here. */
	st_ready(s, 0, 0x3000, 0);
	apf_table_figures(&s->t, 0, &f);
	CHECK(s, f.pool_exhausted == 1 && f.pool_in_use == 1 && f.early_wakes == 2);
	/* The one that was owed is kept. */
	CHECK(s, !st_wait(s, 1, &w, 0x2000, 1));
	st_settle(s, 1);
	CHECK(s, s->on[0]);
}

static void test_broadcast(struct st *s)
{
	struct apf_entry w[4];
	struct apf_figures f;
	unsigned int i;

	for (i = 0; i < 4; i++)
		CHECK(s, st_wait(s, i % 2, &w[i], 0x1000 + i, 0));
	st_ready(s, 1, APF_TOKEN_ALL, 1);
	for (i = 0; i < 4; i++)
		CHECK(s, apf_entry_queued(&w[i]) == (i % 2 == 0));
	/* Their wakes, sent before the host forgot them, are not early ones. */
	st_ready(s, 1, 0x1001, 2);
	CHECK(s, atomic_read(&s->nodes) == 0);
	st_ready(s, 0, APF_TOKEN_ALL, 3);
	apf_table_total(&s->t, &f);
	CHECK(s, f.broadcasts == 4 && f.late == 1 && !f.early_wakes && !f.sleepers);
}

static void test_rescue_then_late(struct st *s)
{
	struct apf_figures f;
	struct apf_entry w;

	CHECK(s, st_wait(s, 0, &w, 0x1000, 0));
	CHECK(s, apf_table_scan(&s->t, ST_RESCUE - 1));
	CHECK(s, apf_entry_queued(&w));
	apf_table_figures(&s->t, 0, &f);
	CHECK(s, f.oldest == ST_RESCUE - 1);
	apf_table_scan(&s->t, ST_RESCUE);
	CHECK(s, !apf_entry_queued(&w));
	st_ready(s, 0, 0x1000, ST_RESCUE + 1);
	apf_table_figures(&s->t, 0, &f);
	CHECK(s, f.rescues == 1 && f.late == 1 && f.early_wakes == 0 && f.wakes == 0);
	CHECK(s, atomic_read(&s->nodes) == 0);
	CHECK(s, !apf_table_scan(&s->t, ST_RESCUE + 1 + ST_AGE));
}

static void test_token_zero(struct st *s)
{
	struct apf_figures f;

	st_ready(s, 0, APF_TOKEN_NONE, 0);
	apf_table_figures(&s->t, 0, &f);
	CHECK(s, f.zero_tokens == 1 && f.unknown_tokens == 1 && f.early_wakes == 0);
	CHECK(s, !apf_table_scan(&s->t, 1));
}

static void test_collisions(struct st *s)
{
	struct apf_entry *w;
	unsigned int i, k, left = 0;

	w = kcalloc(32, sizeof(*w), GFP_KERNEL);
	if (!w) {
		s->why = "no memory";
		return;
	}
	for (i = 0; i < 32; i++)
		if (!st_wait(s, 0, &w[i], st_collide(0x1000, i), 0))
			s->why = "a token that nobody woke did not sleep";
	/* Every third first, so that the list is cut at the ends and in the middle. */
	for (k = 0; k < 3; k++) {
		for (i = k; i < 32; i += 3) {
			st_ready(s, 0, st_collide(0x1000, i), 1);
			if (apf_entry_queued(&w[i]))
				s->why = "a wake did not find its sleeper among others";
		}
	}
	for (i = 0; i < 32; i++)
		left += apf_entry_queued(&w[i]);
	if (!left)
		kfree(w);
	CHECK(s, !left && !s->why);
}

/* A real sleeper, on a real CPU. */
struct sleeper {
	struct st *s;
	u32 token;
	unsigned int cpu;
	bool slept;
	struct completion done;
};

static int sleeper_fn(void *data)
{
	struct sleeper *sl = data;
	struct apf_entry w;

	local_irq_disable();
	sl->slept = apf_table_wait(&sl->s->t, sl->cpu, &w, current, sl->token, jiffies);
	/* As apf_guest does. */
	while (sl->slept) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!apf_entry_queued(&w))
			break;
		local_irq_enable();
		schedule();
		local_irq_disable();
	}
	__set_current_state(TASK_RUNNING);
	local_irq_enable();
	/* The module may go as soon as that is seen. */
	kthread_complete_and_exit(&sl->done, 0);
}

static bool sleeper_start(struct sleeper *sl, struct st *s, int bind, u32 token)
{
	struct task_struct *task;

	sl->s = s;
	sl->token = token;
	sl->cpu = 0;
	sl->slept = false;
	init_completion(&sl->done);
	task = kthread_create(sleeper_fn, sl, "apf_selftest");
	if (IS_ERR(task))
		return false;
	if (bind >= 0)
		kthread_bind(task, bind);
	wake_up_process(task);
	return true;
}

static bool wait_sleepers(struct st *s, u32 n)
{
	unsigned int i;

	for (i = 0; i < 1000 && apf_table_sleepers(&s->t) != n; i++)
		usleep_range(1000, 2000);
	return i < 1000;
}

static bool sleeper_end(struct st *s, struct sleeper *sl)
{
	bool ok = wait_for_completion_timeout(&sl->done, 10 * HZ);

	/* It uses our stack: never leave it behind. */
	while (!ok && !completion_done(&sl->done)) {
		local_irq_disable();
		apf_table_broadcast(&s->t, 0, 0);
		local_irq_enable();
		msleep(20);
	}
	return ok;
}

struct remote_wake {
	struct st *s;
	u32 token;
};

static void remote_wake_fn(void *info)
{
	struct remote_wake *r = info;

	apf_table_wake(&r->s->t, 1, r->token, jiffies);
}

static void test_wake_on_other_cpu(struct st *s)
{
	struct remote_wake r = { .s = s, .token = 0x1000 };
	unsigned int a, b;
	struct sleeper sl;
	bool ok;

	cpus_read_lock();
	a = cpumask_first(cpu_online_mask);
	b = cpumask_next(a, cpu_online_mask);
	if (b >= nr_cpu_ids)
		b = a;
	if (!sleeper_start(&sl, s, a, r.token)) {
		cpus_read_unlock();
		s->why = "no thread";
		return;
	}
	ok = wait_sleepers(s, 1);
	/* In a hard interrupt there. */
	smp_call_function_single(b, remote_wake_fn, &r, 1);
	ok &= sleeper_end(s, &sl);
	cpus_read_unlock();
	CHECK(s, ok);
	CHECK(s, sl.slept);
}

static void test_real_rescue(struct st *s)
{
	struct sleeper sl;
	bool slept, ok;

	if (!sleeper_start(&sl, s, -1, 0x1000)) {
		s->why = "no thread";
		return;
	}
	slept = wait_sleepers(s, 1);
	apf_table_scan(&s->t, jiffies + ST_RESCUE);
	ok = sleeper_end(s, &sl);
	CHECK(s, slept && ok && sl.slept);
}

/*
 * Fault and wake of the same token started at the same time on different threads, over and over:
 * one of them is first, and the sleeper has to come back in either case.
 */
static void test_race(struct st *s)
{
	struct apf_figures f;
	unsigned int i;
	bool ok = true;

	for (i = 0; i < ST_PAIRS && ok; i++) {
		struct sleeper sl;
		u32 token = (i + 1) << 12;

		if (!sleeper_start(&sl, s, -1, token)) {
			s->why = "no thread";
			return;
		}
		if (i & 1)
			udelay(i % 64);
		st_ready(s, 1, token, jiffies);
		ok = sleeper_end(s, &sl);
	}
	CHECK(s, ok);
	apf_table_total(&s->t, &f);
	CHECK(s, f.waits == ST_PAIRS && f.wakes == ST_PAIRS && !f.sleepers);
	CHECK(s, atomic_read(&s->nodes) == 0);
}

/*
 * Random operations against the one rule that matters: after a wake nobody sleeps for its token,
 * and until it has aged the next fault with the token does not sleep.
 */
static void test_random(struct st *s)
{
	enum { TOKENS = 24, WAITERS = 48 };
	unsigned long now = 0, ready[TOKENS] = {};
	bool pending[TOKENS] = {};
	u32 rnd = 2009, token[TOKENS], sleeping = 0;
	struct apf_figures f;
	struct apf_entry *w;
	unsigned int i, k;

	w = kcalloc(WAITERS, sizeof(*w), GFP_KERNEL);
	if (!w) {
		s->why = "no memory";
		return;
	}
	/* Short enough that a sleeper meets it between two broadcasts. */
	s->t.rescue = ST_AGE / 4;
	/* Half of them in one bucket. */
	for (i = 0; i < TOKENS; i++)
		token[i] = i % 2 ? (i + 1) << 12 : st_collide(0x5000, i);

	for (i = 0; i < ST_ROUNDS && !s->why; i++) {
		unsigned int cpu, tk;

		rnd ^= rnd << 13;
		rnd ^= rnd >> 17;
		rnd ^= rnd << 5;
		cpu = rnd >> 31;
		tk = (rnd >> 8) % TOKENS;
		switch (rnd & 0xf) {
		case 0 ... 6:
			for (k = 0; k < WAITERS && apf_entry_queued(&w[k]); k++)
				;
			if (k == WAITERS)
				break;
			if (st_wait(s, cpu, &w[k], token[tk], now) && pending[tk] &&
			    now - ready[tk] < ST_AGE)
				s->why = "slept although its wake had come";
			pending[tk] = false;
			break;
		case 7 ... 11:
			for (k = 0, sleeping = 0; k < WAITERS; k++)
				sleeping += apf_entry_queued(&w[k]) && w[k].token == token[tk];
			/* Nothing is posted to a CPU whose APF is off. */
			if (!s->on[cpu])
				break;
			st_ready(s, cpu, token[tk], now);
			for (k = 0; k < WAITERS; k++)
				if (apf_entry_queued(&w[k]) && w[k].token == token[tk])
					s->why = "slept on although its wake came";
			pending[tk] = !sleeping;
			ready[tk] = now;
			break;
		case 12:
			st_ready(s, cpu, APF_TOKEN_ALL, now);
			break;
		case 13:
			s->refuse = (rnd >> 8) & 1;
			break;
		case 14:
			now += (rnd >> 8) % (ST_AGE / 4);
			apf_table_scan(&s->t, now);
			break;
		case 15:
			st_settle(s, now);
			break;
		}
	}
	st_ready(s, 0, APF_TOKEN_ALL, now);
	st_ready(s, 1, APF_TOKEN_ALL, now);
	for (k = 0, sleeping = 0; k < WAITERS; k++)
		sleeping += apf_entry_queued(&w[k]);
	if (!sleeping)
		kfree(w);
	apf_table_scan(&s->t, now + 2 * ST_AGE);
	st_settle(s, now);
	apf_table_total(&s->t, &f);
	CHECK(s, !s->why);
	CHECK(s, !sleeping && !f.sleepers && !f.pool_in_use && s->on[0] && s->on[1]);
	CHECK(s, f.waits == f.wakes + f.rescues + f.broadcasts);
	CHECK(s, !f.pool_exhausted);
	CHECK(s, f.pool_taken && f.rescues && f.late && f.duplicates);
	CHECK(s, atomic_read(&s->nodes) == 0);
}

static const struct {
	const char *name;
	void (*fn)(struct st *s);
} tests[] = {
	{ "early wake",			  test_early_wake },
	{ "allocation refused, pool used and returned", test_pool_used_and_returned },
	{ "pool node aged out",		  test_pool_aged },
	{ "second need of the node",	  test_second_need },
	{ "broadcast",			  test_broadcast },
	{ "rescue then late ready",	  test_rescue_then_late },
	{ "token 0",			  test_token_zero },
	{ "hash collisions",		  test_collisions },
	{ "wake on another CPU",	  test_wake_on_other_cpu },
	{ "rescue of a real sleeper",	  test_real_rescue },
	{ "fault and wake at once",	  test_race },
	{ "10000 random interleavings",	  test_random },
};

static DEFINE_MUTEX(lock); /* guards passed and failed, and lets one run at a time */
static int passed = -1, failed;

static void st_run_one(struct st *s, unsigned int n)
{
	unsigned int cpu;

	memset(s, 0, sizeof(*s));
	for (cpu = 0; cpu < ST_CPUS; cpu++) {
		s->cpus[cpu] = &s->cpu[cpu];
		s->on[cpu] = true;
	}
	apf_table_init(&s->t, &st_ops, s->cpus, ST_CPUS, ST_RESCUE, ST_AGE);
	tests[n].fn(s);
	if (s->why) {
		/* What it leaves in the table may be on a stack that is gone: no purge. */
		printk(KERN_INFO "not ok %u %s\n", n + 1, tests[n].name);
		printk(KERN_INFO "# %s\n", s->why);
		failed++;
	} else {
		apf_table_purge(&s->t);
		printk(KERN_INFO "ok %u %s\n", n + 1, tests[n].name);
		passed++;
	}
}

/* Task context. 0, or -EINVAL if a test failed. */
static int st_run(void)
{
	struct st *s = kvmalloc(sizeof(*s), GFP_KERNEL);
	unsigned int i;
	int ret;

	if (!s)
		return -ENOMEM;
	mutex_lock(&lock);
	passed = 0;
	failed = 0;
	printk(KERN_INFO "KTAP version 1\n");
	printk(KERN_INFO "1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		st_run_one(s, i);
	ret = failed ? -EINVAL : 0;
	mutex_unlock(&lock);
	kvfree(s);
	return ret;
}

static int selftest_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret = kstrtobool(val, &on);

	return ret || !on ? ret : st_run();
}

static int selftest_get(char *buf, const struct kernel_param *kp)
{
	int ret;

	mutex_lock(&lock);
	if (passed < 0)
		ret = sysfs_emit(buf, "not run\n");
	else
		ret = sysfs_emit(buf, "pass %d fail %d\n", passed, failed);
	mutex_unlock(&lock);
	return ret;
}

static const struct kernel_param_ops selftest_ops = { .set = selftest_set, .get = selftest_get };
module_param_cb(selftest, &selftest_ops, NULL, 0600);
MODULE_PARM_DESC(selftest, "write 1 to run the self-tests (KTAP on the kernel log)");
