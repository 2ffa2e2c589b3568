// SPDX-License-Identifier: GPL-2.0
#include "model.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RESCUE = 400,
	AGE = 300,
	TOKENS = 16,
	/* Of them in one bucket: more than it has late slots. */
	CROWD = 8,
	/* More than APF_EARLY_MAX early wakes need more tokens than those in play. */
	FLOOD = 80,
	WAITERS = 48,
	ALL_TOKENS = TOKENS + FLOOD,
};

#define MUST(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s (operation %lu, time %lu)\n", __FILE__, \
				__LINE__, #cond, m->seen.ops, m->now);                             \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

enum early { NO_EARLY, EARLY_MEMORY, EARLY_EMERGENCY };
enum late { NOT_LATE, DUE, READY };

struct token {
	u32 value;
	enum early early;
	unsigned int early_cpu;
	unsigned long early_since;
	enum late late;
	unsigned long late_since;
	/* Which slot of its bucket: decides who is forgotten among those equally old. */
	int late_slot;
};

struct cpu {
	unsigned int early_now;
	bool in_use, sw, down, blocked, kicked, on;
	struct apf_figures f;
};

struct waiter {
	bool queued;
	int token;
	unsigned int cpu;
	unsigned long since;
	unsigned long seq;
};

struct model {
	struct world w;
	unsigned long now;
	bool honest;
	unsigned long seq;
	struct token token[ALL_TOKENS];
	struct cpu cpu[WORLD_CPUS];
	struct waiter waiter[WAITERS];
	struct apf_entry entry[WAITERS];
	struct model_seen seen;
};

/* Put a token into a late slot of its bucket, unless wakes hold them all. */
static void m_late(struct model *m, int tk)
{
	struct token *t = &m->token[tk], *in[APF_LATE_SLOTS] = {}, *oldest = NULL;
	int i, slot = -1;

	for (i = 0; i < ALL_TOKENS; i++) {
		struct token *o = &m->token[i];

		if (o->late != NOT_LATE && apf_table_hash(o->value) == apf_table_hash(t->value))
			in[o->late_slot] = o;
	}
	for (i = 0; i < APF_LATE_SLOTS; i++) {
		if (!in[i]) {
			slot = i;
			break;
		}
		if (in[i]->late != DUE)
			continue;
		if (!oldest || (long)(oldest->late_since - in[i]->late_since) >= 0)
			oldest = in[i];
	}
	if (slot < 0) {
		if (!oldest)
			return;
		slot = oldest->late_slot;
		oldest->late = NOT_LATE;
		m->seen.forgotten++;
	}
	t->late = DUE;
	t->late_slot = slot;
	t->late_since = m->now;
}

static void m_remember(struct model *m, int tk)
{
	struct token *t = &m->token[tk];

	if (t->late == NOT_LATE)
		m_late(m, tk);
	else
		t->late_since = m->now;
}

/* The sleeper that came last before @before, or NULL: buckets are walked from the latest. */
static struct waiter *m_latest(struct model *m, unsigned long before)
{
	struct waiter *found = NULL;
	int i;

	for (i = 0; i < WAITERS; i++) {
		struct waiter *w = &m->waiter[i];

		if (w->queued && w->seq < before && (!found || w->seq > found->seq))
			found = w;
	}
	return found;
}

static void m_broadcast(struct model *m, unsigned int cpu)
{
	struct waiter *w;

	for (w = m_latest(m, -1UL); w; w = m_latest(m, w->seq)) {
		if (w->cpu != cpu)
			continue;
		w->queued = false;
		m_remember(m, w->token);
		m->cpu[cpu].f.broadcasts++;
		m->seen.broadcasts++;
	}
}

static void m_sync(struct model *m, unsigned int cpu, bool force)
{
	struct cpu *c = &m->cpu[cpu];
	bool block = c->in_use || c->sw || c->down;

	if (block == c->blocked && !force)
		return;
	c->blocked = block;
	c->on = !block;
	if (block)
		m_broadcast(m, cpu);
}

static void m_early_gone(struct model *m, struct token *t)
{
	struct cpu *c = &m->cpu[t->early_cpu];

	c->early_now--;
	if (t->early == EARLY_EMERGENCY) {
		c->in_use = false;
		c->kicked = true;
	}
	t->early = NO_EARLY;
}

