// SPDX-License-Identifier: GPL-2.0
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define world_of(table) ((struct world *)((char *)(table) - offsetof(struct world, t)))

static void *world_alloc(struct apf_table *t)
{
	struct world *w = world_of(t);
	void *e;

	if (__atomic_load_n(&w->refuse, __ATOMIC_RELAXED))
		return NULL;
	e = malloc(sizeof(struct apf_entry));
	if (!e)
		abort();
	/* Whatever the core does not set must not matter. */
	memset(e, 0xa5, sizeof(struct apf_entry));
	__atomic_fetch_add(&w->nodes, 1, __ATOMIC_RELAXED);
	return e;
}

static void world_free(struct apf_table *t, void *entry)
{
	__atomic_fetch_sub(&world_of(t)->nodes, 1, __ATOMIC_RELAXED);
	free(entry);
}

static void world_wake(struct apf_table *t, void *task)
{
	struct world *w = world_of(t);

	if (w->wake)
		w->wake(w, task);
}

static void world_enable(struct apf_table *t, unsigned int cpu, bool on)
{
	world_of(t)->on[cpu] = on;
}

static void world_kicked(struct apf_table *t, unsigned int cpu)
{
	__atomic_store_n(&world_of(t)->kicked[cpu], 1, __ATOMIC_SEQ_CST);
}

static const struct apf_table_ops world_ops = {
	.alloc = world_alloc,
	.free = world_free,
	.wake = world_wake,
	.enable = world_enable,
	.kick = world_kicked,
};

void world_init(struct world *w, u32 rescue, u32 age)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < WORLD_CPUS; i++) {
		w->cpus[i] = &w->cpu[i];
		w->on[i] = 1;
	}
	apf_table_init(&w->t, &world_ops, w->cpus, WORLD_CPUS + 1, rescue, age);
}

void world_kick(struct world *w, unsigned int cpu, u32 now)
{
	if (__atomic_exchange_n(&w->kicked[cpu], 0, __ATOMIC_SEQ_CST))
		apf_table_sync(&w->t, cpu, false, now);
}

void world_settle(struct world *w, u32 now)
{
	unsigned int cpu;

	for (cpu = 0; cpu < WORLD_CPUS; cpu++)
		world_kick(w, cpu, now);
}

u32 world_collide(u32 token, unsigned int n)
{
	u32 hash = apf_table_hash(token);

	while (n) {
		token++;
		if (apf_table_hash(token) == hash)
			n--;
	}
	return token;
}
