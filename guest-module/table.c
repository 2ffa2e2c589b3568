// SPDX-License-Identifier: GPL-2.0
/*
 * The sleep/wake table. See table.h for contexts, locks and the meaning of the figures.
 *
 * Guarantee: if the host follows the protocol, no wake is lost. Each apf_table_wake() of a valid
 * token does one of these, under the lock of the token's bucket:
 *
 *   - it wakes all sleepers of the token;
 *   - or it stores something that prevents the next fault with this token from sleeping: an
 *     early-wake entry, in memory or in the CPU's emergency node, or a late slot in state READY.
 *
 * apf_table_wait() checks all of these under the same lock before it queues, so fault and wake
 * cannot miss each other. An entry for a fault that never arrives is dropped after @age, which is
 * much longer than the microseconds by which a wake can arrive before its fault.
 *
 * One emergency node for each CPU is enough. Taking the node switches APF off on that CPU before
 * the interrupt is acknowledged, and APF stays off until the node is free again. The host posts one
 * page-ready at a time, the next one only after the acknowledgement, and none to a CPU with APF
 * off. So no valid wake needs the node while it is in use. Such a wake is not stored; instead all
 * sleepers of the CPU are woken to access their pages again. If a fault for that wake arrives
 * nevertheless, the rescue ends its sleep.
 *
 * The other direction needs no guarantee: a sleeper that is woken without reason accesses its page
 * again and, if the page is still not there, faults again.
 */
#include <linux/printk.h>

#include "table.h"

static struct apf_bucket *apf_bucket_of(struct apf_table *t, u32 token)
{
	return &t->bucket[apf_table_hash(token)];
}

static bool apf_older(u32 now, u32 since, u32 limit)
{
	return (s32)(now - since) >= (s32)limit;
}

/*
 * Wakes a sleeper whose entry was unlinked. Under the bucket's lock.
 *
 * The entry is on the sleeper's stack. The sleeper may be awake for another reason; then it sees
 * queued == 0 as soon as this is written, returns, and reuses its stack before the next line here
 * runs. Therefore read @task first, make the release the last access to the entry, and then use
 * only @task, which the platform keeps in memory (see struct apf_table_ops). The sleeper sets its
 * task state before it reads @queued, so either it sees 0, or the wake finds it asleep.
 *
 * For this reason the entry contains no wait queue: the lock of the queue would be released after
 * the sleeper may have returned, in memory that is not valid any more. In the kernel's own table
 * this works only while fault and wake are on the same CPU.
 */
static void apf_waiter_release(struct apf_table *t, struct apf_entry *w)
{
	void *task = w->task;

	smp_store_release(&w->queued, 0);
	t->ops->wake(t, task);
}

static struct apf_late *apf_late_find(struct apf_bucket *b, u32 token)
{
	unsigned int i;

	if (!b->nr_late)
		return NULL;
	for (i = 0; i < APF_LATE_SLOTS; i++)
		if (b->late[i].state != APF_LATE_FREE && b->late[i].token == token)
			return &b->late[i];
	return NULL;
}

static void apf_late_clear(struct apf_bucket *b, struct apf_late *l)
{
	l->state = APF_LATE_FREE;
	b->nr_late--;
}

/*
 * Finds a slot to write: a free one, or else the oldest one in state EXPECTED. A slot in state
 * READY stands for a wake and is never overwritten.
 */
static struct apf_late *apf_late_slot(struct apf_bucket *b)
{
	struct apf_late *l, *oldest = NULL;
	unsigned int i;

	for (i = 0; i < APF_LATE_SLOTS; i++) {
		l = &b->late[i];
		if (l->state == APF_LATE_FREE) {
			b->nr_late++;
			return l;
		}
		if (l->state == APF_LATE_EXPECTED &&
		    (!oldest || apf_older(oldest->since, l->since, 0)))
			oldest = l;
	}
	return oldest;
}

/*
 * A sleeper continues without its wake: if the wake still arrives, it must not count as early. If
 * there is no slot, the wake counts as early and is dropped after @age.
 */
static void apf_late_add(struct apf_bucket *b, u32 token, u32 now)
{
	struct apf_late *l = apf_late_find(b, token);

	if (!l) {
		l = apf_late_slot(b);
		if (!l)
			return;
		l->token = token;
		l->state = APF_LATE_EXPECTED;
	}
	l->since = now;
}

