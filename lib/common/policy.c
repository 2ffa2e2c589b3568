/* SPDX-License-Identifier: GPL-2.0 */
#include "policy.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "util.h"

/*
 * After a longer time between two calls, nothing is known about that time: the times
 * with and without pressure start again.
 */
#define GAP_MAX_USEC (5 * USEC_PER_SEC)

/* So long a gate stays as it is when nothing is known of its vCPU. */
#define UNKNOWN_HOLD_USEC (60 * USEC_PER_SEC)

enum {
	FLAPS_MAX = 3,	    /* leave_hold_sec is multiplied by at most 8 */
	STRIKES_MAX = 6,    /* cool_down_sec is multiplied by at most 32 */
	STRIKES_RESET = 10, /* times cool_down_sec with the gate open, then strikes are reset */
	LATENCY_N_MIN = 3,  /* intervals with swap-ins before their latency is used */
};

#define LATENCY_WEIGHT 0.3

/* A closed gate is opened only if swap is slower than the limit by this factor. */
#define FAST_SWAP_MARGIN 1.5

/* clang-format off */
const char *const policy_figure_names[POLICY_FIGURE_MAX + 1] = {
	[POLICY_STALL_RATIO]	   = "StallRatio",
	[POLICY_WAIT_RATIO]	   = "WaitRatio",
	[POLICY_SWAPIN_RATE]	   = "SwapInRate",
	[POLICY_LATENCY_USEC]	   = "LatencyUSec",
	[POLICY_READ_LATENCY_USEC] = "ReadLatencyUSec",
	[POLICY_SWAP_SYNCHRONOUS]  = "SwapSynchronous",
	[POLICY_POOL_IN_USE]	   = "PoolInUse",
	[POLICY_NESTED_RATE]	   = "NestedRate",
	[POLICY_RESCUES]	   = "Rescues",
	[POLICY_SOME_AVG10]	   = "SomeAvg10",
	[POLICY_FULL_AVG10]	   = "FullAvg10",
	[POLICY_SWAP_BYTES]	   = "SwapBytes",
	[POLICY_TREND]		   = "Trend",
};
/* clang-format on */

const char *policy_rule_to_string(enum policy_rule rule)
{
	static const char *const table[] = {
		[POLICY_RULE_FOUND] = "found",	       [POLICY_RULE_MODE] = "mode",
		[POLICY_RULE_CALM] = "calm",	       [POLICY_RULE_RISING] = "rising",
		[POLICY_RULE_PRESSURE] = "pressure",   [POLICY_RULE_FALLING] = "falling",
		[POLICY_RULE_COOL_DOWN] = "cool-down", [POLICY_RULE_POOL] = "emergency-pool",
		[POLICY_RULE_NESTED] = "nested",       [POLICY_RULE_RESCUES] = "rescues",
		[POLICY_RULE_FAST_SWAP] = "fast-swap", [POLICY_RULE_UNKNOWN] = "unknown",
	};

	return table[rule];
}

void policy_figures_init(struct policy_figures *ret)
{
	for (size_t i = 0; i < ELEMENTSOF(ret->value); i++)
		ret->value[i] = NAN;
}

/* ---- the decision ---- */

static uint64_t usec(double sec)
{
	return (uint64_t)(sec * (double)USEC_PER_SEC);
}

/* False if the figure is not known: comparisons with NAN are false. */
static bool at_least(const struct policy_figures *f, enum policy_figure i, double limit)
{
	return f->value[i] >= limit;
}

static bool above(const struct policy_figures *f, enum policy_figure i)
{
	return f->value[i] > 0;
}

static void count_rescues(const struct policy_params *p, const struct policy_figures *f,
			  uint64_t dt_usec, struct policy_vcpu *v)
{
	double per_usec = MAX_OF(p->max_rescues_per_minute, 1) / (60 * (double)USEC_PER_SEC);
	double total = f->value[POLICY_RESCUES];
	uint32_t now;

	v->rescue_level = MAX_OF(v->rescue_level - per_usec * (double)dt_usec, 0);
	if (!(total >= 0 && total <= UINT32_MAX)) {
		v->rescues_known = false;
		return;
	}
	now = (uint32_t)total;
	/* The total may start again at 0 with another guest module; then it seems to decrease. */
	if (v->rescues_known && now - v->rescues <= INT32_MAX)
		v->rescue_level += now - v->rescues;
	v->rescues = now;
	v->rescues_known = true;
}

