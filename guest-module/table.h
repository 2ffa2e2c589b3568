/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sleep/wake table: which task sleeps for which page, and which page was ready before a task
 * slept for it.
 *
 * Contexts. @cpu is the CPU of the caller; functions with this argument must be called with
 * interrupts off there, so that a CPU never runs two of them at once:
 *
 *	apf_table_wait, _refuse		task, about to sleep
 *	apf_table_wake			interrupt
 *	apf_table_sync, _stop, _start	interrupt, or task with interrupts off
 *	apf_table_broadcast		the same; the sleepers may belong to another CPU
 *	apf_table_scan			timer or task; one caller at a time
 *	apf_table_figures, _sleepers	any
 *	apf_table_purge			task, when nobody calls wait or wake any more
 *
 * Locks. One raw lock per bucket; only locks of ops->wake are taken inside it. It guards the
 * bucket's list and its late tokens. Two of these locks are never held at once. With a lock held,
 * memory is not allocated or freed, and ops->enable and ops->kick are not called.
 *
 * Times are the lower 32 bits of jiffies; comparisons allow for a wrap.
 *
 * The code uses only functions of the kernel that tests/guest/include has replacements for: there
 * the same code runs in user space, with sanitizers and the fuzzer. For everything else (memory,
 * waking a task, switching APF) it uses struct apf_table_ops.
 */
#ifndef APF_GUEST_TABLE_H
#define APF_GUEST_TABLE_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

enum {
	/* Same size as the kernel's own table; a vCPU has at most 64 outstanding faults. */
	APF_TABLE_BITS = 8,
	APF_TABLE_SIZE = 1 << APF_TABLE_BITS,
	/*
	 * Late tokens in a bucket; with four of them the bucket is one cache line. A broadcast of
	 * one vCPU adds at most 64 late tokens, distributed over 256 buckets. If there are too many
	 * in a bucket, the wake counts as early and is dropped later.
	 */
	APF_LATE_SLOTS = 4,
	/* KVM's ASYNC_PF_PER_VCPU: the host cannot have more outstanding wakes for a vCPU. */
	APF_EARLY_MAX = 64,
};

#define APF_TOKEN_NONE 0U
/* The host has dropped all tokens of this vCPU. */
#define APF_TOKEN_ALL  (~0U)

/* Why APF is off on a CPU; an emergency node in use is one more reason. */
enum apf_stop {
	APF_STOP_SWITCH = 1 << 0, /* the module is being loaded or unloaded */
	APF_STOP_DOWN = 1 << 1,	  /* the CPU goes offline, is suspended or reboots */
};

enum apf_kind {
	APF_WAITER,	 /* a sleeping task; the entry is on its stack */
	APF_EARLY,	 /* a wake that arrived before its fault; from ops->alloc */
	APF_EMERGENCY,	 /* the same, in the CPU's emergency node */
};

/**
 * struct apf_entry - one token in the table
 * @node: link in the bucket's list; guarded by the bucket's lock
 * @task: the task to wake (waiters only)
 * @token: the host's id for the fault
 * @since: when the entry was added to the table
 * @queued: in the table; cleared with release semantics as the last access to a waiter's entry
 * @cpu: the CPU that took the fault, or that got the early wake and owns the node
 * @kind: enum apf_kind
 *
 * Lifetime of a waiter's entry: it is on the sleeper's stack and is invalid as soon as the sleeper
 * has seen @queued == 0. See apf_waiter_release().
 */
struct apf_entry {
	struct hlist_node node;
	void *task;
	u32 token;
	u32 since;
	u32 queued;
	u16 cpu;
	u8 kind;
};

enum apf_late_state {
	APF_LATE_FREE,	   /* slot not in use */
	APF_LATE_EXPECTED, /* its sleeper continued without the wake, which may still arrive */
	APF_LATE_READY,	   /* a wake has arrived: an early one for the next fault of this token */
};

struct apf_late {
	u32 token;
	u32 since;
	u32 state;
};

