/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is decided for the vCPUs of a VM: figures into the policy, its decisions
 * to the module, and what can be said of them afterwards.
 */
#ifndef APFD_GOVERNOR_H
#define APFD_GOVERNOR_H

#include "genl-parse.h"
#include "policy.h"

struct vm;

/* As many decisions of a VM are remembered. */
enum { GOVERNOR_HISTORY_MAX = 32 };

/**
 * struct governor_vcpu
 * @index: of the vCPU
 * @quiet: the last interval had nothing to decide about, and no figure has moved since
 * @since_usec: when @policy.state was decided or found, CLOCK_REALTIME
 * @figures: of the last interval
 */
struct governor_vcpu {
	uint32_t index;
	bool quiet;
	uint64_t since_usec;
	struct policy_vcpu policy;
	struct policy_figures figures;
};

/**
 * struct governor_decision - one that was taken
 * @time_usec: CLOCK_REALTIME
 * @dry_run: it was not carried out
 * @figures: of the vCPU of them that waits most
 */
struct governor_decision {
	uint64_t time_usec;
	enum apf_state state;
	enum policy_rule rule;
	bool dry_run;
	struct policy_figures figures;
	char reason[POLICY_REASON_MAX];
	size_t n_indices;
	uint32_t indices[];
};

/**
 * struct governor - of one VM; all zero at first
 * @vcpus: in the order of the VM's
 * @history: a ring, @history_begin is the oldest of @n_history
 * @rising: some vCPU has pressure that has not lasted long enough yet
 * @failed: the module refused the last change; logged once
 */
struct governor {
	struct governor_vcpu *vcpus;
	size_t n_vcpus;
	struct governor_decision *history[GOVERNOR_HISTORY_MAX];
	size_t history_begin;
	size_t n_history;
	bool rising;
	bool failed;
};

void governor_done(struct governor *g);

/* governor_stir: what decisions rest on changed, thresholds or the host's swap. */
void governor_stir(struct vm *vm);

/*
 * governor_match: the VM has the vCPUs that vm->vcpus says, with gates as found
 * there; those already known stay as they are unless @anew. 0 or -ENOMEM.
 */
int governor_match(struct vm *vm, bool anew);

/* governor_sample: the counters of the vCPU at @i over @dt_usec, not 0. */
void governor_sample(struct vm *vm, size_t i, const struct genl_vcpu *prev,
		     const struct genl_vcpu *cur, uint64_t dt_usec);

/* governor_pool: so many emergency nodes of the vCPU are in use, before the next sample says so. */
void governor_pool(struct vm *vm, uint32_t index, uint32_t in_use);

/* governor_found: somebody else changed these gates, all if there are none, to @state. */
void governor_found(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices);

/* governor_run: decides, tells and carries out. The VM may be unwatched after it. */
void governor_run(struct vm *vm, uint64_t now_usec);

/*
 * governor_is_quiet: nothing moves and every gate is as wanted, which is so for
 * most VMs most of the time: governor_run() would do nothing.
 */
bool governor_is_quiet(const struct vm *vm);

/* governor_is_waiting: there is a closed gate that pressure would open. */
bool governor_is_waiting(const struct vm *vm);

/* governor_reason: why the gate of a vCPU is as it is, with the latest figures. */
void governor_reason(const struct vm *vm, const struct governor_vcpu *v,
		     char text[static POLICY_REASON_MAX]);

/* governor_decision_at: @i counts from the oldest, below n_history. */
const struct governor_decision *governor_decision_at(const struct governor *g, size_t i);

#endif /* APFD_GOVERNOR_H */