static void smooth_latency(const struct policy_figures *f, struct policy_vcpu *v)
{
	double latency = f->value[POLICY_LATENCY_USEC];

	if (!above(f, POLICY_SWAPIN_RATE) || !(latency >= 0))
		return;
	if (v->latency_n == 0)
		v->latency_usec = latency;
	else
		v->latency_usec += LATENCY_WEIGHT * (latency - v->latency_usec);
	if (v->latency_n < LATENCY_N_MIN)
		v->latency_n++;
}

static double fast_swap_limit_usec(const struct policy_params *p, const struct policy_vcpu *v)
{
	return p->min_read_latency_usec * (v->state == APF_STATE_OFF ? FAST_SWAP_MARGIN : 1);
}

static bool swap_is_fast(const struct policy_params *p, const struct policy_figures *f,
			 const struct policy_vcpu *v)
{
	double limit_usec = fast_swap_limit_usec(p, v);

	if (above(f, POLICY_SWAP_SYNCHRONOUS))
		return true;
	/* The latency is 0 until enough reads were measured. */
	if (above(f, POLICY_READ_LATENCY_USEC) && f->value[POLICY_READ_LATENCY_USEC] < limit_usec)
		return true;
	/* Only the latency of swap-ins shows compressed memory in front of a disk (zswap). */
	return v->latency_n >= LATENCY_N_MIN && v->latency_usec < limit_usec;
}

/* The danger that the vCPU must be protected from; FOUND if there is none. */
static enum policy_rule find_danger(const struct policy_params *p, const struct policy_figures *f,
				    const struct policy_vcpu *v)
{
	if (above(f, POLICY_POOL_IN_USE))
		return POLICY_RULE_POOL;
	if (above(f, POLICY_NESTED_RATE))
		return POLICY_RULE_NESTED;
	if (v->rescue_level > p->max_rescues_per_minute)
		return POLICY_RULE_RESCUES;
	return POLICY_RULE_FOUND;
}

static uint64_t cool_down_usec(const struct policy_params *p, const struct policy_vcpu *v)
{
	return usec(p->cool_down_sec) << (v->strikes > 0 ? v->strikes - 1 : 0);
}

static void protect(const struct policy_params *p, enum policy_rule rule, uint64_t now_usec,
		    struct policy_vcpu *v)
{
	/* Count one strike each time the gate is closed, not for each call while it is closed. */
	if (v->state != APF_STATE_OFF && v->strikes < STRIKES_MAX)
		v->strikes++;
	v->cool_until_usec = now_usec + cool_down_usec(p, v);
	v->cause = rule;
	v->rescue_level = 0;
	/* With rest off, what was seen before the gate was closed does not open the gate again. */
	if (p->rest == APF_STATE_OFF)
		v->high_since_usec = v->low_since_usec = 0;
}

static enum apf_state close_for(const struct policy_params *p, enum policy_rule rule,
				uint64_t now_usec, struct policy_vcpu *v)
{
	/* Fast swap is a reason to close the gate, but no danger that prolongs the cool-down. */
	if (rule != POLICY_RULE_FAST_SWAP || v->state != APF_STATE_OFF)
		protect(p, rule, now_usec, v);
	v->rule = rule;
	return APF_STATE_OFF;
}

static bool at_most(const struct policy_figures *f, enum policy_figure i, double limit)
{
	return f->value[i] <= limit;
}

/*
 * Updates the times with and without pressure. Without known figures there is neither
 * pressure nor none, so the gate stays as it is. The stall ratio is a lower limit of the
 * wait ratio, and is known even if the end of asynchronous faults is not counted.
 */
static void update_pressure(const struct policy_params *p, const struct policy_figures *f,
			    uint64_t now_usec, struct policy_vcpu *v)
{
	bool high = at_least(f, POLICY_WAIT_RATIO, p->enter_stall_ratio) ||
		    at_least(f, POLICY_STALL_RATIO, p->enter_stall_ratio) ||
		    at_least(f, POLICY_SWAPIN_RATE, p->enter_swapin_rate);
	bool low = at_most(f, POLICY_WAIT_RATIO, p->leave_stall_ratio) &&
		   at_most(f, POLICY_SWAPIN_RATE, p->leave_swapin_rate);

	if (!high)
		v->high_since_usec = 0;
	else if (!v->high_since_usec)
		v->high_since_usec = now_usec;
	if (!low)
		v->low_since_usec = 0;
	else if (!v->low_since_usec)
		v->low_since_usec = now_usec;
}