/**
 * struct apf_bucket - all tokens of one hash value
 * @lock: guards the rest
 * @nr_late: number of used slots in @late, so that the usual path need not search
 * @entries: list of struct apf_entry
 * @late: tokens whose wake may still arrive, or arrived late
 */
struct apf_bucket {
	raw_spinlock_t lock;
	u32 nr_late;
	struct hlist_head entries;
	struct apf_late late[APF_LATE_SLOTS];
};

/**
 * struct apf_cpu - the table's data about one CPU
 * @emergency: node for an early wake if there is no memory
 * @in_use: @emergency is in use. Set by the CPU itself, cleared by any CPU
 * @early_now: early wakes in the table that this CPU owns, @emergency included
 * @stop: enum apf_stop; changed by the CPU itself only
 * @blocked: APF is off here, because of @in_use or @stop; changed by the CPU itself only
 * @waits: see struct apf_figures; counted by the CPU itself only
 * @wakes: this figure and those below may be counted by any CPU
 * @broadcasts: see struct apf_figures, also for the figures below
 * @rescues: .
 * @refused: .
 * @early_wakes: .
 * @pool_taken: .
 * @pool_exhausted: .
 * @aged: .
 * @duplicates: .
 * @late: .
 * @zero_tokens: .
 * @oldest: age of the CPU's oldest sleeper at the last scan, in jiffies
 * @oldest_next: the same for the scan that is running now
 */
struct apf_cpu {
	struct apf_entry emergency;
	u32 in_use;
	atomic_t early_now;
	u32 stop;
	u32 blocked;

	u32 waits;
	atomic_t wakes;
	atomic_t broadcasts;
	atomic_t rescues;
	atomic_t refused;
	atomic_t early_wakes;
	atomic_t pool_taken;
	atomic_t pool_exhausted;
	atomic_t aged;
	atomic_t duplicates;
	atomic_t late;
	atomic_t zero_tokens;
	u32 oldest;
	u32 oldest_next;
};

struct apf_table;

/**
 * struct apf_table_ops - functions of the platform that the table uses
 * @alloc: allocates memory for an early wake, or returns NULL; interrupts are off, so it may not
 *	sleep
 * @free: frees this memory
 * @wake: wakes the task; called under a bucket's lock. The task may already be removed from the
 *	table and running, so the platform must keep it in memory until the caller's table function
 *	returns
 * @enable: switches APF of the calling CPU on or off. When it is off, the host drops all
 *	outstanding tokens of this CPU; the table then wakes the CPU's sleepers
 * @kick: makes apf_table_sync() run soon on this CPU; if the CPU is offline, does nothing
 */
struct apf_table_ops {
	void *(*alloc)(struct apf_table *t);
	void (*free)(struct apf_table *t, void *entry);
	void (*wake)(struct apf_table *t, void *task);
	void (*enable)(struct apf_table *t, unsigned int cpu, bool on);
	void (*kick)(struct apf_table *t, unsigned int cpu);
};

/**
 * struct apf_table - the table
 * @ops: functions of the platform
 * @cpus: one per CPU number below @nr_cpus; NULL for numbers that cannot exist
 * @nr_cpus: length of @cpus
 * @rescue: longest sleep in jiffies, 0 for no limit; may be changed at any time
 * @age: how long an early wake or a late token is stored, in jiffies; may be changed at any time
 * @bucket: the hash
 */
struct apf_table {
	const struct apf_table_ops *ops;
	struct apf_cpu **cpus;
	unsigned int nr_cpus;
	u32 rescue;
	u32 age;
	struct apf_bucket bucket[APF_TABLE_SIZE];
};

