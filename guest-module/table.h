/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sleep/wake table: which task sleeps for which page, and which page was ready before anybody
 * slept for it.
 *
 * Contexts. "CPU n" below is the CPU the caller runs on; calls that take it must be made with
 * interrupts off there, so that a CPU is never in two of them at once:
 *
 *	apf_table_wait, _refuse		task, about to sleep
 *	apf_table_wake			interrupt
 *	apf_table_sync, _stop, _start	interrupt, or task with interrupts off
 *	apf_table_broadcast		the same; the sleepers may belong to another CPU
 *	apf_table_scan			timer or task; one caller at a time
 *	apf_table_figures, _sleepers	any
 *	apf_table_purge			task, when nobody calls wait or wake any more
 *
 * Locks. One raw lock per bucket, innermost but for what ops->wake takes. It guards the bucket's
 * list, its late tokens and its overflow mark. No two are ever held together. Memory is never
 * allocated or freed, and ops->enable and ops->kick are never called, under one.
 *
 * Time is in the platform's ticks, compared so that it may wrap.
 */
#ifndef APF_GUEST_TABLE_H
#define APF_GUEST_TABLE_H

#include "platform.h"

enum {
	/* As the kernel's own table; 64 faults per vCPU at most are outstanding at a time. */
	APF_TABLE_BITS = 8,
	APF_TABLE_SIZE = 1 << APF_TABLE_BITS,
	/*
	 * Late tokens a bucket remembers. One vCPU's broadcast leaves at most 64 of them, spread
	 * over 256 buckets; the wake of one too many is only taken for an early one, which ages
	 * out.
	 */
	APF_LATE_SLOTS = 8,
	/* One bit of a long per emergency node. */
	APF_POOL_MAX = 64,
	/* KVM's ASYNC_PF_PER_VCPU: an honest host cannot owe a vCPU more wakes than this. */
	APF_EARLY_MAX = 64,
};

#define APF_TOKEN_NONE 0U
/* The host has forgotten all tokens of this vCPU. */
#define APF_TOKEN_ALL  (~0U)

/* Why APF is off on a CPU; an emergency node in use is one more reason. */
enum apf_stop {
	APF_STOP_SWITCH = 1 << 0, /* the module is being loaded or unloaded */
	APF_STOP_DOWN = 1 << 1,	  /* the CPU is going offline, to sleep, or through a reboot */
};

enum apf_kind {
	APF_WAITER,	 /* on the stack of the task that sleeps */
	APF_EARLY,	 /* from ops->alloc: the wake came first */
	APF_EARLY_POOL,	 /* the same, from the CPU's emergency pool */
};

/**
 * struct apf_entry - one token in the table
 * @next: next in the bucket; guarded by the bucket's lock
 * @pprev: what points here; guarded by the bucket's lock
 * @task: whom to wake (waiters only)
 * @since: when it came into the table
 * @token: the host's name for the fault
 * @queued: in the table; cleared with release semantics as the last access to a waiter's entry
 * @cpu: the CPU that took the fault, or that got the early wake and owns the node
 * @kind: enum apf_kind
 * @slot: which node of the pool this is
 *
 * Lifetime of a waiter's entry: it lives on the sleeper's stack and is gone as soon as the sleeper
 * has seen @queued == 0. See waiter_release().
 */
struct apf_entry {
	struct apf_entry *next;
	struct apf_entry **pprev;
	void *task;
	unsigned long since;
	u32 token;
	u32 queued;
	u16 cpu;
	u8 kind;
	u8 slot;
};

enum apf_late_state {
	APF_LATE_FREE,	/* slot not in use */
	APF_LATE_DUE,	/* its sleeper was sent off without its wake, which may still come */
	APF_LATE_READY, /* a wake has come: an early wake for the next fault with this token */
};

struct apf_late {
	unsigned long since;
	u32 token;
	u32 state;
};

/**
 * struct apf_bucket - all tokens of one hash value
 * @lock: guards the rest
 * @first: list of entries
 * @overflow_since: when an early wake last found neither a node nor a late slot
 * @overflow: there was one: nobody may sleep in this bucket until that has aged out
 * @nr_late: slots of @late in use, so that the usual path need not look
 * @late: tokens whose wake may still come, or came late
 */
struct apf_bucket {
	apf_lock_t lock;
	struct apf_entry *first;
	unsigned long overflow_since;
	u32 overflow;
	u32 nr_late;
	struct apf_late late[APF_LATE_SLOTS];
};

/**
 * struct apf_cpu - what the table knows of one CPU
 * @pool: its emergency nodes
 * @pool_size: how many, 1 to APF_POOL_MAX
 * @busy: bit n: pool[n] is in use. Only the CPU itself sets bits; any CPU clears them
 * @early_now: early wakes in the table that this CPU owns, pool included
 * @stop: enum apf_stop; changed by the CPU itself only
 * @blocked: APF is off here, because of @busy or @stop; changed by the CPU itself only
 * @waits: see struct apf_figures; counted by the CPU itself only
 * @wakes: the rest is counted by whoever sees it happen
 * @broadcasts: see struct apf_figures, as all below
 * @rescues: .
 * @refused: .
 * @early_wakes: .
 * @pool_taken: .
 * @pool_exhausted: .
 * @aged: .
 * @duplicates: .
 * @late: .
 * @zero_tokens: .
 * @oldest: age of its oldest sleeper at the last scan, in ticks
 * @oldest_next: the same for the scan now under way
 */
struct apf_cpu {
	struct apf_entry *pool;
	u32 pool_size;
	unsigned long busy;
	apf_count_t early_now;
	u32 stop;
	u32 blocked;