/* Gets a node for an early wake: allocated memory, or else this CPU's emergency node. */
static struct apf_entry *apf_early_get(struct apf_table *t, unsigned int cpu)
{
	struct apf_cpu *c = t->cpus[cpu];
	struct apf_entry *e = NULL;

	/* Limits the memory that a host can use up by sending wakes without faults. */
	if (atomic_read(&c->early_now) < APF_EARLY_MAX)
		e = t->ops->alloc(t);
	if (e) {
		e->kind = APF_EARLY;
	} else {
		/* Pairs with the release in apf_early_put(), which may run on another CPU. */
		if (smp_load_acquire(&c->in_use))
			return NULL;
		WRITE_ONCE(c->in_use, 1);
		e = &c->emergency;
		e->kind = APF_EMERGENCY;
	}
	e->cpu = cpu;
	atomic_inc(&c->early_now);
	return e;
}

/* Frees a node that is not, or no longer, in the table. No lock held. */
static void apf_early_put(struct apf_table *t, struct apf_entry *e)
{
	unsigned int cpu = e->cpu;
	struct apf_cpu *c = t->cpus[cpu];

	atomic_dec(&c->early_now);
	if (e->kind == APF_EARLY) {
		t->ops->free(t, e);
		return;
	}
	smp_store_release(&c->in_use, 0);
	/* Only the owner of the node may switch APF on again, and it may be another CPU. */
	t->ops->kick(t, cpu);
}

void apf_table_init(struct apf_table *t, const struct apf_table_ops *ops, struct apf_cpu **cpus,
		    unsigned int nr_cpus, u32 rescue, u32 age)
{
	unsigned int i, k;

	t->ops = ops;
	t->cpus = cpus;
	t->nr_cpus = nr_cpus;
	t->rescue = rescue;
	t->age = age;
	for (i = 0; i < APF_TABLE_SIZE; i++) {
		struct apf_bucket *b = &t->bucket[i];

		raw_spin_lock_init(&b->lock);
		INIT_HLIST_HEAD(&b->entries);
		b->nr_late = 0;
		for (k = 0; k < APF_LATE_SLOTS; k++)
			b->late[k].state = APF_LATE_FREE;
	}
}

/* Finds the early wake of a token, or NULL. Under the bucket's lock. */
static struct apf_entry *apf_early_find(struct apf_bucket *b, u32 token)
{
	struct apf_entry *e;

	hlist_for_each_entry(e, &b->entries, node)
		if (e->token == token && e->kind != APF_WAITER)
			return e;
	return NULL;
}

/* Only the CPU itself counts; any CPU may read. */
static void apf_count_wait(struct apf_cpu *c)
{
	WRITE_ONCE(c->waits, c->waits + 1);
}

bool apf_table_wait(struct apf_table *t, unsigned int cpu, struct apf_entry *w, void *task,
		    u32 token, u32 now)
{
	struct apf_bucket *b = apf_bucket_of(t, token);
	struct apf_cpu *c = t->cpus[cpu];
	struct apf_entry *e;
	struct apf_late *l;

	raw_spin_lock(&b->lock);
	e = apf_early_find(b, token);
	if (e) {
		hlist_del(&e->node);
		raw_spin_unlock(&b->lock);
		apf_count_wait(c);
		atomic_inc(&c->wakes);
		apf_early_put(t, e);
		return false;
	}

	l = apf_late_find(b, token);
	if (l) {
		bool ready = l->state == APF_LATE_READY;

		/* From now on, a wake for this token belongs to the new fault. */
		apf_late_clear(b, l);
		if (ready) {
			raw_spin_unlock(&b->lock);
			apf_count_wait(c);
			atomic_inc(&c->wakes);
			return false;
		}
	}

	/*
	 * APF is off on this CPU, so the host will send no wake. If a wake was sent before, it must
	 * not count as early.
	 */
	if (c->blocked) {
		apf_late_add(b, token, now);
		raw_spin_unlock(&b->lock);
		atomic_inc(&c->refused);
		return false;
	}

	w->task = task;
	w->token = token;
	w->since = now;
	w->cpu = cpu;
	w->kind = APF_WAITER;
	WRITE_ONCE(w->queued, 1);
	hlist_add_head(&w->node, &b->entries);
	/* Count before the unlock: the end of this wait must not be counted before its start. */
	apf_count_wait(c);
	raw_spin_unlock(&b->lock);
	return true;
}

