/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decisions for the vCPUs of a VM: passes figures to the policy, requests the
 * decided gates from the module, and explains past decisions.
 */
#ifndef APFD_GOVERNOR_H
#define APFD_GOVERNOR_H

#include "genl-parse.h"
#include "history.h"
#include "policy.h"

struct vm;

/**
 * struct governor_vcpu
 * @index: index of the vCPU
 * @settled: the policy had nothing to decide, and no figure has changed since
 * @since_usec: time of the last change of @policy.state, CLOCK_REALTIME
 * @figures: figures of the last interval
 */
struct governor_vcpu {
	uint32_t index;
	bool settled;
	uint64_t since_usec;
	struct policy_vcpu policy;
	struct policy_figures figures;
};

/**
 * struct governor - governor of one VM; all zero at first
 * @vcpus: in the same order as the VM's vCPUs
 * @history: earlier decisions
 * @rising: some vCPU has pressure, but not for EnterHoldSec yet
 * @failures: how many changes in a row the module refused; the first one was logged
 * @retry_usec: not tried again before, CLOCK_MONOTONIC; a new decision does not wait
 */
struct governor {
	struct governor_vcpu *vcpus;
	size_t n_vcpus;
	struct history history;
	bool rising;
	unsigned int failures;
	uint64_t retry_usec;
};

/*
 * governor_invalidate: thresholds, modes or the host's swap have changed, so that every vCPU must
 * be decided about again.
 */
void governor_invalidate(struct vm *vm);

/*
 * governor_match: updates the governor's vCPUs to those in vm->vcpus. New vCPUs get the
 * gates found there; with @anew, all vCPUs do. 0 or -ENOMEM.
 */
int governor_match(struct vm *vm, bool anew);

/* governor_sample: computes the figures of the vCPU at @i over @dt_usec, which is not 0. */
void governor_sample(struct vm *vm, size_t i, const struct genl_vcpu *prev,
		     const struct genl_vcpu *cur, uint64_t dt_usec);

/* governor_not_read: the figures of the last interval are not known. */
void governor_not_read(struct vm *vm);

/* governor_pool: @in_use emergency nodes of the vCPU are in use now; need not wait for a sample. */
void governor_pool(struct vm *vm, uint32_t index, uint32_t in_use);

/*
 * governor_gate_changed: the gates of the vCPUs in @indices, or of the whole VM if @n_indices is
 * 0, were set to @state, but not by the policy.
 */
void governor_gate_changed(struct vm *vm, enum apf_state state, const uint32_t *indices,
			   size_t n_indices);

/*
 * governor_run: makes decisions, announces them and carries them out, if the VM is watched and
 * its modes are known. Afterwards the VM may be not watched any more.
 */
void governor_run(struct vm *vm, uint64_t now_usec);

/* governor_apply: governor_invalidate() and governor_run(), for example after a change of modes. */
void governor_apply(struct vm *vm);

/*
 * governor_is_settled: no figure changes and every gate is as decided, so that
 * governor_run() would do nothing. This is the usual state of most VMs.
 */
bool governor_is_settled(const struct vm *vm);

/* governor_misses_pressure: some vCPU in mode auto has no pressure yet that could start. */
bool governor_misses_pressure(const struct vm *vm);

/* governor_reason: the reason for the present state of a vCPU's gate, with the latest figures. */
void governor_reason(const struct vm *vm, const struct governor_vcpu *v,
		     char text[static POLICY_REASON_MAX]);

#endif /* APFD_GOVERNOR_H */
