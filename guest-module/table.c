// SPDX-License-Identifier: GPL-2.0
/*
 * The sleep/wake table. See table.h for contexts, locks and the meaning of the figures.
 *
 * The promise: a wake is never lost. Each apf_table_wake() of a real token does one of these, under
 * the lock of the token's bucket:
 *
 *   - it wakes every sleeper of the token;
 *   - or it leaves something that keeps the next fault with this token from sleeping: an early-wake
 *     entry (from memory or from the emergency pool) or, when there is no node, a late slot in
 *     state READY, or, when those are full, the overflow mark of the bucket. The last two need no
 *     memory.
 *
 * apf_table_wait() looks for all of these under the same lock before it queues, so fault and wake
 * cannot miss each other. What is left for a fault that never comes is dropped after @age, which is
 * long beyond the microseconds by which a wake can overtake its fault.
 *
 * The other direction needs no promise: a sleeper that is woken without reason touches its page
 * again and, if it is still not there, faults again.
 */
#include "table.h"

static struct apf_bucket *bucket_of(struct apf_table *t, u32 token)
{
	return &t->bucket[apf_table_hash(token)];
}

static bool older(unsigned long now, unsigned long since, unsigned long limit)
{
	return (long)(now - since) >= (long)limit;
}

static void entry_link(struct apf_bucket *b, struct apf_entry *e)
{
	e->next = b->first;
	e->pprev = &b->first;
	if (b->first)
		b->first->pprev = &e->next;
	b->first = e;
}

static void entry_unlink(struct apf_entry *e)
{
	*e->pprev = e->next;
	if (e->next)
		e->next->pprev = e->pprev;
}

/*
 * Send an unlinked sleeper on its way. Under the bucket's lock.
 *
 * The entry is on the sleeper's stack. A sleeper may be awake for its own reasons and see queued ==
 * 0 the moment it is written, return, and its stack may be in use for something else before the
 * next line here runs. Hence: read @task first, make the release the last access to the entry, and
 * wake through @task alone, which the platform keeps in memory (see struct apf_table_ops). The
 * sleeper sets its task state before it reads @queued, so either it sees 0, or the wake finds it
 * asleep.
 *
 * This is why there is no wait queue in the entry: its lock would have to be released after the
 * sleeper was told to go, in memory that is no longer there. The kernel's own table can afford that
 * only as long as fault and wake meet on one CPU.
 */
static void waiter_release(struct apf_table *t, struct apf_entry *w)
{
	void *task = w->task;

	apf_store_release(&w->queued, 0);
	t->ops->wake(t, task);
}

static struct apf_late *late_find(struct apf_bucket *b, u32 token)
{
	unsigned int i;

	if (!b->nr_late)
		return NULL;
	for (i = 0; i < APF_LATE_SLOTS; i++)
		if (b->late[i].state != APF_LATE_FREE && b->late[i].token == token)
			return &b->late[i];
	return NULL;
}

static void late_clear(struct apf_bucket *b, struct apf_late *l)
{
	l->state = APF_LATE_FREE;
	b->nr_late--;
}

/*
 * A slot to write: a free one, or else the DUE one that is oldest. One in state READY stands for a
 * wake and is never given up.
 */
static struct apf_late *late_slot(struct apf_bucket *b)
{
	struct apf_late *l, *due = NULL;
	unsigned int i;

	for (i = 0; i < APF_LATE_SLOTS; i++) {
		l = &b->late[i];
		if (l->state == APF_LATE_FREE) {
			b->nr_late++;
			return l;
		}
		if (l->state == APF_LATE_DUE && (!due || older(due->since, l->since, 0)))
			due = l;
	}
	return due;
}

/*
 * A sleeper goes without its wake: should that still come, it is not an early one. If there is no
 * slot it is taken for one, and ages out.
 */
static void late_remember(struct apf_bucket *b, u32 token, unsigned long now)
{
	struct apf_late *l = late_find(b, token);

	if (!l) {
		l = late_slot(b);
		if (!l)
			return;
		l->token = token;
		l->state = APF_LATE_DUE;
	}
	l->since = now;
}

