/* SPDX-License-Identifier: GPL-2.0 */
#include "policy.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "util.h"

/*
 * Longer than this between two calls, and what was seen before says nothing of
 * the time between: holds begin anew.
 */
#define GAP_MAX_USEC (5 * USEC_PER_SEC)

enum {
	FLAPS_MAX = 3,	       /* the leave hold grows to 8 times itself */
	STRIKES_MAX = 6,       /* the cool-down grows to 32 times itself */
	STRIKES_FORGIVEN = 10, /* after so many cool-downs with the gate open */
	LATENCY_N_MIN = 3,     /* intervals with swap-ins, before their latency counts */
};

#define LATENCY_WEIGHT 0.3

/* A gate that is closed stays so until swap is that much slower than it has to be. */
#define FAST_SWAP_MARGIN 1.5

#define KEY(n, f, ...)                                            \
	{                                                         \
		n, offsetof(struct policy_params, f), __VA_ARGS__ \
	}
/* clang-format off */
const struct policy_key policy_keys[POLICY_KEYS] = {
	/* A stall of 5 % is felt, and costs more than all faults it takes to be told of it. */
	KEY("EnterStallRatio",	   enter_stall_ratio,	     0.05,  0.0001, 1),
	KEY("LeaveStallRatio",	   leave_stall_ratio,	     0.01,  0,	    1),
	/* Whatever the device: so many faults a second are a working set that does not fit. */
	KEY("EnterSwapInRate",	   enter_swapin_rate,	     200,   0.1,    1e9),
	KEY("LeaveSwapInRate",	   leave_swapin_rate,	     20,    0,	    1e9),
	/* Seen by two looks a second apart: reaction within two seconds, and no single blip. */
	KEY("EnterHoldSec",	   enter_hold_sec,	     0.5,   0,	    3600),
	KEY("LeaveHoldSec",	   leave_hold_sec,	     10,    0,	    86400),
	KEY("MinDwellSec",	   min_dwell_sec,	     5,	    0,	    86400),
	KEY("CoolDownSec",	   cool_down_sec,	     30,    0,	    86400),
	KEY("FlapWindowSec",	   flap_window_sec,	     120,   0,	    86400),
	KEY("MaxRescuesPerMinute", max_rescues_per_minute,   3,	    0,	    1e6),
	/* Exit, worker and interrupt of an asynchronous fault on current hardware. */
	KEY("MinReadLatencyUSec",  min_read_latency_usec,    30,    0,	    1e6),
};

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
#undef KEY

const char *policy_mode_to_string(enum policy_mode mode)
{
	static const char *const table[] = {
		[POLICY_MODE_AUTO] = "auto",
		[POLICY_MODE_ON] = "on",
		[POLICY_MODE_PV] = "pv",
		[POLICY_MODE_OFF] = "off",
	};

	return table[mode];
}

int policy_mode_from_string(const char *s, enum policy_mode *ret)
{
	for (int i = 0; i <= POLICY_MODE_MAX; i++)
		if (streq(s, policy_mode_to_string((enum policy_mode)i))) {
			*ret = (enum policy_mode)i;
			return 0;
		}
	return -EINVAL;
}

enum policy_mode policy_mode_of_state(enum apf_state state)
{
	switch (state) {
	case APF_STATE_OFF:
		return POLICY_MODE_OFF;
	case APF_STATE_PV:
		return POLICY_MODE_PV;
	default:
		return POLICY_MODE_ON;
	}
}

const char *policy_rule_to_string(enum policy_rule rule)
{
	static const char *const table[] = {
		[POLICY_RULE_FOUND] = "found",	       [POLICY_RULE_MODE] = "mode",
		[POLICY_RULE_CALM] = "calm",	       [POLICY_RULE_RISING] = "rising",
		[POLICY_RULE_PRESSURE] = "pressure",   [POLICY_RULE_FALLING] = "falling",
		[POLICY_RULE_COOL_DOWN] = "cool-down", [POLICY_RULE_POOL] = "emergency-pool",
		[POLICY_RULE_NESTED] = "nested",       [POLICY_RULE_RESCUES] = "rescues",
		[POLICY_RULE_FAST_SWAP] = "fast-swap",
	};

	return table[rule];
}