/* Returns whether it sleeps. */
static bool m_wait(struct model *m, unsigned int cpu, int tk, bool may_sleep, int slot)
{
	struct token *t = &m->token[tk];
	struct cpu *c = &m->cpu[cpu];

	if (t->early != NO_EARLY) {
		m_early_gone(m, t);
	} else if (t->late == READY) {
		t->late = NOT_LATE;
	} else if (!may_sleep) {
		m_remember(m, tk);
	} else if (c->blocked) {
		t->late = NOT_LATE;
		m_remember(m, tk);
		may_sleep = false;
	} else {
		t->late = NOT_LATE;
		m->waiter[slot] = (struct waiter){ true, tk, cpu, m->now, ++m->seq };
		c->f.waits++;
		m->seen.slept++;
		return true;
	}
	/* Not refused, but ended by its own wake. */
	if (may_sleep) {
		c->f.waits++;
		c->f.wakes++;
	} else {
		c->f.refused++;
		m->seen.refused++;
	}
	return false;
}

static void m_wake(struct model *m, unsigned int cpu, int tk)
{
	struct token *t = &m->token[tk];
	struct cpu *c = &m->cpu[cpu];
	bool found = false;
	int i;

	for (i = 0; i < WAITERS; i++) {
		if (!m->waiter[i].queued || m->waiter[i].token != tk)
			continue;
		m->waiter[i].queued = false;
		m->cpu[m->waiter[i].cpu].f.wakes++;
		m->seen.woken++;
		found = true;
	}
	if (found)
		return;
	if (t->early != NO_EARLY) {
		t->early_since = m->now;
		c->f.duplicates++;
		m->seen.duplicates++;
		return;
	}
	if (t->late != NOT_LATE) {
		if (t->late == DUE)
			c->f.late++, m->seen.late++;
		else
			c->f.duplicates++, m->seen.duplicates++;
		t->late = READY;
		t->late_since = m->now;
		return;
	}

	c->f.early_wakes++;
	m->seen.early++;
	if (c->early_now >= APF_EARLY_MAX)
		m->seen.capped++;
	if (!m->w.refuse && c->early_now < APF_EARLY_MAX) {
		t->early = EARLY_MEMORY;
	} else if (!c->in_use) {
		t->early = EARLY_EMERGENCY;
		c->in_use = true;
		c->f.pool_taken++;
		m->seen.taken++;
	} else {
		/* No host that keeps to the protocol gets here. */
		MUST(!m->honest);
		c->f.pool_exhausted++;
		m->seen.exhausted++;
		m_broadcast(m, cpu);
		return;
	}
	t->early_cpu = cpu;
	t->early_since = m->now;
	c->early_now++;
	m_sync(m, cpu, false);
}

static bool m_scan(struct model *m)
{
	bool left = false;
	struct waiter *w;
	int i;

	for (i = 0; i < WORLD_CPUS; i++)
		m->cpu[i].f.oldest = 0;
	for (w = m_latest(m, -1UL); w; w = m_latest(m, w->seq)) {
		if (m->now - w->since >= RESCUE) {
			w->queued = false;
			m_remember(m, w->token);
			m->cpu[w->cpu].f.rescues++;
			m->seen.rescued++;
			continue;
		}
		if (m->now - w->since > m->cpu[w->cpu].f.oldest)
			m->cpu[w->cpu].f.oldest = m->now - w->since;
		left = true;
	}
	for (i = 0; i < ALL_TOKENS; i++) {
		struct token *t = &m->token[i];

		if (t->early != NO_EARLY && m->now - t->early_since >= AGE) {
			m->cpu[t->early_cpu].f.aged++;
			m->seen.aged++;
			m_early_gone(m, t);
		}
		if (t->late != NOT_LATE && m->now - t->late_since >= AGE)
			t->late = NOT_LATE;
		left |= t->early != NO_EARLY || t->late != NOT_LATE;
	}
	return left;
}