/*
 * An early wake for which there is no node. A late slot holds it as well as a node would; if all of
 * them hold wakes already, nobody may sleep in this bucket until the mark has aged.
 */
static void keep_without_node(struct apf_bucket *b, u32 token, unsigned long now)
{
	struct apf_late *l = late_slot(b);

	if (!l) {
		b->overflow = 1;
		b->overflow_since = now;
		return;
	}
	l->token = token;
	l->since = now;
	l->state = APF_LATE_READY;
}

static struct apf_entry *pool_take(struct apf_cpu *c)
{
	unsigned int i;

	for (i = 0; i < c->pool_size; i++) {
		unsigned long bit = 1UL << i, old = apf_read(c->busy);

		/* Nobody else sets bits; another CPU may clear one of the others meanwhile. */
		while (!(old & bit)) {
			unsigned long seen = apf_cmpxchg(&c->busy, old, old | bit);

			if (seen == old) {
				c->pool[i].kind = APF_EARLY_POOL;
				c->pool[i].slot = i;
				return &c->pool[i];
			}
			old = seen;
		}
	}
	return NULL;
}

static void pool_return(struct apf_cpu *c, unsigned int slot)
{
	unsigned long bit = 1UL << slot, old = apf_read(c->busy), seen;

	while ((seen = apf_cmpxchg(&c->busy, old, old & ~bit)) != old)
		old = seen;
}

/* A node for an early wake, not yet in the table: from memory, or else from this CPU's pool. */
static struct apf_entry *early_get(struct apf_table *t, unsigned int cpu)
{
	struct apf_cpu *c = t->cpus[cpu];
	struct apf_entry *e = NULL;

	/* The bound on what a host that sends wakes for nothing can make us allocate. */
	if (apf_count_read(&c->early_now) < APF_EARLY_MAX)
		e = t->ops->alloc(t);
	if (e)
		e->kind = APF_EARLY;
	else
		e = pool_take(c);
	if (!e)
		return NULL;
	e->cpu = cpu;
	apf_count_inc(&c->early_now);
	return e;
}

/* Give a node back that is not, or no longer, in the table. No lock held. */
static void early_put(struct apf_table *t, struct apf_entry *e)
{
	unsigned int cpu = e->cpu;
	struct apf_cpu *c = t->cpus[cpu];

	apf_count_add(&c->early_now, -1);
	if (e->kind == APF_EARLY) {
		t->ops->free(t, e);
		return;
	}
	/* Its owner alone may switch its APF on again: that CPU may be another one. */
	pool_return(c, e->slot);
	t->ops->kick(t, cpu);
}

void apf_table_init(struct apf_table *t, const struct apf_table_ops *ops, struct apf_cpu **cpus,
		    unsigned int nr_cpus, unsigned long rescue, unsigned long age)
{
	unsigned int i, k;

	t->ops = ops;
	t->cpus = cpus;
	t->nr_cpus = nr_cpus;
	t->rescue = rescue;
	t->age = age;
	for (i = 0; i < APF_TABLE_SIZE; i++) {
		struct apf_bucket *b = &t->bucket[i];

		apf_lock_init(&b->lock);
		b->first = NULL;
		b->overflow = 0;
		b->nr_late = 0;
		for (k = 0; k < APF_LATE_SLOTS; k++)
			b->late[k].state = APF_LATE_FREE;
	}
}