/* ---- parameters ---- */

static double *param(struct policy_params *p, const struct policy_key *key)
{
	return (double *)((char *)p + key->offset);
}

void policy_params_init(struct policy_params *ret)
{
	for (size_t i = 0; i < ELEMENTSOF(policy_keys); i++)
		*param(ret, &policy_keys[i]) = policy_keys[i].value;
}

/* Digits with at most one point among them: the same in every locale, no exponent, no sign. */
static int parse_decimal(const char *s, double *ret)
{
	double value = 0, unit = 1;
	bool digit = false, point = false;

	for (; *s; s++) {
		if (*s == '.' && !point) {
			point = true;
			continue;
		}
		if (*s < '0' || *s > '9')
			return -EINVAL;
		digit = true;
		value = value * 10 + (*s - '0');
		if (point)
			unit *= 10;
		if (unit > 1e15 || value > 1e15)
			return -ERANGE;
	}
	if (!digit)
		return -EINVAL;
	*ret = value / unit;
	return 0;
}

int policy_params_set(struct policy_params *p, const char *key, const char *value)
{
	for (size_t i = 0; i < ELEMENTSOF(policy_keys); i++) {
		const struct policy_key *k = &policy_keys[i];
		double v;
		int r;

		if (!streq(key, k->name))
			continue;
		r = parse_decimal(value, &v);
		if (r < 0)
			return r;
		if (v < k->min || v > k->max)
			return -ERANGE;
		*param(p, k) = v;
		return 0;
	}
	return -ENOENT;
}

const char *policy_params_check(const struct policy_params *p)
{
	if (p->leave_stall_ratio >= p->enter_stall_ratio)
		return "LeaveStallRatio must be less than EnterStallRatio";
	if (p->leave_swapin_rate >= p->enter_swapin_rate)
		return "LeaveSwapInRate must be less than EnterSwapInRate";
	return NULL;
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

/* Comparisons with what is not known are false. */
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
	/* The guest's own number: it may begin anew with a module, which looks like going back. */
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
	/* Zero is a device that was not read yet. */
	if (above(f, POLICY_READ_LATENCY_USEC) && f->value[POLICY_READ_LATENCY_USEC] < limit_usec)
		return true;
	/* Compressed memory in front of a disk shows only here. */
	return v->latency_n >= LATENCY_N_MIN && v->latency_usec < limit_usec;
}

/* What the vCPU must be protected from now; FOUND if nothing. */
static enum policy_rule danger(const struct policy_params *p, const struct policy_figures *f,
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
	/* One strike for each time the gate has to be closed, however long that lasts. */
	if (v->state != APF_STATE_OFF && v->strikes < STRIKES_MAX)
		v->strikes++;
	v->cool_until_usec = now_usec + cool_down_usec(p, v);
	v->cause = rule;
	v->rule = rule;
	v->rescue_level = 0;
	v->high_since_usec = v->low_since_usec = 0;
}

/* Since when there is pressure, or none. */
static void look(const struct policy_params *p, const struct policy_figures *f, uint64_t now_usec,
		 struct policy_vcpu *v)
{
	bool high = at_least(f, POLICY_WAIT_RATIO, p->enter_stall_ratio) ||
		    at_least(f, POLICY_SWAPIN_RATE, p->enter_swapin_rate);
	bool low = !(f->value[POLICY_WAIT_RATIO] > p->leave_stall_ratio) &&
		   !(f->value[POLICY_SWAPIN_RATE] > p->leave_swapin_rate);

	if (!high)
		v->high_since_usec = 0;
	else if (!v->high_since_usec)
		v->high_since_usec = now_usec;
	if (!low)
		v->low_since_usec = 0;
	else if (!v->low_since_usec)
		v->low_since_usec = now_usec;
}