void apf_table_refuse(struct apf_table *t, unsigned int cpu, u32 token, u32 now)
{
	struct apf_bucket *b = apf_bucket_of(t, token);
	struct apf_entry *e;
	struct apf_late *l;

	raw_spin_lock(&b->lock);
	e = apf_early_find(b, token);
	l = apf_late_find(b, token);
	if (e)
		hlist_del(&e->node);
	else if (l && l->state == APF_LATE_READY)
		apf_late_clear(b, l);
	else
		apf_late_add(b, token, now);
	raw_spin_unlock(&b->lock);

	atomic_inc(&t->cpus[cpu]->refused);
	if (e)
		apf_early_put(t, e);
}

enum apf_delivered { TO_NOBODY, TO_SLEEPER, TO_OTHER };

/*
 * Delivers a wake to the entries in the table: all sleepers of the token (the host should not use
 * one token for two faults, but if it does, all must be woken), a late slot, or an earlier early
 * wake. Under the bucket's lock.
 */
static enum apf_delivered apf_deliver(struct apf_table *t, struct apf_bucket *b, unsigned int cpu,
				      u32 token, u32 now)
{
	enum apf_delivered done = TO_NOBODY;
	struct hlist_node *next;
	struct apf_entry *e;
	struct apf_late *l;

	hlist_for_each_entry_safe(e, next, &b->entries, node) {
		if (e->token != token)
			continue;
		if (e->kind == APF_WAITER) {
			atomic_inc(&t->cpus[e->cpu]->wakes);
			hlist_del(&e->node);
			apf_waiter_release(t, e);
			if (done == TO_NOBODY)
				done = TO_SLEEPER;
		} else {
			atomic_inc(&t->cpus[cpu]->duplicates);
			e->since = now;
			done = TO_OTHER;
		}
	}
	if (done)
		return done;

	l = apf_late_find(b, token);
	if (!l)
		return TO_NOBODY;
	atomic_inc(l->state == APF_LATE_EXPECTED ? &t->cpus[cpu]->late : &t->cpus[cpu]->duplicates);
	/*
	 * Probably this is the missing wake of the sleeper that continued without it. But tokens
	 * are used again, so it may also be an early wake: store it for a fault with this token.
	 */
	l->state = APF_LATE_READY;
	l->since = now;
	return TO_OTHER;
}

bool apf_table_wake(struct apf_table *t, unsigned int cpu, u32 token, u32 now)
{
	struct apf_cpu *c = t->cpus[cpu];
	enum apf_delivered done;
	struct apf_bucket *b;
	struct apf_entry *e;

	if (token == APF_TOKEN_ALL) {
		apf_table_broadcast(t, cpu, now);
		return false;
	}
	if (token == APF_TOKEN_NONE) {
		atomic_inc(&c->zero_tokens);
		return false;
	}

	b = apf_bucket_of(t, token);
	raw_spin_lock(&b->lock);
	done = apf_deliver(t, b, cpu, token, now);
	raw_spin_unlock(&b->lock);
	if (done)
		return done == TO_SLEEPER;

	/* Do not allocate under a raw lock. Meanwhile the fault may arrive on another CPU. */
	e = apf_early_get(t, cpu);
	raw_spin_lock(&b->lock);
	done = apf_deliver(t, b, cpu, token, now);
	if (!done && e) {
		e->token = token;
		e->since = now;
		hlist_add_head(&e->node, &b->entries);
		/* Check it under the lock: after the unlock, the node may be freed. */
		if (e->kind == APF_EMERGENCY)
			atomic_inc(&c->pool_taken);
	}
	raw_spin_unlock(&b->lock);

	if (done) {
		if (e)
			apf_early_put(t, e);
		return false;
	}
	atomic_inc(&c->early_wakes);
	if (!e) {
		/* See the top of this file. */
		pr_warn_once("CPU %u: two early wake-ups and no memory: the host does not keep to the protocol\n",
			     cpu);
		atomic_inc(&c->pool_exhausted);
		apf_table_broadcast(t, cpu, now);
		return false;
	}
	/* If the emergency node is in use, switch APF off; if it is free again, on. */
	apf_table_sync(t, cpu, false, now);
	return false;
}

