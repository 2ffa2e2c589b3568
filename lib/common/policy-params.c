/* SPDX-License-Identifier: GPL-2.0 */
#include "policy-params.h"

#include <errno.h>
#include <string.h>

#include "policy-mode.h"
#include "util.h"

#define KEY(n, f, ...)                                            \
	{                                                         \
		n, offsetof(struct policy_params, f), __VA_ARGS__ \
	}
/* clang-format off */
const struct policy_key policy_keys[POLICY_KEYS] = {
	/* Users notice stalls of 5 %, and the stalls then cost more than asynchronous faults do. */
	KEY("EnterStallRatio",	   enter_stall_ratio,	     0.05,  0.0001, 1),
	KEY("LeaveStallRatio",	   leave_stall_ratio,	     0.01,  0,	    1),
	/* With any device: at this rate of faults, the working set does not fit into memory. */
	KEY("EnterSwapInRate",	   enter_swapin_rate,	     200,   0.1,    1e9),
	KEY("LeaveSwapInRate",	   leave_swapin_rate,	     20,    0,	    1e9),
	/* Two readings a second apart must agree: reacts within two seconds, not to one peak. */
	KEY("EnterHoldSec",	   enter_hold_sec,	     0.5,   0,	    3600),
	KEY("LeaveHoldSec",	   leave_hold_sec,	     10,    0,	    86400),
	KEY("MinDwellSec",	   min_dwell_sec,	     5,	    0,	    86400),
	KEY("CoolDownSec",	   cool_down_sec,	     30,    0,	    86400),
	KEY("FlapWindowSec",	   flap_window_sec,	     120,   0,	    86400),
	KEY("MaxRescuesPerMinute", max_rescues_per_minute,   3,	    0,	    1e6),
	/* Cost of an asynchronous fault (exit, worker, interrupt) on current hardware. */
	KEY("MinReadLatencyUSec",  min_read_latency_usec,    30,    0,	    1e6),
};
/* clang-format on */
#undef KEY

static double *param(struct policy_params *p, const struct policy_key *key)
{
	return (double *)((char *)p + key->offset);
}

void policy_params_init(struct policy_params *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->rest = APF_STATE_ON;
	for (size_t i = 0; i < ELEMENTSOF(policy_keys); i++)
		*param(ret, &policy_keys[i]) = policy_keys[i].value;
}

static int parse_state(const char *s, enum apf_state *ret)
{
	enum policy_mode mode;

	if (policy_mode_from_string(s, &mode) < 0 || mode == POLICY_MODE_AUTO)
		return -EINVAL;
	*ret = policy_mode_state(mode);
	return 0;
}

/* Parses digits with at most one point, in every locale; accepts no exponent and no sign. */
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
	if (streq(key, POLICY_KEY_REST))
		return parse_state(value, &p->rest);
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
