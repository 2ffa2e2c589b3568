/* SPDX-License-Identifier: GPL-2.0 */
/* The latest decisions about a VM. */
#ifndef APFD_HISTORY_H
#define APFD_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

/* Number of decisions stored for each VM. */
enum { HISTORY_MAX = 32 };

/**
 * struct decision - a decision of the policy about some vCPUs of a VM
 * @time_usec: CLOCK_REALTIME
 * @switched: the state changes; if not, only the pressure does
 * @dry_run: the decision was not carried out
 * @figures: figures of the vCPU that waits most
 */
struct decision {
	uint64_t time_usec;
	enum apf_state state;
	enum policy_rule rule;
	bool switched;
	bool dry_run;
	struct policy_figures figures;
	char reason[POLICY_REASON_MAX];
	size_t n_indices;
	uint32_t indices[];
};

/**
 * struct history - a ring, all zero at first
 * @begin: index of the oldest of @n decisions
 */
struct history {
	struct decision *ring[HISTORY_MAX];
	size_t begin;
	size_t n;
};

/* history_add: takes over @d; frees the oldest decision if the ring is full. */
void history_add(struct history *h, struct decision *d);

/* history_at: @i is less than h->n; 0 is the oldest decision. */
const struct decision *history_at(const struct history *h, size_t i);

/* history_done: frees all decisions. */
void history_done(struct history *h);

#endif /* APFD_HISTORY_H */