	u32 waits;
	apf_count_t wakes;
	apf_count_t broadcasts;
	apf_count_t rescues;
	apf_count_t refused;
	apf_count_t early_wakes;
	apf_count_t pool_taken;
	apf_count_t pool_exhausted;
	apf_count_t aged;
	apf_count_t duplicates;
	apf_count_t late;
	apf_count_t zero_tokens;
	unsigned long oldest;
	unsigned long oldest_next;
};

struct apf_table;

/**
 * struct apf_table_ops - what the table asks of its platform
 * @alloc: memory for an early wake, or NULL; interrupts are off, so it may not sleep
 * @free: give it back
 * @wake: make the task run; called under a bucket's lock. The task may already be gone from the
 *	table and running, so the platform has to keep it in memory until the call that led here
 *	returns
 * @enable: switch APF of the calling CPU on or off. When off, the host forgets every outstanding
 *	token of this CPU; the table then wakes its sleepers
 * @kick: have apf_table_sync() run soon on this CPU, which may be offline by now: then do nothing
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
 * @ops: see above
 * @cpus: one per CPU number below @nr_cpus; NULL for numbers that cannot exist
 * @nr_cpus: length of @cpus
 * @rescue: longest sleep in ticks, 0 for no limit; may be changed at any time
 * @age: how long an early wake or a late token is kept, in ticks; may be changed at any time
 * @bucket: the hash
 */
struct apf_table {
	const struct apf_table_ops *ops;
	struct apf_cpu **cpus;
	unsigned int nr_cpus;
	unsigned long rescue;
	unsigned long age;
	struct apf_bucket bucket[APF_TABLE_SIZE];
};

/**
 * struct apf_figures - one CPU's figures, or the sum of all
 * @pool_size: emergency nodes there are
 * @pool_in_use: of them, in use now
 * @pool_taken: put to use since load
 * @pool_exhausted: early wakes that found neither memory nor an emergency node
 * @sleepers: tasks asleep now; @waits - @wakes - @rescues - @broadcasts
 * @early_wakes: wakes that overtook their fault
 * @rescues: sleepers woken because their wake did not come in time
 * @unknown_tokens: wakes that belonged to no fault: @aged + @duplicates + @zero_tokens
 * @oldest: age of the oldest sleeper at the last scan, in ticks; 0 if there is none
 * @waits: faults that slept, or would have but for an early wake
 * @wakes: of them, those ended by their own wake
 * @broadcasts: of them, those ended because the host has forgotten them
 * @refused: faults that were sent back to try again at once: APF is off here, or they may not sleep
 * @late: wakes that came after their sleeper had been sent off without
 * @aged: early wakes nobody came for
 * @duplicates: second wakes for a token that already had one waiting
 * @zero_tokens: wakes with token 0
 * @blocked: APF is off (for a sum: on so many CPUs)
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
	unsigned long oldest;
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

/* A CPU without @pool_size nodes in @pool is the caller's mistake; both must be set before. */
void apf_table_init(struct apf_table *t, const struct apf_table_ops *ops, struct apf_cpu **cpus,
		    unsigned int nr_cpus, unsigned long rescue, unsigned long age);

/*
 * Take a fault into the table. True: sleep until apf_entry_queued(@w) is false; @w must stay where
 * it is until then. False: do not sleep, touch the page again; @w was not used.
 */
bool apf_table_wait(struct apf_table *t, unsigned int cpu, struct apf_entry *w, void *task,
		    u32 token, unsigned long now);
/* The same for a caller that may not sleep at all. */
void apf_table_refuse(struct apf_table *t, unsigned int cpu, u32 token, unsigned long now);

/*
 * Deliver a page-ready event. True if all that happened is that it woke its sleeper: nothing new is
 * in the table, and of the figures none but @wakes has changed.
 */
bool apf_table_wake(struct apf_table *t, unsigned int cpu, u32 token, unsigned long now);

/* Wake every sleeper whose fault @cpu took. Returns how many there were. */
u32 apf_table_broadcast(struct apf_table *t, unsigned int cpu, unsigned long now);

/*
 * Make APF of this CPU what it should be. @force: somebody else may have switched it since.
 * Balanced in any order: what counts is the state when it runs.
 */
void apf_table_sync(struct apf_table *t, unsigned int cpu, bool force, unsigned long now);
void apf_table_stop(struct apf_table *t, unsigned int cpu, enum apf_stop why, unsigned long now);
void apf_table_start(struct apf_table *t, unsigned int cpu, enum apf_stop why, unsigned long now);

/*
 * Wake those who have slept too long, drop what nobody came for.
 * Returns true if anything is left that a later scan will have to look at.
 */
bool apf_table_scan(struct apf_table *t, unsigned long now);

/* Drop all early wakes and late tokens. Returns how many sleepers are still there. */
u32 apf_table_purge(struct apf_table *t);

void apf_table_figures(const struct apf_table *t, unsigned int cpu, struct apf_figures *ret_f);
void apf_table_total(const struct apf_table *t, struct apf_figures *ret_f);
/* Count the sleepers in the table one by one: the check of figures.sleepers. */
u32 apf_table_sleepers(struct apf_table *t);

static inline u32 apf_table_hash(u32 token)
{
	/* As the kernel's hash_32(): tokens differ in their low and middle bits. */
	return (token * 0x61C88647U) >> (32 - APF_TABLE_BITS);
}

/*
 * Still to sleep? Pairs with the release in waiter_release(): once false, the entry and all that
 * was written before it was unlinked belong to the sleeper alone.
 */
static inline bool apf_entry_queued(const struct apf_entry *w)
{
	return apf_load_acquire(&w->queued) != 0;
}

#endif
