/* SPDX-License-Identifier: GPL-2.0 */
/* The thresholds and times of the policy; section [Policy] of the configuration sets them. */
#ifndef APFD_POLICY_PARAMS_H
#define APFD_POLICY_PARAMS_H

#include <stddef.h>

#include <uapi/apf_host.h>

/**
 * struct policy_params - thresholds and times, all of them in policy_keys, and the state at rest
 * @rest: state of the gate of a vCPU in mode auto while there is no reason to close the gate.
 *	ON is what the kernel does without apf. OFF: the gate is open under pressure only.
 * @enter_stall_ratio: pressure starts at this share of time spent waiting for pages, 0 to 1
 * @leave_stall_ratio: pressure ends when the share is at or below this
 * @enter_swapin_rate: pressure also starts at this rate of swap-ins per second of one vCPU
 * @leave_swapin_rate: for the end of pressure, the rate must also be at or below this
 * @enter_hold_sec: duration of pressure before the rule is PRESSURE
 * @leave_hold_sec: duration without pressure before the rule is CALM
 * @min_dwell_sec: minimum time for which pressure lasts
 * @cool_down_sec: time for which the gate stays closed after a vCPU had to be
 *	protected; doubled each time this happens again
 * @flap_window_sec: if pressure starts again within this time, leave_hold_sec is doubled
 * @max_rescues_per_minute: limit for rescues of waiting tasks in the guest
 * @min_read_latency_usec: cost of an asynchronous fault; for faster swap, APF does not
 *	pay
 */
struct policy_params {
	enum apf_state rest;
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
 * @name: key in section [Policy] of the configuration file
 * @offset: offset of a double in struct policy_params
 * @value: the default
 * @min, @max: limits of the value
 */
struct policy_key {
	const char *name;
	size_t offset;
	double value;
	double min, max;
};

/* Key of policy_params.rest: "on", "pv" or "off". */
#define POLICY_KEY_REST "Rest"

enum { POLICY_KEYS = 11 };
extern const struct policy_key policy_keys[POLICY_KEYS];

void policy_params_init(struct policy_params *ret);

/*
 * policy_params_set: @value is a decimal number, or a state for POLICY_KEY_REST.
 * 0; -ENOENT: no such key; -EINVAL: not a number, not a state; -ERANGE: outside of
 * the limits in policy_keys.
 */
int policy_params_set(struct policy_params *p, const char *key, const char *value);

/* policy_params_check: NULL, or the problem if the combination of values is invalid. */
const char *policy_params_check(const struct policy_params *p);

#endif /* APFD_POLICY_PARAMS_H */
