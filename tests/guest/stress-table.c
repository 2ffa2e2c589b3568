// SPDX-License-Identifier: GPL-2.0
/*
 * Threads on the table, for the thread and address sanitisers: faulting threads really sleep, with
 * their entries on their stacks, while others wake them. In two phases:
 *
 *	calm	nothing wakes a sleeper but its own wake and the rescue
 *	storm	with broadcasts, CPUs that stop and start, memory that comes and goes, and sleepers
 *		that are awake now and then for reasons of their own
 *
 * What must come out of both: everybody comes back, and the figures add up. In the storm no more
 * sleepers are rescued than wakes were dropped on purpose; a broadcast may have ended the others.
 * In the calm it is exactly as many: one more would be a wake that the table has lost, one less a
 * rescue that did not happen.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

enum {
	SLEEPERS = 2,		/* each the task of one CPU, numbers 0 and 1 */
	WAKERS = 2,		/* interrupts of the CPUs 2 and 3: every wake crosses */
	TOKENS = 4000,		/* per sleeper and phase */
	QUIET = 2,		/* exit status of a run that has nothing to say */
	QUEUE = 1024,
	DROP_EVERY = 1597,
	TICKS_PER_SEC = 1000,
	/* Long beyond what a loaded machine keeps a thread from running. */
	RESCUE = 4 * TICKS_PER_SEC,
	AGE = 8 * TICKS_PER_SEC,
};

enum phase { STORM, CALM };

/* What outlives the entry: the task. */
struct task {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool awake;
	unsigned int cpu;
	unsigned long slept;
};

static struct world w;
static enum phase phase;
static struct task tasks[SLEEPERS];
static pthread_mutex_t cpu_lock[WORLD_CPUS]; /* "interrupts off": one call at a time per CPU */
static int stop;
static unsigned long dropped;

static struct {
	pthread_mutex_t lock;
	u32 token[QUEUE];
	unsigned int head, tail;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER };

static unsigned long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * TICKS_PER_SEC + ts.tv_nsec / (1000000000 / TICKS_PER_SEC);
}

static u32 rnd(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void wake_task(struct world *world, void *p)
{
	struct task *t = p;

	pthread_mutex_lock(&t->lock);
	t->awake = true;
	pthread_cond_signal(&t->cond);
	pthread_mutex_unlock(&t->lock);
}

static void cpu_enter(unsigned int cpu)
{
	pthread_mutex_lock(&cpu_lock[cpu]);
	world_kick(&w, cpu, now());
}

static void cpu_leave(unsigned int cpu)
{
	pthread_mutex_unlock(&cpu_lock[cpu]);
}

static void push(u32 token)
{
	for (;;) {
		pthread_mutex_lock(&queue.lock);
		if (queue.head - queue.tail < QUEUE) {
			queue.token[queue.head++ % QUEUE] = token;
			pthread_mutex_unlock(&queue.lock);
			return;
		}
		pthread_mutex_unlock(&queue.lock);
		sched_yield();
	}
}

static bool pop(u32 *ret_token)
{
	bool ok;

	pthread_mutex_lock(&queue.lock);
	ok = queue.head != queue.tail;
	if (ok)
		*ret_token = queue.token[queue.tail++ % QUEUE];
	pthread_mutex_unlock(&queue.lock);
	return ok;
}

/* Returns whether the time is over. Under the task's lock. */
static bool sleep_until(struct task *t, long nsec)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += nsec / 1000000000;
	ts.tv_nsec += nsec % 1000000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_nsec -= 1000000000;
		ts.tv_sec++;
	}
	return pthread_cond_timedwait(&t->cond, &t->lock, &ts) != 0;
}

static void never_woken(const struct apf_entry *e)
{
	fprintf(stderr, "a task sleeps on although %s\n",
		apf_entry_queued(e) ? "it should have been rescued" : "its entry has left the table");
	_exit(1);
}

/* Its own frame, so that the entry is gone for the sanitiser when it returns. */
static __attribute__((noinline)) void fault(struct task *t, u32 token)
{
	struct apf_entry e;
	bool sleep;

	cpu_enter(t->cpu);
	sleep = apf_table_wait(&w.t, t->cpu, &e, t, token, now());
	cpu_leave(t->cpu);
	if (!sleep)
		return;
	t->slept++;
	for (;;) {
		pthread_mutex_lock(&t->lock);
		while (!t->awake && apf_entry_queued(&e)) {
			if (phase == STORM)
				sleep_until(t, 200000);
			else if (sleep_until(t, 2 * RESCUE * (1000000000L / TICKS_PER_SEC)) &&
				 !t->awake)
				never_woken(&e);
		}
		t->awake = false;
		pthread_mutex_unlock(&t->lock);
		if (!apf_entry_queued(&e))
			return;
	}
}

static void *sleeper(void *p)
{
	struct task *t = p;
	u32 state = 77 + t->cpu, i;

	for (i = 1; i <= TOKENS; i++) {
		u32 token = i << 12 | t->cpu;

		/*
		 * First the wake goes off, then the fault: who is first at the table is up to the
		 * scheduler.
		 */
		push(token);
		if (rnd(&state) % 4 == 0)
			sched_yield();
		fault(t, token);
	}
	return NULL;
}