bool apf_table_wait(struct apf_table *t, unsigned int cpu, struct apf_entry *w, void *task,
		    u32 token, unsigned long now)
{
	struct apf_bucket *b = bucket_of(t, token);
	struct apf_cpu *c = t->cpus[cpu];
	struct apf_entry *e;
	struct apf_late *l;

	apf_lock(&b->lock);
	for (e = b->first; e; e = e->next)
		if (e->token == token && e->kind != APF_WAITER)
			break;
	if (e) {
		entry_unlink(e);
		apf_unlock(&b->lock);
		apf_write(c->waits, c->waits + 1);
		apf_count_inc(&c->wakes);
		early_put(t, e);
		return false;
	}

	l = late_find(b, token);
	if (l) {
		bool ready = l->state == APF_LATE_READY;

		/* A new fault: a wake for this token is its own from now on. */
		late_clear(b, l);
		if (ready) {
			apf_unlock(&b->lock);
			apf_write(c->waits, c->waits + 1);
			apf_count_inc(&c->wakes);
			return false;
		}
	}

	/*
	 * APF is off on this CPU, so the host owes it no wake; or this bucket has room for no more
	 * early wakes, and one it did not keep may be ours. Where the wake is still to come, it is
	 * not early.
	 */
	if (c->blocked || b->overflow) {
		late_remember(b, token, now);
		apf_unlock(&b->lock);
		apf_count_inc(&c->refused);
		return false;
	}

	w->task = task;
	w->token = token;
	w->since = now;
	w->cpu = cpu;
	w->kind = APF_WAITER;
	w->slot = 0;
	apf_write(w->queued, 1);
	entry_link(b, w);
	/* Before the unlock: whoever counts the end of this wait must not be ahead of its start. */
	apf_write(c->waits, c->waits + 1);
	apf_unlock(&b->lock);
	return true;
}

void apf_table_refuse(struct apf_table *t, unsigned int cpu, u32 token, unsigned long now)
{
	struct apf_bucket *b = bucket_of(t, token);
	struct apf_entry *e;
	struct apf_late *l;

	apf_lock(&b->lock);
	for (e = b->first; e; e = e->next)
		if (e->token == token && e->kind != APF_WAITER)
			break;
	l = late_find(b, token);
	if (e)
		entry_unlink(e);
	else if (l && l->state == APF_LATE_READY)
		late_clear(b, l);
	else
		late_remember(b, token, now);
	apf_unlock(&b->lock);

	apf_count_inc(&t->cpus[cpu]->refused);
	if (e)
		early_put(t, e);
}

enum delivered { TO_NOBODY, TO_SLEEPER, TO_OTHER };

/*
 * Deliver a wake to what is in the table: every sleeper of the token (the host should not give one
 * token to two faults, but none of them may be left behind if it does), a late slot, or an early
 * wake that is there already. Under the bucket's lock.
 */
static enum delivered deliver(struct apf_table *t, struct apf_bucket *b, unsigned int cpu,
			      u32 token, unsigned long now)
{
	struct apf_entry *e, *next;
	enum delivered done = TO_NOBODY;
	struct apf_late *l;

	for (e = b->first; e; e = next) {
		next = e->next;
		if (e->token != token)
			continue;
		if (e->kind == APF_WAITER) {
			apf_count_inc(&t->cpus[e->cpu]->wakes);
			entry_unlink(e);
			waiter_release(t, e);
			if (done == TO_NOBODY)
				done = TO_SLEEPER;
		} else {
			apf_count_inc(&t->cpus[cpu]->duplicates);
			e->since = now;
			done = TO_OTHER;
		}
	}
	if (done)
		return done;

	l = late_find(b, token);
	if (!l)
		return TO_NOBODY;
	apf_count_inc(l->state == APF_LATE_DUE ? &t->cpus[cpu]->late : &t->cpus[cpu]->duplicates);
	/*
	 * Most likely the wake its sleeper went without. But tokens are used again, so it may be an
	 * early wake as well: keep it for a fault with this token.
	 */
	l->state = APF_LATE_READY;
	l->since = now;
	return TO_OTHER;
}