/**
 * struct apf_figures - figures of one CPU, or the sum of all CPUs
 * @pool_size: number of emergency nodes: one for each CPU
 * @pool_in_use: emergency nodes in use now
 * @pool_taken: how often an emergency node was taken since the load
 * @pool_exhausted: early wakes for which there was neither memory nor an emergency node; a host
 *	that follows the protocol does not send them
 * @sleepers: tasks asleep now; @waits - @wakes - @rescues - @broadcasts
 * @early_wakes: wakes that arrived before their fault
 * @rescues: sleepers woken because their wake did not arrive in time
 * @unknown_tokens: wakes that belonged to no fault: @aged + @duplicates + @zero_tokens
 * @oldest: age of the oldest sleeper at the last scan, in jiffies; 0 if there is none
 * @waits: faults that slept, and faults that did not sleep because of an early wake
 * @wakes: waits that ended by their own wake
 * @broadcasts: waits that ended because the host has dropped their tokens
 * @refused: faults that had to try again at once: APF is off here, or the task may not sleep
 * @late: wakes that arrived after their sleeper had continued without them
 * @aged: early wakes that were dropped because no fault arrived
 * @duplicates: second wakes for a token that already has a stored wake
 * @zero_tokens: wakes with token 0
 * @blocked: APF is off (for a sum: the number of such CPUs)
 */
struct apf_figures {
	u32 pool_size;
	u32 pool_in_use;
	u32 pool_taken;
	u32 pool_exhausted;
	u32 sleepers;
	u32 early_wakes;
	u32 rescues;
	u32 unknown_tokens;
	u32 oldest;
	u32 waits;
	u32 wakes;
	u32 broadcasts;
	u32 refused;
	u32 late;
	u32 aged;
	u32 duplicates;
	u32 zero_tokens;
	u32 blocked;
};

/* @cpus must be all zero. */
void apf_table_init(struct apf_table *t, const struct apf_table_ops *ops, struct apf_cpu **cpus,
		    unsigned int nr_cpus, u32 rescue, u32 age);

/*
 * Adds a fault to the table. True: sleep until apf_entry_queued(@w) is false; @w must stay valid
 * until then. False: do not sleep, access the page again; @w was not used.
 */
bool apf_table_wait(struct apf_table *t, unsigned int cpu, struct apf_entry *w, void *task,
		    u32 token, u32 now);
/* The same for a caller that may not sleep at all. */
void apf_table_refuse(struct apf_table *t, unsigned int cpu, u32 token, u32 now);

/*
 * Delivers a page-ready event. True if it only woke its sleeper: then the table has no new entry,
 * and only the figure @wakes has changed.
 */
bool apf_table_wake(struct apf_table *t, unsigned int cpu, u32 token, u32 now);

/* Wakes all sleepers whose fault was taken by @cpu. Returns their number. */
u32 apf_table_broadcast(struct apf_table *t, unsigned int cpu, u32 now);

/*
 * Switches APF of this CPU on or off, as the state requires. @force: also if the state has not
 * changed, because somebody else may have switched APF. Calls may run in any order, because each
 * uses the present state.
 */
void apf_table_sync(struct apf_table *t, unsigned int cpu, bool force, u32 now);
void apf_table_stop(struct apf_table *t, unsigned int cpu, enum apf_stop why, u32 now);
void apf_table_start(struct apf_table *t, unsigned int cpu, enum apf_stop why, u32 now);

/*
 * Wakes tasks that have slept too long, and drops old early wakes and late tokens.
 * Returns true if the table is not empty, so that another scan is necessary.
 */
bool apf_table_scan(struct apf_table *t, u32 now);

/* Drops all early wakes and late tokens. Returns the number of sleepers in the table. */
u32 apf_table_purge(struct apf_table *t);

void apf_table_figures(const struct apf_table *t, unsigned int cpu, struct apf_figures *ret_f);
void apf_table_total(const struct apf_table *t, struct apf_figures *ret_f);
/* Counts the sleepers in the table one by one, to check figures.sleepers. */
u32 apf_table_sleepers(struct apf_table *t);

static inline u32 apf_table_hash(u32 token)
{
	/* Same hash as in the kernel's own table: tokens differ in their low and middle bits. */
	return hash_32(token, APF_TABLE_BITS);
}

/*
 * Whether the task must still sleep. Pairs with the release in apf_waiter_release(): when this is
 * false, only the sleeper uses the entry, and it sees all writes before the unlink.
 */
static inline bool apf_entry_queued(const struct apf_entry *w)
{
	return smp_load_acquire(&w->queued) != 0;
}

#endif
