/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decides the state of a vCPU's gate: pure functions of figures, time and earlier
 * decisions, without I/O, clock or global state.
 *
 * In mode auto the gate of a vCPU is in the state of rest (on by default, which is
 * what the kernel does without apf) unless there is a reason to close the gate. With
 * rest off, the gate is also opened while the vCPU waits for swapped pages.
 *
 * Pressure is tracked in any case. With the gate on the vCPU does not stall, so the
 * begin and the end of pressure are decided by figures that look the same whether the
 * gate is on or off: the rate of swap-ins, asynchronous and synchronous together, and
 * the share of time that the vCPU (a stall) or tasks of the guest wait for pages.
 */
#ifndef APFD_POLICY_H
#define APFD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uapi/apf_host.h>

#include "policy-mode.h"
#include "policy-params.h"

/*
 * Figures of a vCPU in the last interval; NAN if not known. policy_figure_names has
 * their names on the bus and in recorded histories.
 */
enum policy_figure {
	POLICY_STALL_RATIO,	  /* share of time the vCPU was stopped by swap-ins */
	POLICY_WAIT_RATIO,	  /* share of time stopped or with outstanding pages; at most 1 */
	POLICY_SWAPIN_RATE,	  /* swap-ins per second, asynchronous and synchronous */
	POLICY_LATENCY_USEC,	  /* mean latency of these swap-ins */
	POLICY_READ_LATENCY_USEC, /* mean read latency of the swap devices */
	POLICY_SWAP_SYNCHRONOUS,  /* 1: reads of all swap devices complete in the caller */
	POLICY_POOL_IN_USE,	  /* emergency nodes in use in the guest */
	POLICY_NESTED_RATE,	  /* faults per second refused because of a nested guest */
	POLICY_RESCUES,		  /* total of the guest, wraps at 2^32 */
	POLICY_SOME_AVG10,	  /* memory.pressure of the VM's cgroup, percent */
	POLICY_FULL_AVG10,
	POLICY_SWAP_BYTES, /* memory of the VM on swap */
	POLICY_TREND,	   /* change of the VM's pressure per second */
	POLICY_FIGURE_MAX = POLICY_TREND
};

extern const char *const policy_figure_names[POLICY_FIGURE_MAX + 1];

struct policy_figures {
	double value[POLICY_FIGURE_MAX + 1];
};

/* policy_figures_init: marks all figures as unknown. */
void policy_figures_init(struct policy_figures *ret);

/*
 * The reason for the state of a gate. CALM to FALLING say what the pressure is: the gate is at
 * rest, or, with rest off, open from PRESSURE to FALLING.
 */
enum policy_rule {
	POLICY_RULE_FOUND,     /* nothing was decided yet */
	POLICY_RULE_MODE,      /* the mode is not auto */
	POLICY_RULE_CALM,      /* no pressure */
	POLICY_RULE_RISING,    /* pressure, but for a short time only */
	POLICY_RULE_PRESSURE,  /* pressure */
	POLICY_RULE_FALLING,   /* no pressure, but for a short time only */
	POLICY_RULE_COOL_DOWN, /* one of the next four rules applied lately: off */
	POLICY_RULE_POOL,      /* an emergency node is in use: off */
	POLICY_RULE_NESTED,    /* a nested guest runs: off */
	POLICY_RULE_RESCUES,   /* waiting tasks of the guest were rescued too often: off */
	POLICY_RULE_FAST_SWAP, /* swap is so fast that APF does not pay: off */
	POLICY_RULE_UNKNOWN,   /* no figures: the gate stays as it was, for a minute at most */
	POLICY_RULE_MAX = POLICY_RULE_UNKNOWN
};

const char *policy_rule_to_string(enum policy_rule rule);

/**
 * struct policy_vcpu - the policy's state of a vCPU
 * @state: the decided state of the gate
 * @rule: the reason for @state, updated by each call
 * @cause: while @rule is COOL_DOWN, the rule that started the cool-down
 * @mode: mode in the last call
 * @since_usec: when @state was decided or set by somebody else
 * @last_usec: time of the last call
 * @pressure: there is pressure; short interruptions count as pressure
 * @pressure_since_usec: when @pressure last changed
 * @known_usec: the last call with figures
 * @high_since_usec: since then figures are at or above their limits, 0 if they are not
 * @low_since_usec: since then figures are at or below their lower limits, 0 if they are not
 * @calm_usec: when pressure last ended
 * @cool_until_usec: end of the cool-down; the gate is not opened before
 * @flaps: how often in a row pressure started again within flap_window_sec
 * @strikes: how often in a row the vCPU had to be protected
 * @rescues: last total of the guest
 * @rescues_known: @rescues is valid
 * @rescue_level: leaky bucket of the rescues of about the last minute
 * @latency_usec: smoothed latency
 * @latency_n: number of intervals in @latency_usec, at most LATENCY_N_MIN
 */
struct policy_vcpu {
	enum apf_state state;
	enum policy_rule rule;
	enum policy_rule cause;
	enum policy_mode mode;
	uint64_t since_usec;
	uint64_t last_usec;
	bool pressure;
	uint64_t pressure_since_usec;
	uint64_t known_usec;
	uint64_t high_since_usec;
	uint64_t low_since_usec;
	uint64_t calm_usec;
	uint64_t cool_until_usec;
	unsigned int flaps;
	unsigned int strikes;
	uint32_t rescues;
	bool rescues_known;
	double rescue_level;
	double latency_usec;
	unsigned int latency_n;
};

/*
 * policy_gate_changed: the gate was set to @state, but not by the policy. The policy
 * adopts @state until figures require another one. Strikes and cool-down stay. For a
 * new vCPU @v must be all zero.
 */
void policy_gate_changed(struct policy_vcpu *v, enum apf_state state, uint64_t now_usec);

/*
 * policy_decide: decides the state at @now_usec (CLOCK_MONOTONIC, not 0), by the figures
 * of the interval that ends then. Returns true if there is something to record:
 * v->state or v->pressure has changed. Always sets v->rule.
 */
bool policy_decide(const struct policy_params *p, enum policy_mode mode,
		   const struct policy_figures *f, uint64_t now_usec, struct policy_vcpu *v);

/* policy_is_settled: true if calls do not change @v while all figures are zero. */
bool policy_is_settled(const struct policy_vcpu *v);

enum { POLICY_REASON_MAX = 256 };

/* policy_reason: describes v->rule of the last call, with figures and thresholds. */
void policy_reason(const struct policy_params *p, const struct policy_figures *f,
		   const struct policy_vcpu *v, char text[static POLICY_REASON_MAX]);

#endif /* APFD_POLICY_H */