bool apf_table_wake(struct apf_table *t, unsigned int cpu, u32 token, unsigned long now)
{
	struct apf_cpu *c = t->cpus[cpu];
	struct apf_bucket *b;
	struct apf_entry *e;
	enum delivered done;

	if (token == APF_TOKEN_ALL) {
		apf_table_broadcast(t, cpu, now);
		return false;
	}
	if (token == APF_TOKEN_NONE) {
		apf_count_inc(&c->zero_tokens);
		return false;
	}

	b = bucket_of(t, token);
	apf_lock(&b->lock);
	done = deliver(t, b, cpu, token, now);
	apf_unlock(&b->lock);
	if (done)
		return done == TO_SLEEPER;

	/* No memory is allocated under a raw lock; so the fault may come meanwhile, elsewhere. */
	e = early_get(t, cpu);
	apf_lock(&b->lock);
	done = deliver(t, b, cpu, token, now);
	if (!done && e) {
		e->token = token;
		e->since = now;
		entry_link(b, e);
		/* Under the lock, after which the node may be gone. */
		if (e->kind == APF_EARLY_POOL)
			apf_count_inc(&c->pool_taken);
	} else if (!done) {
		keep_without_node(b, token, now);
	}
	apf_unlock(&b->lock);

	if (done) {
		if (e)
			early_put(t, e);
		return false;
	}
	apf_count_inc(&c->early_wakes);
	if (!e) {
		/*
		 * The wake is kept, but only just. Those that sleep already are woken, so that
		 * nobody depends on a CPU that is out of nodes.
		 */
		apf_count_inc(&c->pool_exhausted);
		apf_table_broadcast(t, cpu, now);
		return false;
	}
	/* If the pool was used: APF off. If the node is back by now: nothing, or on again. */
	apf_table_sync(t, cpu, false, now);
	return false;
}

u32 apf_table_broadcast(struct apf_table *t, unsigned int cpu, unsigned long now)
{
	struct apf_cpu *c = t->cpus[cpu];
	u32 woken = 0;
	unsigned int i;

	for (i = 0; i < APF_TABLE_SIZE; i++) {
		struct apf_bucket *b = &t->bucket[i];
		struct apf_entry *e, *next;
		unsigned long flags;

		apf_lock_irqsave(&b->lock, flags);
		for (e = b->first; e; e = next) {
			next = e->next;
			if (e->kind != APF_WAITER || e->cpu != cpu)
				continue;
			entry_unlink(e);
			/* The host may have one more wake on its way, sent before it forgot. */
			late_remember(b, e->token, now);
			apf_count_inc(&c->broadcasts);
			waiter_release(t, e);
			woken++;
		}
		apf_unlock_irqrestore(&b->lock, flags);
	}
	return woken;
}

void apf_table_sync(struct apf_table *t, unsigned int cpu, bool force, unsigned long now)
{
	struct apf_cpu *c = t->cpus[cpu];
	bool block = apf_read(c->busy) || c->stop;

	if (!force && block == !!c->blocked)
		return;
	if (block) {
		/* Off first: after this the host owes this CPU nothing, and nobody new sleeps. */
		t->ops->enable(t, cpu, false);
		apf_write(c->blocked, 1);
		apf_table_broadcast(t, cpu, now);
	} else {
		apf_write(c->blocked, 0);
		t->ops->enable(t, cpu, true);
	}
}

void apf_table_stop(struct apf_table *t, unsigned int cpu, enum apf_stop why, unsigned long now)
{
	t->cpus[cpu]->stop |= why;
	apf_table_sync(t, cpu, false, now);
}

void apf_table_start(struct apf_table *t, unsigned int cpu, enum apf_stop why, unsigned long now)
{
	t->cpus[cpu]->stop &= ~why;
	apf_table_sync(t, cpu, true, now);
}

static bool scan_bucket(struct apf_table *t, struct apf_bucket *b, unsigned long now,
			struct apf_entry **stale)
{
	unsigned long rescue = apf_read(t->rescue), age = apf_read(t->age), flags;
	struct apf_entry *e, *next;
	struct apf_cpu *c;
	unsigned int i;
	bool left;