static void set_pressure(bool pressure, uint64_t now_usec, struct policy_vcpu *v)
{
	v->pressure = pressure;
	v->pressure_since_usec = now_usec;
}

static enum policy_rule enter_pressure(const struct policy_params *p, uint64_t now_usec,
				       struct policy_vcpu *v)
{
	if (!v->high_since_usec)
		return POLICY_RULE_CALM;
	if (now_usec - v->high_since_usec < usec(p->enter_hold_sec))
		return POLICY_RULE_RISING;
	if (!v->calm_usec || now_usec - v->calm_usec >= usec(p->flap_window_sec))
		v->flaps = 0;
	else if (v->flaps < FLAPS_MAX)
		v->flaps++;
	set_pressure(true, now_usec, v);
	return POLICY_RULE_PRESSURE;
}

static uint64_t leave_hold_usec(const struct policy_params *p, const struct policy_vcpu *v)
{
	return usec(p->leave_hold_sec) << v->flaps;
}

static enum policy_rule leave_pressure(const struct policy_params *p, uint64_t now_usec,
				       struct policy_vcpu *v)
{
	if (!v->low_since_usec)
		return POLICY_RULE_PRESSURE;
	if (now_usec - v->low_since_usec < leave_hold_usec(p, v) ||
	    now_usec - v->pressure_since_usec < usec(p->min_dwell_sec))
		return POLICY_RULE_FALLING;
	v->calm_usec = now_usec;
	set_pressure(false, now_usec, v);
	return POLICY_RULE_CALM;
}

/* Are there figures at all? One that a kernel cannot count is missing, but never all of them. */
static bool any_known(const struct policy_figures *f)
{
	static const enum policy_figure own[] = {
		POLICY_STALL_RATIO, POLICY_WAIT_RATIO,	POLICY_SWAPIN_RATE,
		POLICY_POOL_IN_USE, POLICY_NESTED_RATE, POLICY_RESCUES,
	};

	for (size_t i = 0; i < ELEMENTSOF(own); i++)
		if (!isnan(f->value[own[i]]))
			return true;
	return false;
}

/* A vCPU of which nothing is known is not calm: its gate stays, but not for ever. */
static enum apf_state decide_unknown(const struct policy_params *p, uint64_t now_usec,
				     struct policy_vcpu *v)
{
	v->rule = POLICY_RULE_UNKNOWN;
	v->high_since_usec = v->low_since_usec = 0;
	if (now_usec - v->known_usec < UNKNOWN_HOLD_USEC)
		return v->state;
	v->pressure = false;
	return p->rest;
}

/* What there is a reason to close the gate for; FOUND if there is none. */
static enum policy_rule cause(const struct policy_params *p, const struct policy_figures *f,
			      const struct policy_vcpu *v)
{
	enum policy_rule rule = find_danger(p, f, v);

	if (rule == POLICY_RULE_FOUND && swap_is_fast(p, f, v))
		return POLICY_RULE_FAST_SWAP;
	return rule;
}

/* The gate is closed unless there is pressure. */
static enum apf_state rest_closed(const struct policy_params *p, const struct policy_figures *f,
				  enum policy_rule rule, uint64_t now_usec,
				  struct policy_vcpu *v)
{
	/* The gate itself is the memory of the pressure: somebody may have changed the gate. */
	v->pressure = v->state != APF_STATE_OFF;
	v->pressure_since_usec = v->since_usec;
	update_pressure(p, f, now_usec, v);
	if (rule != POLICY_RULE_FOUND)
		return close_for(p, rule, now_usec, v);
	if (v->pressure) {
		v->rule = leave_pressure(p, now_usec, v);
		return v->pressure ? v->state : APF_STATE_OFF;
	}
	if (v->high_since_usec && now_usec < v->cool_until_usec) {
		v->rule = POLICY_RULE_COOL_DOWN;
		return APF_STATE_OFF;
	}
	v->rule = enter_pressure(p, now_usec, v);
	return v->pressure ? APF_STATE_ON : APF_STATE_OFF;
}

/* The gate is as the kernel has it unless there is a reason to close it; pressure is none. */
static enum apf_state rest_open(const struct policy_params *p, const struct policy_figures *f,
				enum policy_rule rule, uint64_t now_usec, struct policy_vcpu *v)
{
	enum policy_rule phase;