u32 apf_table_broadcast(struct apf_table *t, unsigned int cpu, u32 now)
{
	struct apf_cpu *c = t->cpus[cpu];
	u32 woken = 0;
	unsigned int i;

	for (i = 0; i < APF_TABLE_SIZE; i++) {
		struct apf_bucket *b = &t->bucket[i];
		struct hlist_node *next;
		struct apf_entry *e;
		unsigned long flags;

		raw_spin_lock_irqsave(&b->lock, flags);
		hlist_for_each_entry_safe(e, next, &b->entries, node) {
			if (e->kind != APF_WAITER || e->cpu != cpu)
				continue;
			hlist_del(&e->node);
			/* A wake that the host sent before may still arrive. */
			apf_late_add(b, e->token, now);
			atomic_inc(&c->broadcasts);
			apf_waiter_release(t, e);
			woken++;
		}
		raw_spin_unlock_irqrestore(&b->lock, flags);
	}
	return woken;
}

void apf_table_sync(struct apf_table *t, unsigned int cpu, bool force, u32 now)
{
	struct apf_cpu *c = t->cpus[cpu];
	bool block = READ_ONCE(c->in_use) || c->stop;

	if (!force && block == !!c->blocked)
		return;
	if (block) {
		/* Switch off first: then no wake is missing and no new fault can sleep. */
		t->ops->enable(t, cpu, false);
		WRITE_ONCE(c->blocked, 1);
		apf_table_broadcast(t, cpu, now);
	} else {
		WRITE_ONCE(c->blocked, 0);
		t->ops->enable(t, cpu, true);
	}
}

void apf_table_stop(struct apf_table *t, unsigned int cpu, enum apf_stop why, u32 now)
{
	t->cpus[cpu]->stop |= why;
	apf_table_sync(t, cpu, false, now);
}

void apf_table_start(struct apf_table *t, unsigned int cpu, enum apf_stop why, u32 now)
{
	t->cpus[cpu]->stop &= ~why;
	apf_table_sync(t, cpu, true, now);
}

/* Moves nodes that must be freed without a lock to @stale. */
static bool apf_scan_bucket(struct apf_table *t, struct apf_bucket *b, u32 now,
			    struct hlist_head *stale)
{
	u32 rescue = READ_ONCE(t->rescue), age = READ_ONCE(t->age);
	struct hlist_node *next;
	struct apf_entry *e;
	struct apf_cpu *c;
	unsigned long flags;
	unsigned int i;
	bool left;

	raw_spin_lock_irqsave(&b->lock, flags);
	hlist_for_each_entry_safe(e, next, &b->entries, node) {
		c = t->cpus[e->cpu];
		if (e->kind == APF_WAITER) {
			if (rescue && apf_older(now, e->since, rescue)) {
				hlist_del(&e->node);
				apf_late_add(b, e->token, now);
				atomic_inc(&c->rescues);
				apf_waiter_release(t, e);
			} else if (apf_older(now, e->since, c->oldest_next)) {
				c->oldest_next = now - e->since;
			}
		} else if (apf_older(now, e->since, age)) {
			hlist_del(&e->node);
			atomic_inc(&c->aged);
			hlist_add_head(&e->node, stale);
		}
	}
	for (i = 0; b->nr_late && i < APF_LATE_SLOTS; i++)
		if (b->late[i].state != APF_LATE_FREE && apf_older(now, b->late[i].since, age))
			apf_late_clear(b, &b->late[i]);
	left = !hlist_empty(&b->entries) || b->nr_late;
	raw_spin_unlock_irqrestore(&b->lock, flags);
	return left;
}

static void apf_put_stale(struct apf_table *t, struct hlist_head *stale)
{
	struct hlist_node *next;
	struct apf_entry *e;

	hlist_for_each_entry_safe(e, next, stale, node)
		apf_early_put(t, e);
}

bool apf_table_scan(struct apf_table *t, u32 now)
{
	HLIST_HEAD(stale);
	bool left = false;
	unsigned int i;

	for (i = 0; i < t->nr_cpus; i++)
		if (t->cpus[i])
			t->cpus[i]->oldest_next = 0;
	for (i = 0; i < APF_TABLE_SIZE; i++)
		left |= apf_scan_bucket(t, &t->bucket[i], now, &stale);
	for (i = 0; i < t->nr_cpus; i++)
		if (t->cpus[i])
			WRITE_ONCE(t->cpus[i]->oldest, t->cpus[i]->oldest_next);
	apf_put_stale(t, &stale);
	return left;
}

