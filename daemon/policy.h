/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which gate a vCPU should have: pure functions of figures, time and what was
 * decided before. No I/O, no clock, no memory of their own.
 *
 * In mode auto a vCPU idles with its gate off and gets it on while it waits for
 * swapped pages. With the gate on it does not stall any more, so both ways are
 * decided by figures that look the same in either state: the rate of swap-ins,
 * asynchronous and synchronous together, and the share of time pages were waited
 * for, by the vCPU (a stall) or by tasks of the guest.
 */
#ifndef APFD_POLICY_H
#define APFD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uapi/apf_host.h>

/* What somebody wants for a VM or a vCPU; the names are those on the bus. */
enum policy_mode {
	POLICY_MODE_AUTO,
	POLICY_MODE_ON,
	POLICY_MODE_PV,
	POLICY_MODE_OFF,
	POLICY_MODE_MAX = POLICY_MODE_OFF
};

const char *policy_mode_to_string(enum policy_mode mode);
int policy_mode_from_string(const char *s, enum policy_mode *ret); /* 0 or -EINVAL */

/* policy_mode_of_state: the mode that keeps a gate in @state. */
enum policy_mode policy_mode_of_state(enum apf_state state);

/**
 * struct policy_params - thresholds and times, all of them in policy_keys
 * @enter_stall_ratio: share of time waiting for pages from which on there is
 *	pressure, 0 to 1
 * @leave_stall_ratio: share of time up to which there is none
 * @enter_swapin_rate: swap-ins per second of one vCPU, likewise
 * @leave_swapin_rate: likewise; both must be low for the pressure to be over
 * @enter_hold_sec: so long there must be pressure before the gate is opened
 * @leave_hold_sec: so long there must be none before it is closed
 * @min_dwell_sec: it stays open so long at least
 * @cool_down_sec: it stays closed so long after a vCPU had to be protected;
 *	doubled each time that happens again
 * @flap_window_sec: pressure that comes back so soon doubles leave_hold_sec
 * @max_rescues_per_minute: of the guest's sleepers
 * @min_read_latency_usec: what an asynchronous fault costs; faster swap does not
 *	pay for it
 */
struct policy_params {
	double enter_stall_ratio;
	double leave_stall_ratio;
	double enter_swapin_rate;
	double leave_swapin_rate;
	double enter_hold_sec;
	double leave_hold_sec;
	double min_dwell_sec;
	double cool_down_sec;
	double flap_window_sec;
	double max_rescues_per_minute;
	double min_read_latency_usec;
};

/**
 * struct policy_key - a row of the table of parameters
 * @name: in the configuration file, section [Policy]
 * @offset: of a double in struct policy_params
 * @value: the default
 * @min, @max: what it may be
 */
struct policy_key {
	const char *name;
	size_t offset;
	double value;
	double min, max;
};

enum { POLICY_KEYS = 11 };
extern const struct policy_key policy_keys[POLICY_KEYS];

void policy_params_init(struct policy_params *ret);

/*
 * policy_params_set: @value is a decimal number. 0; -ENOENT: no such key;
 * -EINVAL: not a number; -ERANGE: outside of what policy_keys allows.
 */
int policy_params_set(struct policy_params *p, const char *key, const char *value);

/* policy_params_check: NULL, or what is wrong with them taken together. */
const char *policy_params_check(const struct policy_params *p);

/*
 * What is known of a vCPU over the last interval; NAN what is not. The names,
 * see policy_figure_names, are those on the bus and in recorded histories.
 */
enum policy_figure {
	POLICY_STALL_RATIO,	  /* share of time the vCPU was stopped by swap-ins */
	POLICY_WAIT_RATIO,	  /* that, or pages were outstanding; at most 1 */
	POLICY_SWAPIN_RATE,	  /* per second, asynchronous and synchronous */
	POLICY_LATENCY_USEC,	  /* mean of those swap-ins */
	POLICY_READ_LATENCY_USEC, /* mean read of the swap devices */
	POLICY_SWAP_SYNCHRONOUS,  /* 1: every swap device completes in the caller */
	POLICY_POOL_IN_USE,	  /* emergency nodes of the guest */
	POLICY_NESTED_RATE,	  /* faults per second refused because of a nested guest */
	POLICY_RESCUES,		  /* guest's total, wraps at 2^32 */
	POLICY_SOME_AVG10,	  /* memory.pressure of the VM's cgroup, percent */
	POLICY_FULL_AVG10,
	POLICY_SWAP_BYTES, /* of the VM, swapped out */
	POLICY_TREND,	   /* change of the VM's pressure per second */
	POLICY_FIGURE_MAX = POLICY_TREND
};