static enum apf_state stay_closed(const struct policy_params *p, uint64_t now_usec,
				  struct policy_vcpu *v)
{
	if (!v->high_since_usec) {
		v->rule = POLICY_RULE_CALM;
		return APF_STATE_OFF;
	}
	if (now_usec < v->cool_until_usec) {
		v->rule = POLICY_RULE_COOL_DOWN;
		return APF_STATE_OFF;
	}
	if (now_usec - v->high_since_usec < usec(p->enter_hold_sec)) {
		v->rule = POLICY_RULE_RISING;
		return APF_STATE_OFF;
	}
	if (!v->left_usec || now_usec - v->left_usec >= usec(p->flap_window_sec))
		v->flaps = 0;
	else if (v->flaps < FLAPS_MAX)
		v->flaps++;
	v->rule = POLICY_RULE_PRESSURE;
	return APF_STATE_ON;
}

static uint64_t leave_hold_usec(const struct policy_params *p, const struct policy_vcpu *v)
{
	return usec(p->leave_hold_sec) << v->flaps;
}

static enum apf_state stay_open(const struct policy_params *p, uint64_t now_usec,
				struct policy_vcpu *v)
{
	if (now_usec - v->since_usec >= STRIKES_FORGIVEN * usec(p->cool_down_sec))
		v->strikes = 0;
	if (!v->low_since_usec) {
		v->rule = POLICY_RULE_PRESSURE;
		return APF_STATE_ON;
	}
	if (now_usec - v->low_since_usec < leave_hold_usec(p, v) ||
	    now_usec - v->since_usec < usec(p->min_dwell_sec)) {
		v->rule = POLICY_RULE_FALLING;
		return v->state;
	}
	v->left_usec = now_usec;
	v->rule = POLICY_RULE_CALM;
	return APF_STATE_OFF;
}

static enum apf_state decide_auto(const struct policy_params *p, const struct policy_figures *f,
				  uint64_t now_usec, struct policy_vcpu *v)
{
	enum policy_rule rule = danger(p, f, v);

	if (rule != POLICY_RULE_FOUND) {
		protect(p, rule, now_usec, v);
		return APF_STATE_OFF;
	}
	look(p, f, now_usec, v);
	if (swap_is_fast(p, f, v)) {
		if (v->state != APF_STATE_OFF)
			protect(p, POLICY_RULE_FAST_SWAP, now_usec, v);
		v->rule = POLICY_RULE_FAST_SWAP;
		return APF_STATE_OFF;
	}
	return v->state == APF_STATE_OFF ? stay_closed(p, now_usec, v) : stay_open(p, now_usec, v);
}

static enum apf_state state_of_mode(enum policy_mode mode)
{
	static const enum apf_state table[] = {
		[POLICY_MODE_ON] = APF_STATE_ON,
		[POLICY_MODE_PV] = APF_STATE_PV,
		[POLICY_MODE_OFF] = APF_STATE_OFF,
	};

	return table[mode];
}

void policy_found(struct policy_vcpu *v, enum apf_state state, uint64_t now_usec)
{
	v->state = state;
	v->rule = POLICY_RULE_FOUND;
	v->since_usec = now_usec;
	v->high_since_usec = v->low_since_usec = 0;
}

bool policy_decide(const struct policy_params *p, enum policy_mode mode,
		   const struct policy_figures *f, uint64_t now_usec, struct policy_vcpu *v)
{
	uint64_t dt_usec = v->last_usec && now_usec > v->last_usec ? now_usec - v->last_usec : 0;
	enum apf_state wanted;

	/* Two answers for the same moment would only disagree. */
	if (v->last_usec && now_usec < v->last_usec)
		return false;
	v->last_usec = now_usec;
	if (dt_usec > GAP_MAX_USEC)
		v->high_since_usec = v->low_since_usec = 0;
	if (mode != v->mode)
		v->high_since_usec = v->low_since_usec = 0;
	v->mode = mode;
	count_rescues(p, f, dt_usec, v);
	smooth_latency(f, v);

	if (mode == POLICY_MODE_AUTO) {
		wanted = decide_auto(p, f, now_usec, v);
	} else {
		wanted = state_of_mode(mode);
		v->rule = POLICY_RULE_MODE;
	}
	if (wanted == v->state)
		return false;
	v->state = wanted;
	v->since_usec = now_usec;
	return true;
}