static void *waker(void *p)
{
	unsigned int cpu = (unsigned int)(uintptr_t)p;
	u32 state = 99 + cpu, token;
	unsigned long n = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		bool on;

		cpu_enter(cpu);
		on = w.on[cpu];
		cpu_leave(cpu);
		/* As a host that keeps to the protocol: nothing to a CPU whose APF is off. */
		if (!on || !pop(&token)) {
			sched_yield();
			continue;
		}
		if (++n % DROP_EVERY == 0) {
			__atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED);
			continue;
		}
		/* Let it be early as often as not. */
		if (rnd(&state) % 2)
			sched_yield();
		cpu_enter(cpu);
		if (!w.on[cpu]) {
			cpu_leave(cpu);
			push(token);
			continue;
		}
		apf_table_wake(&w.t, cpu, token, now());
		/*
		 * Once in a while twice, and for nobody. With memory: the emergency node would be
		 * in use until it ages, and the CPU be off for longer than a rescue takes.
		 */
		if (rnd(&state) % 1024 == 0 && phase == STORM && w.on[cpu] &&
		    !__atomic_load_n(&w.refuse, __ATOMIC_RELAXED))
			apf_table_wake(&w.t, cpu, token, now());
		if (rnd(&state) % 1024 == 0)
			apf_table_wake(&w.t, cpu, APF_TOKEN_NONE, now());
		cpu_leave(cpu);
	}
	return NULL;
}

/* At once: with a wake lost in a hundred the run would take hours, a rescue each. */
static void nobody_lost(void)
{
	unsigned long drops;
	struct apf_figures f;

	apf_table_total(&w.t, &f);
	/* After the rescues, which come long after their drop. */
	drops = __atomic_load_n(&dropped, __ATOMIC_RELAXED);
	if (f.rescues > drops) {
		fprintf(stderr, "%lu wakes lost\n", f.rescues - drops);
		_exit(1);
	}
}

/* The timer, the host's broadcasts, memory that comes and goes, CPUs that do. */
static void *weather(void *unused)
{
	u32 state = 5;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned int cpu = rnd(&state) % WORLD_CPUS;

		apf_table_scan(&w.t, now());
		nobody_lost();
		if (phase == CALM) {
			usleep(500);
			continue;
		}
		__atomic_store_n(&w.refuse, rnd(&state) % 64 == 0, __ATOMIC_RELAXED);
		cpu_enter(cpu);
		if (rnd(&state) % 8 == 0) {
			apf_table_wake(&w.t, cpu, APF_TOKEN_ALL, now());
		} else if (rnd(&state) % 32 == 0) {
			apf_table_stop(&w.t, cpu, APF_STOP_DOWN, now());
			cpu_leave(cpu);
			usleep(500);
			cpu_enter(cpu);
			apf_table_start(&w.t, cpu, APF_STOP_DOWN, now());
		}
		cpu_leave(cpu);
		usleep(500);
	}
	return NULL;
}

/* 0; 1 if the table failed; QUIET if the threads hardly met. */
static int run(enum phase which, const char *name)
{
	pthread_t sleepers[SLEEPERS], wakers[WAKERS], sky;
	struct apf_figures f;
	unsigned long slept = 0;
	unsigned int i;

	phase = which;
	dropped = 0;
	stop = 0;
	world_init(&w, RESCUE, AGE);
	w.wake = wake_task;
	for (i = 0; i < SLEEPERS; i++) {
		tasks[i].slept = 0;
		tasks[i].cpu = i;
		pthread_create(&sleepers[i], NULL, sleeper, &tasks[i]);
	}
	for (i = 0; i < WAKERS; i++)
		pthread_create(&wakers[i], NULL, waker, (void *)(uintptr_t)(SLEEPERS + i));
	pthread_create(&sky, NULL, weather, NULL);

	for (i = 0; i < SLEEPERS; i++)
		pthread_join(sleepers[i], NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < WAKERS; i++)
		pthread_join(wakers[i], NULL);
	pthread_join(sky, NULL);

	for (i = 0; i < SLEEPERS; i++)
		slept += tasks[i].slept;
	apf_table_total(&w.t, &f);
	printf("%s: waits %u = wakes %u + rescues %u + broadcasts %u, refused %u; slept %lu, "
	       "early %u, pool %u, exhausted %u, late %u, dropped %lu\n",
	       name, f.waits, f.wakes, f.rescues, f.broadcasts, f.refused, slept, f.early_wakes,
	       f.pool_taken, f.pool_exhausted, f.late, dropped);
	if (f.pool_exhausted) {
		fprintf(stderr, "a second emergency node was needed\n");
		return 1;
	}
	if (f.waits + f.refused != SLEEPERS * TOKENS || f.sleepers || apf_table_sleepers(&w.t) ||
	    f.waits != f.wakes + f.rescues + f.broadcasts) {
		fprintf(stderr, "the figures do not add up\n");
		return 1;
	}
	nobody_lost();
	if (which == CALM && (f.rescues != dropped || f.broadcasts || f.refused)) {
		fprintf(stderr, "somebody was woken who should have slept until the rescue\n");
		return 1;
	}
	if (apf_table_purge(&w.t) || w.nodes) {
		fprintf(stderr, "%d nodes leaked\n", w.nodes);
		return 1;
	}
	/* The scheduler's doing: on a busy machine threads hardly meet. */
	if (slept < TOKENS / 2 || !f.early_wakes || (which == CALM && !dropped) ||
	    (which == STORM && (!f.broadcasts || !f.pool_taken || !f.refused))) {
		fprintf(stderr, "too quiet: this run proves nothing\n");
		return QUIET;
	}
	return 0;
}

int main(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < WORLD_CPUS; i++)
		pthread_mutex_init(&cpu_lock[i], NULL);
	for (i = 0; i < SLEEPERS; i++) {
		pthread_mutex_init(&tasks[i].lock, NULL);
		pthread_cond_init(&tasks[i].cond, NULL);
	}
	/* First the phase in which a lost wake shows at once. */
	ret = run(CALM, "calm");
	return ret ? ret : run(STORM, "storm");
}