u32 apf_table_purge(struct apf_table *t)
{
	HLIST_HEAD(stale);
	u32 sleepers = 0;
	unsigned int i, k;

	for (i = 0; i < APF_TABLE_SIZE; i++) {
		struct apf_bucket *b = &t->bucket[i];
		struct hlist_node *next;
		struct apf_entry *e;
		unsigned long flags;

		raw_spin_lock_irqsave(&b->lock, flags);
		hlist_for_each_entry_safe(e, next, &b->entries, node) {
			if (e->kind == APF_WAITER) {
				sleepers++;
				continue;
			}
			hlist_del(&e->node);
			hlist_add_head(&e->node, &stale);
		}
		for (k = 0; k < APF_LATE_SLOTS; k++)
			b->late[k].state = APF_LATE_FREE;
		b->nr_late = 0;
		raw_spin_unlock_irqrestore(&b->lock, flags);
	}
	apf_put_stale(t, &stale);
	return sleepers;
}

void apf_table_figures(const struct apf_table *t, unsigned int cpu, struct apf_figures *ret_f)
{
	struct apf_cpu *c = t->cpus[cpu];
	struct apf_figures f = {
		.pool_size = 1,
		.pool_in_use = READ_ONCE(c->in_use),
		.pool_taken = atomic_read(&c->pool_taken),
		.pool_exhausted = atomic_read(&c->pool_exhausted),
		.early_wakes = atomic_read(&c->early_wakes),
		.rescues = atomic_read(&c->rescues),
		.wakes = atomic_read(&c->wakes),
		.broadcasts = atomic_read(&c->broadcasts),
		.refused = atomic_read(&c->refused),
		.late = atomic_read(&c->late),
		.aged = atomic_read(&c->aged),
		.duplicates = atomic_read(&c->duplicates),
		.zero_tokens = atomic_read(&c->zero_tokens),
		.blocked = READ_ONCE(c->blocked),
	};

	/* Ends were read before starts, so that a wait that ends meanwhile counts as asleep. */
	f.waits = READ_ONCE(c->waits);
	f.sleepers = f.waits - f.wakes - f.rescues - f.broadcasts;
	f.unknown_tokens = f.aged + f.duplicates + f.zero_tokens;
	if (f.sleepers)
		f.oldest = READ_ONCE(c->oldest);
	*ret_f = f;
}

void apf_table_total(const struct apf_table *t, struct apf_figures *ret_f)
{
	struct apf_figures sum = {}, f;
	unsigned int i;

	for (i = 0; i < t->nr_cpus; i++) {
		if (!t->cpus[i])
			continue;
		apf_table_figures(t, i, &f);
		sum.pool_size += f.pool_size;
		sum.pool_in_use += f.pool_in_use;
		sum.pool_taken += f.pool_taken;
		sum.pool_exhausted += f.pool_exhausted;
		sum.sleepers += f.sleepers;
		sum.early_wakes += f.early_wakes;
		sum.rescues += f.rescues;
		sum.unknown_tokens += f.unknown_tokens;
		if (f.oldest > sum.oldest)
			sum.oldest = f.oldest;
		sum.waits += f.waits;
		sum.wakes += f.wakes;
		sum.broadcasts += f.broadcasts;
		sum.refused += f.refused;
		sum.late += f.late;
		sum.aged += f.aged;
		sum.duplicates += f.duplicates;
		sum.zero_tokens += f.zero_tokens;
		sum.blocked += f.blocked;
	}
	*ret_f = sum;
}

u32 apf_table_sleepers(struct apf_table *t)
{
	u32 n = 0;
	unsigned int i;

	for (i = 0; i < APF_TABLE_SIZE; i++) {
		struct apf_bucket *b = &t->bucket[i];
		struct apf_entry *e;
		unsigned long flags;

		raw_spin_lock_irqsave(&b->lock, flags);
		hlist_for_each_entry(e, &b->entries, node)
			n += e->kind == APF_WAITER;
		raw_spin_unlock_irqrestore(&b->lock, flags);
	}
	return n;
}