/* Everything that can be seen of the core, against the model. */
static void compare(struct model *m)
{
	u32 sleeping[WORLD_CPUS] = {}, all = 0, nodes = 0;
	struct apf_figures f, total, sum = {};
	unsigned int i;

	for (i = 0; i < WAITERS; i++) {
		MUST(apf_entry_queued(&m->entry[i]) == m->waiter[i].queued);
		if (m->waiter[i].queued) {
			sleeping[m->waiter[i].cpu]++;
			all++;
		}
	}
	for (i = 0; i < ALL_TOKENS; i++)
		nodes += m->token[i].early == EARLY_MEMORY;
	MUST((u32)m->w.nodes == nodes);
	MUST(apf_table_sleepers(&m->w.t) == all);

	for (i = 0; i < WORLD_CPUS; i++) {
		struct cpu *c = &m->cpu[i];

		apf_table_figures(&m->w.t, i, &f);
		MUST(f.pool_size == 1);
		MUST(f.pool_in_use == c->in_use);
		MUST(f.pool_taken == c->f.pool_taken);
		MUST(f.pool_exhausted == c->f.pool_exhausted);
		MUST(f.sleepers == sleeping[i]);
		MUST(f.early_wakes == c->f.early_wakes);
		MUST(f.rescues == c->f.rescues);
		MUST(f.unknown_tokens == c->f.aged + c->f.duplicates + c->f.zero_tokens);
		MUST(f.oldest == (sleeping[i] ? c->f.oldest : 0));
		MUST(f.waits == c->f.waits);
		MUST(f.wakes == c->f.wakes);
		MUST(f.broadcasts == c->f.broadcasts);
		MUST(f.refused == c->f.refused);
		MUST(f.late == c->f.late);
		MUST(f.aged == c->f.aged);
		MUST(f.duplicates == c->f.duplicates);
		MUST(f.zero_tokens == c->f.zero_tokens);
		MUST(f.blocked == c->blocked);
		MUST(m->w.on[i] == c->on);
		MUST(m->w.kicked[i] == c->kicked);
		sum.waits += f.waits;
		sum.sleepers += f.sleepers;
		sum.unknown_tokens += f.unknown_tokens;
		sum.blocked += f.blocked;
	}
	apf_table_total(&m->w.t, &total);
	MUST(total.waits == sum.waits && total.sleepers == sum.sleepers);
	MUST(total.unknown_tokens == sum.unknown_tokens && total.blocked == sum.blocked);
	MUST(total.waits == total.wakes + total.rescues + total.broadcasts + total.sleepers);
}

static void do_wait(struct model *m, unsigned int cpu, int tk)
{
	int slot;

	for (slot = 0; slot < WAITERS && m->waiter[slot].queued; slot++)
		;
	if (slot == WAITERS)
		return;
	MUST(apf_table_wait(&m->w.t, cpu, &m->entry[slot], &m->entry[slot], m->token[tk].value,
			    m->now) == m_wait(m, cpu, tk, true, slot));
}

/*
 * An honest host posts nothing to a CPU whose APF is off. That is all that honest sequences leave
 * out: tokens nobody waits for, and tokens twice, are in all of them.
 */
static void do_wake(struct model *m, unsigned int cpu, int tk)
{
	unsigned long woken = m->seen.woken;
	int i;

	if (m->honest && !m->w.on[cpu])
		return;
	apf_table_wake(&m->w.t, cpu, m->token[tk].value, m->now);
	m_wake(m, cpu, tk);
	/* The promise: nobody sleeps for it any more, and who comes for it will not. */
	for (i = 0; i < WAITERS; i++)
		MUST(!m->waiter[i].queued || m->waiter[i].token != tk);
	if (m->honest)
		MUST(m->seen.woken > woken || m->token[tk].early != NO_EARLY ||
		     m->token[tk].late == READY);
}

static void do_settle(struct model *m, unsigned int cpu)
{
	world_kick(&m->w, cpu, m->now);
	if (m->cpu[cpu].kicked) {
		m->cpu[cpu].kicked = false;
		m_sync(m, cpu, false);
	}
}

static void do_stop(struct model *m, unsigned int cpu, bool down)
{
	apf_table_stop(&m->w.t, cpu, down ? APF_STOP_DOWN : APF_STOP_SWITCH, m->now);
	if (down)
		m->cpu[cpu].down = true;
	else
		m->cpu[cpu].sw = true;
	m_sync(m, cpu, false);
	m->seen.stopped++;
}

static void do_start(struct model *m, unsigned int cpu, bool down)
{
	apf_table_start(&m->w.t, cpu, down ? APF_STOP_DOWN : APF_STOP_SWITCH, m->now);
	if (down)
		m->cpu[cpu].down = false;
	else
		m->cpu[cpu].sw = false;
	m_sync(m, cpu, true);
}

