/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A world for the table core: CPUs, a memory allocator that can refuse, APF that can be looked at.
 */
#ifndef APF_TEST_WORLD_H
#define APF_TEST_WORLD_H

#include "../../guest-module/table.h"

enum { WORLD_CPUS = 4 };

/**
 * struct world - the table and what is around it
 * @t: the table under test
 * @cpu: its CPUs
 * @cpus: the same for @t; one more that cannot exist
 * @refuse: ops->alloc returns NULL
 * @nodes: allocated and not freed
 * @on: APF per CPU as ops->enable left it
 * @kicked: ops->kick was called for the CPU
 * @wake: called for each task that ops->wake is called for; may be NULL
 */
struct world {
	struct apf_table t;
	struct apf_cpu cpu[WORLD_CPUS];
	struct apf_cpu *cpus[WORLD_CPUS + 1];
	int refuse;
	int nodes;
	int on[WORLD_CPUS];
	int kicked[WORLD_CPUS];
	void (*wake)(struct world *w, void *task);
};

void world_init(struct world *w, u32 rescue, u32 age);
/* Deliver the kick of one CPU, as its interrupt would; of all of them. */
void world_kick(struct world *w, unsigned int cpu, u32 now);
void world_settle(struct world *w, u32 now);
/* The n-th token after @token that shares its bucket. */
u32 world_collide(u32 token, unsigned int n);

#endif