	apf_lock_irqsave(&b->lock, flags);
	for (e = b->first; e; e = next) {
		next = e->next;
		c = t->cpus[e->cpu];
		if (e->kind == APF_WAITER) {
			if (rescue && older(now, e->since, rescue)) {
				entry_unlink(e);
				late_remember(b, e->token, now);
				apf_count_inc(&c->rescues);
				waiter_release(t, e);
			} else if (older(now, e->since, c->oldest_next)) {
				c->oldest_next = now - e->since;
			}
		} else if (older(now, e->since, age)) {
			entry_unlink(e);
			apf_count_inc(&c->aged);
			e->next = *stale;
			*stale = e;
		}
	}
	for (i = 0; b->nr_late && i < APF_LATE_SLOTS; i++)
		if (b->late[i].state != APF_LATE_FREE && older(now, b->late[i].since, age))
			late_clear(b, &b->late[i]);
	if (b->overflow && older(now, b->overflow_since, age))
		b->overflow = 0;
	left = b->first || b->nr_late || b->overflow;
	apf_unlock_irqrestore(&b->lock, flags);
	return left;
}

bool apf_table_scan(struct apf_table *t, unsigned long now)
{
	struct apf_entry *stale = NULL, *next;
	bool left = false;
	unsigned int i;

	for (i = 0; i < t->nr_cpus; i++)
		if (t->cpus[i])
			t->cpus[i]->oldest_next = 0;
	for (i = 0; i < APF_TABLE_SIZE; i++)
		left |= scan_bucket(t, &t->bucket[i], now, &stale);
	for (i = 0; i < t->nr_cpus; i++)
		if (t->cpus[i])
			apf_write(t->cpus[i]->oldest, t->cpus[i]->oldest_next);

	for (; stale; stale = next) {
		next = stale->next;
		early_put(t, stale);
	}
	return left;
}

u32 apf_table_purge(struct apf_table *t)
{
	struct apf_entry *stale = NULL, *e, *next;
	u32 sleepers = 0;
	unsigned int i, k;

	for (i = 0; i < APF_TABLE_SIZE; i++) {
		struct apf_bucket *b = &t->bucket[i];
		unsigned long flags;

		apf_lock_irqsave(&b->lock, flags);
		for (e = b->first; e; e = next) {
			next = e->next;
			if (e->kind == APF_WAITER) {
				sleepers++;
				continue;
			}
			entry_unlink(e);
			e->next = stale;
			stale = e;
		}
		for (k = 0; k < APF_LATE_SLOTS; k++)
			b->late[k].state = APF_LATE_FREE;
		b->nr_late = 0;
		b->overflow = 0;
		apf_unlock_irqrestore(&b->lock, flags);
	}
	for (; stale; stale = next) {
		next = stale->next;
		early_put(t, stale);
	}
	return sleepers;
}

static u32 bits_of(unsigned long x)
{
	u32 n = 0;

	for (; x; x &= x - 1)
		n++;
	return n;
}

void apf_table_figures(const struct apf_table *t, unsigned int cpu, struct apf_figures *ret_f)
{
	struct apf_cpu *c = t->cpus[cpu];
	struct apf_figures f = {
		.pool_size = c->pool_size,
		.pool_in_use = bits_of(apf_read(c->busy)),
		.pool_taken = apf_count_read(&c->pool_taken),
		.pool_exhausted = apf_count_read(&c->pool_exhausted),
		.early_wakes = apf_count_read(&c->early_wakes),
		.rescues = apf_count_read(&c->rescues),
		.wakes = apf_count_read(&c->wakes),
		.broadcasts = apf_count_read(&c->broadcasts),
		.refused = apf_count_read(&c->refused),
		.late = apf_count_read(&c->late),
		.aged = apf_count_read(&c->aged),
		.duplicates = apf_count_read(&c->duplicates),
		.zero_tokens = apf_count_read(&c->zero_tokens),
		.blocked = apf_read(c->blocked),
	};

	/* The ends before the start: read in between, a wait is at worst counted as asleep. */
	f.waits = apf_read(c->waits);
	f.sleepers = f.waits - f.wakes - f.rescues - f.broadcasts;
	f.unknown_tokens = f.aged + f.duplicates + f.zero_tokens;
	if (f.sleepers)
		f.oldest = apf_read(c->oldest);
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

		apf_lock_irqsave(&b->lock, flags);
		for (e = b->first; e; e = e->next)
			if (e->kind == APF_WAITER)
				n++;
		apf_unlock_irqrestore(&b->lock, flags);
	}
	return n;
}