	update_pressure(p, f, now_usec, v);
	phase = v->pressure ? leave_pressure(p, now_usec, v) : enter_pressure(p, now_usec, v);
	if (rule != POLICY_RULE_FOUND)
		return close_for(p, rule, now_usec, v);
	if (v->state == APF_STATE_OFF && now_usec < v->cool_until_usec) {
		v->rule = POLICY_RULE_COOL_DOWN;
		return APF_STATE_OFF;
	}
	v->rule = phase;
	return p->rest;
}

static enum apf_state decide_auto(const struct policy_params *p, const struct policy_figures *f,
				  uint64_t now_usec, struct policy_vcpu *v)
{
	enum policy_rule rule;

	if (!any_known(f))
		return decide_unknown(p, now_usec, v);
	v->known_usec = now_usec;
	rule = cause(p, f, v);
	if (v->state != APF_STATE_OFF && rule == POLICY_RULE_FOUND &&
	    now_usec - v->since_usec >= STRIKES_RESET * usec(p->cool_down_sec))
		v->strikes = 0;
	return p->rest == APF_STATE_OFF ? rest_closed(p, f, rule, now_usec, v)
					: rest_open(p, f, rule, now_usec, v);
}

void policy_gate_changed(struct policy_vcpu *v, enum apf_state state, uint64_t now_usec)
{
	v->state = state;
	v->rule = POLICY_RULE_FOUND;
	v->since_usec = v->known_usec = now_usec;
	v->pressure = false;
	v->high_since_usec = v->low_since_usec = 0;
}

bool policy_decide(const struct policy_params *p, enum policy_mode mode,
		   const struct policy_figures *f, uint64_t now_usec, struct policy_vcpu *v)
{
	uint64_t dt_usec = v->last_usec && now_usec > v->last_usec ? now_usec - v->last_usec : 0;
	const bool pressure = v->pressure;
	enum apf_state wanted;

	/* Time went backwards: ignore this call. */
	if (v->last_usec && now_usec < v->last_usec)
		return false;
	v->last_usec = now_usec;
	if (dt_usec > GAP_MAX_USEC || mode != v->mode) {
		v->high_since_usec = v->low_since_usec = 0;
		v->known_usec = now_usec;
	}
	v->mode = mode;
	count_rescues(p, f, dt_usec, v);
	smooth_latency(f, v);

	if (mode == POLICY_MODE_AUTO) {
		wanted = decide_auto(p, f, now_usec, v);
	} else {
		wanted = policy_mode_state(mode);
		v->rule = POLICY_RULE_MODE;
		v->pressure = false;
	}
	if (wanted == v->state)
		return mode == POLICY_MODE_AUTO && p->rest != APF_STATE_OFF &&
		       v->pressure != pressure;
	v->state = wanted;
	v->since_usec = now_usec;
	return true;
}

bool policy_is_settled(const struct policy_vcpu *v)
{
	return v->rule == POLICY_RULE_MODE || v->rule == POLICY_RULE_CALM ||
	       v->rule == POLICY_RULE_FAST_SWAP;
}

/* ---- in words ---- */

/* "waits for pages 12.3 % of the time (limit 5 %), 120 swap-ins/s (limit 200)", if known. */
static void describe_figures(const struct policy_figures *f, double ratio, double rate, char *text,
			     size_t size)
{
	double waiting = f->value[POLICY_WAIT_RATIO], stopped = f->value[POLICY_STALL_RATIO];
	double swapins = f->value[POLICY_SWAPIN_RATE];
	int len = 0;

	text[0] = '\0';
	if (!isnan(waiting))
		len = snprintf(text, size, "waits for pages %.1f %% of the time (limit %g %%)",
			       waiting * 100, ratio * 100);
	else if (!isnan(stopped))
		len = snprintf(text, size, "is stopped for pages %.1f %% of the time (limit %g %%)",
			       stopped * 100, ratio * 100);
	if (!isnan(swapins) && len >= 0 && (size_t)len < size)
		snprintf(text + len, size - (size_t)len, "%s%.1f swap-ins/s (limit %g)",
			 len ? ", " : "", swapins, rate);
	if (!text[0])
		snprintf(text, size, "its swap-ins are not known");
}

static const char *describe_danger(enum policy_rule cause)
{
	switch (cause) {
	case POLICY_RULE_POOL:
		return "an emergency node of the guest was in use";
	case POLICY_RULE_NESTED:
		return "a nested guest ran";
	case POLICY_RULE_FAST_SWAP:
		return "swap was too fast for asynchronous faults";
	default:
		return "waiting tasks of the guest were rescued too often";
	}
}