static void do_scan(struct model *m)
{
	bool left = apf_table_scan(&m->w.t, m->now);

	MUST(left == m_scan(m));
}

static void one_op(struct model *m, uint8_t op, uint8_t arg)
{
	unsigned int cpu = arg & 3, i;
	int tk = (arg >> 2) & (TOKENS - 1);

	switch (op % 32) {
	case 0 ... 8:
		do_wait(m, cpu, tk);
		break;
	case 9 ... 17:
		do_wake(m, cpu, tk);
		break;
	case 18:
		apf_table_wake(&m->w.t, cpu, APF_TOKEN_ALL, m->now);
		m_broadcast(m, cpu);
		break;
	case 19:
		apf_table_wake(&m->w.t, cpu, APF_TOKEN_NONE, m->now);
		m->cpu[cpu].f.zero_tokens++;
		break;
	case 20:
	case 21:
		m->w.refuse = arg & 1;
		break;
	case 22:
	case 23:
		m->now += arg;
		do_scan(m);
		break;
	case 24:
		m->now += arg & 0x1f;
		break;
	case 25:
	case 26:
	case 27:
		do_settle(m, cpu);
		break;
	case 28:
		do_stop(m, cpu, arg & 4);
		break;
	case 29:
		do_start(m, cpu, arg & 4);
		break;
	case 30:
		apf_table_refuse(&m->w.t, cpu, m->token[tk].value, m->now);
		m_wait(m, cpu, tk, false, -1);
		break;
	case 31:
		/* Rarely: a host that has gone mad. */
		if (arg >= 8)
			break;
		for (i = 0; i < FLOOD; i++)
			do_wake(m, cpu, TOKENS + i);
		break;
	}
}

/* Let everybody out, and see that nothing is left. */
static void wind_up(struct model *m)
{
	struct apf_figures f;
	unsigned int cpu;

	for (cpu = 0; cpu < WORLD_CPUS; cpu++) {
		do_start(m, cpu, false);
		do_start(m, cpu, true);
		apf_table_broadcast(&m->w.t, cpu, m->now);
		m_broadcast(m, cpu);
	}
	compare(m);
	if (m->seen.ops & 1) {
		m->now += RESCUE + AGE;
		do_scan(m);
		compare(m);
		MUST(!apf_table_scan(&m->w.t, m->now));
	}
	MUST(apf_table_purge(&m->w.t) == 0);
	world_settle(&m->w, m->now);
	MUST(m->w.nodes == 0);
	for (cpu = 0; cpu < WORLD_CPUS; cpu++) {
		MUST(m->w.on[cpu]);
		apf_table_figures(&m->w.t, cpu, &f);
		MUST(!f.pool_in_use && !f.sleepers && !f.blocked);
	}
	/* Nothing remembered: each token sleeps, and wakes. */
	for (cpu = 0; cpu < TOKENS; cpu++) {
		MUST(apf_table_wait(&m->w.t, 0, &m->entry[0], NULL, m->token[cpu].value, m->now));
		apf_table_wake(&m->w.t, 1, m->token[cpu].value, m->now);
		MUST(!apf_entry_queued(&m->entry[0]));
	}
}

void model_run(const uint8_t *data, size_t len, struct model_seen *seen)
{
	struct model *m = calloc(1, sizeof(*m));
	unsigned int i;
	size_t at;

	if (!m)
		abort();
	m->honest = len && data[0] & 0x40;
	/* Time may wrap while things are in the table. */
	m->now = len && data[0] & 0x80 ? -500UL : 1000;
	world_init(&m->w, RESCUE, AGE);
	for (i = 0; i < WORLD_CPUS; i++)
		m->cpu[i].on = true;
	for (i = 0; i < TOKENS; i++)
		m->token[i].value = i < CROWD ? world_collide(0x1000, i) : (i << 12) | 1;
	for (i = 0; i < FLOOD; i++)
		m->token[TOKENS + i].value = (1000 + i) << 12 | 2;

	for (at = 1; at + 1 < len; at += 2) {
		one_op(m, data[at], data[at + 1]);
		m->seen.ops++;
		m->seen.honest += m->honest;
		compare(m);
	}
	wind_up(m);
	if (seen)
		*seen = m->seen;
	free(m);
}