extern const char *const policy_figure_names[POLICY_FIGURE_MAX + 1];

struct policy_figures {
	double value[POLICY_FIGURE_MAX + 1];
};

/* policy_figures_init: nothing is known. */
void policy_figures_init(struct policy_figures *ret);

/* Why a gate is as it is. */
enum policy_rule {
	POLICY_RULE_FOUND,     /* nothing was decided yet */
	POLICY_RULE_MODE,      /* somebody said so */
	POLICY_RULE_CALM,      /* no pressure: off */
	POLICY_RULE_RISING,    /* pressure, not for long enough yet: still off */
	POLICY_RULE_PRESSURE,  /* on */
	POLICY_RULE_FALLING,   /* no pressure, not for long enough yet: still on */
	POLICY_RULE_COOL_DOWN, /* pressure, but one of the following was lately: off */
	POLICY_RULE_POOL,      /* emergency node in use: off */
	POLICY_RULE_NESTED,    /* a nested guest runs: off */
	POLICY_RULE_RESCUES,   /* sleepers were rescued again and again: off */
	POLICY_RULE_FAST_SWAP, /* swap is too fast for it to pay: off */
	POLICY_RULE_MAX = POLICY_RULE_FAST_SWAP
};

const char *policy_rule_to_string(enum policy_rule rule);

/**
 * struct policy_vcpu - what the policy remembers of a vCPU
 * @state: the gate it wants
 * @rule: why, as of the last call
 * @cause: while @rule is COOL_DOWN, what it is for
 * @mode: of the last call
 * @since_usec: when @state was decided or found
 * @last_usec: the last call
 * @high_since_usec: pressure since then, 0 if there is none
 * @low_since_usec: no pressure since then, 0 if there is
 * @left_usec: when the gate was last closed for calm
 * @cool_until_usec: not opened before
 * @flaps: how often pressure came back within the window, in a row
 * @strikes: how often it had to be protected, in a row
 * @rescues: last total
 * @rescues_known: there is one
 * @rescue_level: rescues of the last minute, leaking
 * @latency_usec: smoothed; over @latency_n intervals, which stops counting
 */
struct policy_vcpu {
	enum apf_state state;
	enum policy_rule rule;
	enum policy_rule cause;
	enum policy_mode mode;
	uint64_t since_usec;
	uint64_t last_usec;
	uint64_t high_since_usec;
	uint64_t low_since_usec;
	uint64_t left_usec;
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
 * policy_found: the gate is in @state at @now_usec, whoever did that: what the
 * policy wants from now on, until figures say otherwise. Strikes and cool-down
 * stay. For a new vCPU @v is all zero.
 */
void policy_found(struct policy_vcpu *v, enum apf_state state, uint64_t now_usec);

/*
 * policy_decide: what the gate should be at @now_usec (CLOCK_MONOTONIC, not 0),
 * by the figures of the interval that ends then. True if v->state is now another
 * one; v->rule says why it is what it is in any case.
 */
bool policy_decide(const struct policy_params *p, enum policy_mode mode,
		   const struct policy_figures *f, uint64_t now_usec, struct policy_vcpu *v);

/* policy_is_settled: as long as figures stay zero, calls change nothing. */
bool policy_is_settled(const struct policy_vcpu *v);

enum { POLICY_REASON_MAX = 256 };

/* policy_reason: v->rule as of the last call in words, with figures and thresholds. */
void policy_reason(const struct policy_params *p, const struct policy_figures *f,
		   const struct policy_vcpu *v, char text[static POLICY_REASON_MAX]);

#endif /* APFD_POLICY_H */