bool policy_is_settled(const struct policy_vcpu *v)
{
	if (v->rule == POLICY_RULE_MODE)
		return true;
	return v->state == APF_STATE_OFF &&
	       (v->rule == POLICY_RULE_CALM || v->rule == POLICY_RULE_FAST_SWAP);
}

/* ---- in words ---- */

/* "12.3 % of the time waiting for pages (limit 5 %), 120 swap-ins/s (limit 200)", what is known. */
static void say_figures(const struct policy_figures *f, double ratio, double rate, char *text,
			size_t size)
{
	double waiting = f->value[POLICY_WAIT_RATIO], swapins = f->value[POLICY_SWAPIN_RATE];
	int len = 0;

	text[0] = '\0';
	if (!isnan(waiting))
		len = snprintf(text, size, "waits for pages %.1f %% of the time (limit %g %%)",
			       waiting * 100, ratio * 100);
	if (!isnan(swapins) && len >= 0 && (size_t)len < size)
		snprintf(text + len, size - (size_t)len, "%s%.1f swap-ins/s (limit %g)",
			 len ? ", " : "", swapins, rate);
	if (!text[0])
		snprintf(text, size, "nothing is known of its swap-ins");
}

static const char *danger_in_words(enum policy_rule cause)
{
	switch (cause) {
	case POLICY_RULE_POOL:
		return "an emergency node of the guest was in use";
	case POLICY_RULE_NESTED:
		return "a nested guest ran";
	case POLICY_RULE_FAST_SWAP:
		return "swap was too fast for it";
	default:
		return "waiting tasks of the guest were rescued too often";
	}
}

static void say_fast_swap(const struct policy_params *p, const struct policy_figures *f,
			  const struct policy_vcpu *v, char *text, size_t size)
{
	double read_usec = f->value[POLICY_READ_LATENCY_USEC];
	double limit_usec = fast_swap_limit_usec(p, v);

	if (above(f, POLICY_SWAP_SYNCHRONOUS))
		snprintf(text, size,
			 "all swap is synchronous (zram or the like): its reads end in the vCPU "
			 "itself, nothing is won");
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

void policy_reason(const struct policy_params *p, const struct policy_figures *f,
		   const struct policy_vcpu *v, char text[static POLICY_REASON_MAX])
{
	const size_t size = POLICY_REASON_MAX;
	char enter[128], leave[128];

	say_figures(f, p->enter_stall_ratio, p->enter_swapin_rate, enter, sizeof(enter));
	say_figures(f, p->leave_stall_ratio, p->leave_swapin_rate, leave, sizeof(leave));
	switch (v->rule) {
	case POLICY_RULE_FOUND:
		snprintf(text, size, "found like this, nothing was decided yet");
		return;
	case POLICY_RULE_MODE:
		snprintf(text, size, "mode %s is set", policy_mode_to_string(v->mode));
		return;
	case POLICY_RULE_CALM:
		if (v->left_usec && v->left_usec == v->last_usec)
			snprintf(text, size, "%s for %.0f s", leave,
				 (double)(v->last_usec - v->low_since_usec) / (double)USEC_PER_SEC);
		else
			snprintf(text, size, "%s", enter);
		return;
	case POLICY_RULE_RISING:
		snprintf(text, size, "%s, not yet for %g s", enter, p->enter_hold_sec);
		return;
	case POLICY_RULE_PRESSURE:
		snprintf(text, size, "%s", v->since_usec == v->last_usec ? enter : leave);
		return;
	case POLICY_RULE_FALLING:
		snprintf(text, size, "%s, not yet for %g s", leave,
			 (double)MAX_OF(leave_hold_usec(p, v), usec(p->min_dwell_sec)) /
				 (double)USEC_PER_SEC);
		return;
	case POLICY_RULE_COOL_DOWN:
		snprintf(text, size, "%s, closed for %.0f s more", danger_in_words(v->cause),
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
		say_fast_swap(p, f, v, text, size);
		return;
	}
}