static void describe_fast_swap(const struct policy_params *p, const struct policy_figures *f,
			       const struct policy_vcpu *v, char *text, size_t size)
{
	double read_usec = f->value[POLICY_READ_LATENCY_USEC];
	double limit_usec = fast_swap_limit_usec(p, v);

	if (above(f, POLICY_SWAP_SYNCHRONOUS))
		snprintf(text, size,
			 "all swap is synchronous (for example zram): the vCPU itself reads the "
			 "page, so asynchronous faults gain nothing");
	else if (above(f, POLICY_READ_LATENCY_USEC) && read_usec < limit_usec)
		snprintf(text, size,
			 "a read of swap takes %.1f us, too little for an asynchronous fault to "
			 "pay (limit %g us)",
			 read_usec, limit_usec);
	else
		snprintf(text, size,
			 "a swap-in takes %.1f us, too little for an asynchronous fault to pay "
			 "(limit %g us)",
			 v->latency_usec, limit_usec);
}

static void describe_unknown(const struct policy_params *p, const struct policy_vcpu *v, char *text,
			size_t size)
{
	uint64_t since_usec = v->last_usec - v->known_usec;

	if (since_usec < UNKNOWN_HOLD_USEC)
		snprintf(text, size,
			 "its figures cannot be read: the gate stays as it is, at most %.0f s more",
			 (double)(UNKNOWN_HOLD_USEC - since_usec) / (double)USEC_PER_SEC);
	else
		snprintf(text, size, "its figures cannot be read for %.0f s: %s, the state of rest",
			 (double)since_usec / (double)USEC_PER_SEC,
			 policy_mode_to_string(policy_mode_of_state(p->rest)));
}

void policy_reason(const struct policy_params *p, const struct policy_figures *f,
		   const struct policy_vcpu *v, char text[static POLICY_REASON_MAX])
{
	const size_t size = POLICY_REASON_MAX;
	char enter[128], leave[128];

	describe_figures(f, p->enter_stall_ratio, p->enter_swapin_rate, enter, sizeof(enter));
	describe_figures(f, p->leave_stall_ratio, p->leave_swapin_rate, leave, sizeof(leave));
	switch (v->rule) {
	case POLICY_RULE_FOUND:
		snprintf(text, size, "set before, nothing was decided yet");
		return;
	case POLICY_RULE_MODE:
		snprintf(text, size, "mode %s is set", policy_mode_to_string(v->mode));
		return;
	case POLICY_RULE_CALM:
		if (v->calm_usec && v->calm_usec == v->last_usec)
			snprintf(text, size, "%s for %.0f s", leave,
				 (double)(v->last_usec - v->low_since_usec) / (double)USEC_PER_SEC);
		else
			snprintf(text, size, "%s", enter);
		return;
	case POLICY_RULE_RISING:
		snprintf(text, size, "%s, not yet for %g s", enter, p->enter_hold_sec);
		return;
	case POLICY_RULE_PRESSURE:
		snprintf(text, size, "%s", v->pressure_since_usec == v->last_usec ? enter : leave);
		return;
	case POLICY_RULE_FALLING:
		snprintf(text, size, "%s, not yet for %g s", leave,
			 (double)MAX_OF(leave_hold_usec(p, v), usec(p->min_dwell_sec)) /
				 (double)USEC_PER_SEC);
		return;
	case POLICY_RULE_COOL_DOWN:
		snprintf(text, size, "%s, closed for %.0f s more", describe_danger(v->cause),
			 (double)(v->cool_until_usec - v->last_usec) / (double)USEC_PER_SEC);
		return;
	case POLICY_RULE_POOL:
		snprintf(text, size, "the guest has %.0f emergency nodes of this vCPU in use",
			 f->value[POLICY_POOL_IN_USE]);
		return;
	case POLICY_RULE_NESTED:
		snprintf(text, size, "a nested guest runs (%.1f faults/s refused for it)",
			 f->value[POLICY_NESTED_RATE]);
		return;
	case POLICY_RULE_RESCUES:
		snprintf(text, size,
			 "waiting tasks of the guest were rescued more than %g times a minute "
			 "(%" PRIu32 " in all)",
			 p->max_rescues_per_minute, v->rescues);
		return;
	case POLICY_RULE_FAST_SWAP:
		describe_fast_swap(p, f, v, text, size);
		return;
	case POLICY_RULE_UNKNOWN:
		describe_unknown(p, v, text, size);
		return;
	}
}
