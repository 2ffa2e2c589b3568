/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "util.h"

#define T0 (1000 * USEC_PER_SEC)

static struct policy_params rests(enum apf_state rest)
{
	struct policy_params p;

	policy_params_init(&p);
	p.rest = rest;
	return p;
}

/* With a gate that follows the pressure, so that the gate shows what the pressure is. */
static struct policy_params defaults(void)
{
	return rests(APF_STATE_OFF);
}

/* Waiting for pages for so much of the time, at so many swap-ins of 5 ms a second. */
static struct policy_figures figures(double wait, double rate)
{
	struct policy_figures f;

	policy_figures_init(&f);
	f.value[POLICY_WAIT_RATIO] = wait;
	f.value[POLICY_STALL_RATIO] = wait;
	f.value[POLICY_SWAPIN_RATE] = rate;
	f.value[POLICY_LATENCY_USEC] = rate > 0 ? 5000 : NAN;
	f.value[POLICY_READ_LATENCY_USEC] = 5000;
	f.value[POLICY_SWAP_SYNCHRONOUS] = 0;
	return f;
}

/* A second of such figures, @n times; returns how often the state changed. */
static int run(struct policy_vcpu *v, const struct policy_params *p, struct policy_figures f,
	       uint64_t *now_usec, int n)
{
	int changes = 0;

	for (int i = 0; i < n; i++) {
		*now_usec += USEC_PER_SEC;
		changes += policy_decide(p, POLICY_MODE_AUTO, &f, *now_usec, v);
	}
	return changes;
}

/* Gate open since ten seconds, and strong pressure. */
static struct policy_vcpu opened(const struct policy_params *p, uint64_t *now_usec)
{
	struct policy_vcpu v = {};

	*now_usec = T0;
	policy_gate_changed(&v, APF_STATE_OFF, *now_usec);
	assert_int_equal(run(&v, p, figures(0.5, 100), now_usec, 10), 1);
	assert_int_equal(v.state, APF_STATE_ON);
	return v;
}

static const char *reason(const struct policy_params *p, struct policy_figures f,
			  const struct policy_vcpu *v)
{
	static char text[POLICY_REASON_MAX];

	policy_reason(p, &f, v, text);
	return text;
}

/* ---- parameters ---- */

static void test_defaults_are_valid(void **state)
{
	struct policy_params p = defaults();

	assert_null(policy_params_check(&p));
	for (int i = 0; i < POLICY_KEYS; i++) {
		assert_non_null(policy_keys[i].name);
		assert_true(policy_keys[i].value >= policy_keys[i].min);
		assert_true(policy_keys[i].value <= policy_keys[i].max);
	}
}

static void test_set(void **state)
{
	static const struct {
		const char *key, *value;
		int expected;
	} table[] = {
		{ "EnterStallRatio", "0.25", 0 },
		{ "EnterStallRatio", "1", 0 },
		{ "EnterStallRatio", ".5", 0 },
		{ "EnterStallRatio", "5.", -ERANGE },
		{ "EnterStallRatio", "1.0001", -ERANGE },
		{ "EnterStallRatio", "0", -ERANGE },
		{ "EnterStallRatio", "-0.1", -EINVAL },
		{ "EnterStallRatio", "+0.1", -EINVAL },
		{ "EnterStallRatio", "1e-1", -EINVAL },
		{ "EnterStallRatio", "0,1", -EINVAL },
		{ "EnterStallRatio", "", -EINVAL },
		{ "EnterStallRatio", ".", -EINVAL },
		{ "EnterStallRatio", "0.1.2", -EINVAL },
		{ "EnterStallRatio", "nan", -EINVAL },
		{ "EnterStallRatio", " 0.1", -EINVAL },
		{ "EnterStallRatio", "0.1 ", -EINVAL },
		{ "EnterStallRatio", "0x1", -EINVAL },
		{ "LeaveHoldSec", "0", 0 },
		{ "LeaveHoldSec", "86400", 0 },
		{ "LeaveHoldSec", "86401", -ERANGE },
		{ "LeaveHoldSec", "999999999999999999999999999999", -ERANGE },
		{ "LeaveHoldSec", "0.00000000000000000000000000001", -ERANGE },
		{ "Rest", "pv", 0 },
		{ "Rest", "auto", -EINVAL },
		{ "Rest", "", -EINVAL },
		{ "Rest", "1", -EINVAL },
		{ "enterstallratio", "0.1", -ENOENT },
		{ "", "0.1", -ENOENT },
	};
	struct policy_params p = defaults();

	for (size_t i = 0; i < ELEMENTSOF(table); i++)
		assert_int_equal(policy_params_set(&p, table[i].key, table[i].value),
				 table[i].expected);
	assert_float_equal(p.enter_stall_ratio, 0.5, 1e-12);
	assert_float_equal(p.leave_hold_sec, 86400, 0);
	assert_int_equal(p.rest, APF_STATE_PV);
	policy_params_init(&p);
	assert_int_equal(p.rest, APF_STATE_ON);
}

static void test_params_must_fit_together(void **state)
{
	struct policy_params p = defaults();

	p.leave_stall_ratio = p.enter_stall_ratio;
	assert_non_null(strstr(policy_params_check(&p), "LeaveStallRatio"));
	p = defaults();
	p.leave_swapin_rate = p.enter_swapin_rate + 1;
	assert_non_null(strstr(policy_params_check(&p), "LeaveSwapInRate"));
}

static void test_names(void **state)
{
	static const char *const states[] = { "off", "pv", "on" };
	enum policy_mode mode;

	for (int i = 0; i <= POLICY_MODE_MAX; i++) {
		assert_int_equal(policy_mode_from_string(policy_mode_to_string(i), &mode), 0);
		assert_int_equal(mode, i);
	}
	assert_int_equal(policy_mode_from_string("default", &mode), -EINVAL);
	assert_int_equal(policy_mode_from_string("", &mode), -EINVAL);
	for (int i = 0; i <= POLICY_RULE_MAX; i++)
		assert_non_null(policy_rule_to_string(i));
	for (int i = 0; i <= POLICY_FIGURE_MAX; i++)
		assert_non_null(policy_figure_names[i]);
	for (int i = 0; i <= APF_STATE_MAX; i++)
		assert_string_equal(policy_mode_to_string(policy_mode_of_state(i)), states[i]);
}

/* ---- entering and leaving ---- */

/* One interval of @wait and @rate, then another: is the gate open? */
static void test_thresholds(void **state)
{
	static const struct {
		double wait, rate;
		bool opens;
	} table[] = {
		{ 0, 0, false },    { 0.0499, 100, false },   { 0.05, 100, true },
		{ 0.05, 0, true },  { 0.0499, 199.9, false }, { 0.0499, 200, true },
		{ 1, 10000, true }, { NAN, 200, true },	      { 0.06, NAN, true },
	};
	struct policy_params p = defaults();

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		struct policy_vcpu v = {};
		uint64_t now = T0;

		policy_gate_changed(&v, APF_STATE_OFF, now);
		assert_int_equal(run(&v, &p, figures(table[i].wait, table[i].rate), &now, 2),
				 table[i].opens);
		assert_int_equal(v.state, table[i].opens ? APF_STATE_ON : APF_STATE_OFF);
		assert_int_equal(v.rule, table[i].opens ? POLICY_RULE_PRESSURE : POLICY_RULE_CALM);
	}
}

static void test_one_look_is_not_enough(void **state)
{
	struct policy_params p = defaults();
	struct policy_vcpu v = {};
	uint64_t now = T0;

	policy_gate_changed(&v, APF_STATE_OFF, now);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(run(&v, &p, figures(0.9, 500), &now, 1), 0);
		assert_int_equal(v.rule, POLICY_RULE_RISING);
		assert_int_equal(run(&v, &p, figures(0, 0), &now, 1), 0);
		assert_int_equal(v.rule, POLICY_RULE_CALM);
	}
}

/* Exactly EnterHoldSec, and a microsecond less. */
static void test_enter_hold(void **state)
{
	struct policy_params p = defaults();
	struct policy_figures f = figures(0.5, 100);
	struct policy_vcpu v = {};

	policy_gate_changed(&v, APF_STATE_OFF, T0);
	assert_false(policy_decide(&p, POLICY_MODE_AUTO, &f, T0 + 1, &v));
	assert_false(policy_decide(&p, POLICY_MODE_AUTO, &f, T0 + 500000, &v));
	assert_true(policy_decide(&p, POLICY_MODE_AUTO, &f, T0 + 500001, &v));

	p.enter_hold_sec = 0;
	memset(&v, 0, sizeof(v));
	policy_gate_changed(&v, APF_STATE_OFF, T0);
	assert_true(policy_decide(&p, POLICY_MODE_AUTO, &f, T0, &v));
}

static void test_leave_hold(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);

	assert_int_equal(run(&v, &p, figures(0.01, 20), &now, 10), 0);
	assert_int_equal(v.rule, POLICY_RULE_FALLING);
	assert_int_equal(run(&v, &p, figures(0.01, 20), &now, 1), 1);
	assert_int_equal(v.state, APF_STATE_OFF);
	assert_int_equal(v.rule, POLICY_RULE_CALM);
	assert_non_null(strstr(reason(&p, figures(0.01, 20), &v), "for 10 s"));
}

/* Between the thresholds a gate stays as it is, either way. */
static void test_between(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);

	assert_int_equal(run(&v, &p, figures(0.03, 100), &now, 300), 0);
	assert_int_equal(run(&v, &p, figures(0.0, 20.1), &now, 300), 0);
	assert_int_equal(run(&v, &p, figures(0.011, 0), &now, 300), 0);
	assert_int_equal(v.state, APF_STATE_ON);

	memset(&v, 0, sizeof(v));
	policy_gate_changed(&v, APF_STATE_OFF, now);
	assert_int_equal(run(&v, &p, figures(0.03, 100), &now, 300), 0);
	assert_int_equal(v.state, APF_STATE_OFF);
}

static void test_dwell(void **state)
{
	struct policy_params p = defaults();
	struct policy_vcpu v = {};
	uint64_t now = T0;

	p.leave_hold_sec = 1;
	p.min_dwell_sec = 20;
	policy_gate_changed(&v, APF_STATE_OFF, now);
	assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 2), 1);
	assert_int_equal(run(&v, &p, figures(0, 0), &now, 19), 0);
	assert_int_equal(run(&v, &p, figures(0, 0), &now, 1), 1);
}

/* With APF on nothing stalls: that alone must not close the gate. */
static void test_success_is_not_calm(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0.4, 80);

	f.value[POLICY_STALL_RATIO] = 0;
	assert_int_equal(run(&v, &p, f, &now, 600), 0);
	assert_int_equal(v.state, APF_STATE_ON);
}

/* A restarted daemon finds a gate open and leaves it so while there is reason to. */
static void test_found_open(void **state)
{
	struct policy_params p = defaults();
	struct policy_vcpu v = {};
	uint64_t now = T0;

	policy_gate_changed(&v, APF_STATE_ON, now);
	assert_string_equal(reason(&p, figures(0, 0), &v), "set before, nothing was decided yet");
	assert_int_equal(run(&v, &p, figures(0.3, 100), &now, 60), 0);
	assert_int_equal(v.state, APF_STATE_ON);
	assert_int_equal(run(&v, &p, figures(0, 0), &now, 10), 0);
	assert_int_equal(run(&v, &p, figures(0, 0), &now, 1), 1);
	assert_int_equal(v.state, APF_STATE_OFF);
}

static void test_gap_is_no_proof(void **state)
{
	struct policy_params p = defaults();
	struct policy_vcpu v = {};
	uint64_t now = T0;

	policy_gate_changed(&v, APF_STATE_OFF, now);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(run(&v, &p, figures(0.9, 500), &now, 1), 0);
		now += 60 * USEC_PER_SEC;
	}
}

static void test_time_does_not_go_back(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now), before = v;
	struct policy_figures f = figures(0, 0);

	assert_false(policy_decide(&p, POLICY_MODE_OFF, &f, now - 1, &v));
	assert_memory_equal(&v, &before, sizeof(v));
}

/* ---- flapping ---- */

/* Each time pressure is back soon, closing takes twice as long, up to eight times. */
static void test_flapping_slows_down(void **state)
{
	struct policy_params p = defaults();
	struct policy_vcpu v = {};
	uint64_t now = T0;
	int expected[] = { 10, 20, 40, 80, 80 };

	policy_gate_changed(&v, APF_STATE_OFF, now);
	for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
		assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 2), 1);
		assert_int_equal(run(&v, &p, figures(0, 0), &now, expected[i]), 0);
		assert_int_equal(run(&v, &p, figures(0, 0), &now, 1), 1);
		assert_int_equal(v.state, APF_STATE_OFF);
	}
	/* Long ago is forgotten. */
	run(&v, &p, figures(0, 0), &now, 120);
	assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 2), 1);
	assert_int_equal(run(&v, &p, figures(0, 0), &now, 11), 1);
}

/* ---- protection ---- */

static const enum policy_figure dangers[] = { POLICY_POOL_IN_USE, POLICY_NESTED_RATE };
static const enum policy_rule danger_rules[] = { POLICY_RULE_POOL, POLICY_RULE_NESTED };

static void test_protected_at_once(void **state)
{
	struct policy_params p = defaults();

	for (size_t i = 0; i < ELEMENTSOF(dangers); i++) {
		uint64_t now;
		struct policy_vcpu v = opened(&p, &now);
		struct policy_figures f = figures(0.5, 100);

		f.value[dangers[i]] = 1;
		now++;
		assert_true(policy_decide(&p, POLICY_MODE_AUTO, &f, now, &v));
		assert_int_equal(v.state, APF_STATE_OFF);
		assert_int_equal(v.rule, danger_rules[i]);
		/* As long as it lasts, and the cool-down after it, however high the pressure. */
		assert_int_equal(run(&v, &p, f, &now, 100), 0);
		assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 29), 0);
		assert_int_equal(v.rule, POLICY_RULE_COOL_DOWN);
		assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 1), 1);
		assert_int_equal(v.state, APF_STATE_ON);
		/* The next time it is twice as long. */
		assert_int_equal(run(&v, &p, f, &now, 1), 1);
		assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 59), 0);
		assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 1), 1);
	}
}

static void test_strikes_are_forgiven(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0.5, 100);

	f.value[POLICY_POOL_IN_USE] = 1;
	run(&v, &p, f, &now, 1);
	assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 301 + 30), 1);
	assert_int_equal(v.strikes, 0);
}

/* Somebody's word is kept; the module closes a gate by itself while it must. */
static void test_fixed_modes_are_fixed(void **state)
{
	static const enum policy_mode modes[] = { POLICY_MODE_ON, POLICY_MODE_PV, POLICY_MODE_OFF };
	static const enum apf_state states[] = { APF_STATE_ON, APF_STATE_PV, APF_STATE_OFF };
	struct policy_params p = defaults();

	for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
		struct policy_figures f = figures(0.5, 100);
		struct policy_vcpu v = {};

		f.value[POLICY_POOL_IN_USE] = f.value[POLICY_NESTED_RATE] = 3;
		f.value[POLICY_SWAP_SYNCHRONOUS] = 1;
		policy_gate_changed(&v, states[(i + 1) % 3], T0);
		assert_true(policy_decide(&p, modes[i], &f, T0 + 1, &v));
		assert_int_equal(v.state, states[i]);
		assert_int_equal(v.rule, POLICY_RULE_MODE);
		assert_false(policy_decide(&p, modes[i], &f, T0 + 2, &v));
		assert_non_null(strstr(reason(&p, f, &v), policy_mode_to_string(modes[i])));
	}
}

/* What was seen before somebody set a mode is over when the policy decides again. */
static void test_back_to_auto(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0, 0);

	assert_int_equal(run(&v, &p, f, &now, 5), 0);
	for (int i = 0; i < 60; i++) {
		now += USEC_PER_SEC;
		assert_false(policy_decide(&p, POLICY_MODE_ON, &f, now, &v));
	}
	assert_int_equal(run(&v, &p, f, &now, 10), 0);
	assert_int_equal(run(&v, &p, f, &now, 1), 1);
}

static void test_rescues(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0.5, 100);

	/* The first total says nothing: it may be of last week. */
	f.value[POLICY_RESCUES] = UINT32_MAX - 1.0;
	assert_int_equal(run(&v, &p, f, &now, 1), 0);
	/* Three at once are allowed, over the wrap; the fourth is too many. */
	f.value[POLICY_RESCUES] = 1;
	assert_int_equal(run(&v, &p, f, &now, 1), 0);
	f.value[POLICY_RESCUES] = 2;
	assert_int_equal(run(&v, &p, f, &now, 1), 1);
	assert_int_equal(v.state, APF_STATE_OFF);
	assert_int_equal(v.rule, POLICY_RULE_RESCUES);
	assert_int_equal(run(&v, &p, f, &now, 30), 1);
	assert_int_equal(v.state, APF_STATE_ON);
}

static void test_few_rescues_are_no_alarm(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0.5, 100);

	for (int i = 0; i < 60; i++) {
		f.value[POLICY_RESCUES] = i;
		assert_int_equal(run(&v, &p, f, &now, 20), 0);
	}
	/* The guest loads its module anew: the total begins anew, that is not 4 billion. */
	f.value[POLICY_RESCUES] = 0;
	assert_int_equal(run(&v, &p, f, &now, 5), 0);
	f.value[POLICY_RESCUES] = NAN;
	assert_int_equal(run(&v, &p, f, &now, 5), 0);
	f.value[POLICY_RESCUES] = 1000;
	assert_int_equal(run(&v, &p, f, &now, 5), 0);
}

/* ---- the state of rest ---- */

/* Pressure comes and goes, is recorded, and changes no gate. */
static void test_rest(void **state)
{
	static const enum apf_state states[] = { APF_STATE_ON, APF_STATE_PV };

	for (size_t i = 0; i < ELEMENTSOF(states); i++) {
		struct policy_params p = rests(states[i]);
		struct policy_vcpu v = {};
		uint64_t now = T0;

		/* What an earlier apfd left closed is opened at once. */
		policy_gate_changed(&v, APF_STATE_OFF, now);
		assert_int_equal(run(&v, &p, figures(0, 0), &now, 1), 1);
		assert_int_equal(v.state, states[i]);
		assert_int_equal(v.rule, POLICY_RULE_CALM);
		assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 1), 0);
		assert_int_equal(v.rule, POLICY_RULE_RISING);
		assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 60), 1);
		assert_int_equal(v.rule, POLICY_RULE_PRESSURE);
		assert_true(v.pressure);
		assert_int_equal(run(&v, &p, figures(0, 0), &now, 10), 0);
		assert_int_equal(v.rule, POLICY_RULE_FALLING);
		assert_int_equal(run(&v, &p, figures(0, 0), &now, 60), 1);
		assert_int_equal(v.rule, POLICY_RULE_CALM);
		assert_false(v.pressure);
		assert_int_equal(v.state, states[i]);
		assert_true(policy_is_settled(&v));
	}
}

/* For each cause: closed at once, for a time that grows, whether there is pressure or not. */
static void test_closed_for_cause(void **state)
{
	struct policy_params p = rests(APF_STATE_ON);

	for (size_t i = 0; i < ELEMENTSOF(dangers); i++) {
		struct policy_figures calm = figures(0, 0), f = figures(0, 0);
		struct policy_vcpu v = {};
		uint64_t now = T0;

		policy_gate_changed(&v, APF_STATE_ON, now);
		f.value[dangers[i]] = 1;
		assert_int_equal(run(&v, &p, calm, &now, 10), 0);
		assert_int_equal(run(&v, &p, f, &now, 1), 1);
		assert_int_equal(v.state, APF_STATE_OFF);
		assert_int_equal(v.rule, danger_rules[i]);
		assert_int_equal(run(&v, &p, calm, &now, 29), 0);
		assert_int_equal(v.rule, POLICY_RULE_COOL_DOWN);
		assert_false(policy_is_settled(&v));
		assert_int_equal(run(&v, &p, calm, &now, 1), 1);
		assert_int_equal(v.state, APF_STATE_ON);
		assert_int_equal(run(&v, &p, f, &now, 1), 1);
		assert_int_equal(run(&v, &p, calm, &now, 59), 0);
		assert_int_equal(run(&v, &p, calm, &now, 1), 1);
		/* After ten cool-downs without a cause the first is short again. */
		run(&v, &p, calm, &now, 301);
		assert_int_equal(run(&v, &p, f, &now, 1), 1);
		assert_int_equal(run(&v, &p, calm, &now, 30), 1);
		assert_int_equal(v.state, APF_STATE_ON);
	}
}

/* Pressure begins and ends while the gate is closed: recorded all the same. */
static void test_pressure_while_closed(void **state)
{
	struct policy_params p = rests(APF_STATE_ON);
	struct policy_figures f = figures(0.5, 100);
	struct policy_vcpu v = {};
	uint64_t now = T0;

	policy_gate_changed(&v, APF_STATE_ON, now);
	f.value[POLICY_NESTED_RATE] = 1;
	assert_int_equal(run(&v, &p, f, &now, 1), 1);
	assert_false(v.pressure);
	assert_int_equal(run(&v, &p, f, &now, 5), 1);
	assert_true(v.pressure);
	assert_int_equal(v.rule, POLICY_RULE_NESTED);
	f = figures(0, 0);
	f.value[POLICY_NESTED_RATE] = 1;
	assert_int_equal(run(&v, &p, f, &now, 20), 1);
	assert_false(v.pressure);
}

static void test_rest_and_fast_swap(void **state)
{
	struct policy_params p = rests(APF_STATE_ON);
	struct policy_figures f = figures(0, 0);
	struct policy_vcpu v = {};
	uint64_t now = T0;

	policy_gate_changed(&v, APF_STATE_ON, now);
	f.value[POLICY_SWAP_SYNCHRONOUS] = 1;
	assert_int_equal(run(&v, &p, f, &now, 100), 1);
	assert_int_equal(v.state, APF_STATE_OFF);
	assert_int_equal(v.rule, POLICY_RULE_FAST_SWAP);
	assert_true(policy_is_settled(&v));
	/* The cool-down began when the gate was closed. */
	assert_int_equal(run(&v, &p, figures(0, 0), &now, 1), 1);
	assert_int_equal(v.state, APF_STATE_ON);
}

/* A gate changed by hand, and the state of rest changed under it. */
static void test_rest_changes(void **state)
{
	struct policy_params on = rests(APF_STATE_ON), off = rests(APF_STATE_OFF);
	struct policy_vcpu v = {};
	uint64_t now = T0;

	policy_gate_changed(&v, APF_STATE_ON, now);
	assert_int_equal(run(&v, &on, figures(0, 0), &now, 10), 0);
	assert_int_equal(run(&v, &off, figures(0, 0), &now, 60), 1);
	assert_int_equal(v.state, APF_STATE_OFF);
	assert_int_equal(run(&v, &on, figures(0, 0), &now, 1), 1);
	assert_int_equal(v.state, APF_STATE_ON);
	policy_gate_changed(&v, APF_STATE_PV, now);
	assert_int_equal(run(&v, &on, figures(0, 0), &now, 1), 1);
	assert_int_equal(v.state, APF_STATE_ON);
}

/* What is not known is not calm: the gate stays, for a minute, then it is at rest. */
static void test_unknown(void **state)
{
	static const enum apf_state states[] = { APF_STATE_OFF, APF_STATE_PV, APF_STATE_ON };
	struct policy_figures none;

	policy_figures_init(&none);
	/* Those of the host and of the group say nothing of the vCPU. */
	none.value[POLICY_SWAP_SYNCHRONOUS] = 1;
	none.value[POLICY_SOME_AVG10] = 0;
	for (size_t rest = 0; rest < ELEMENTSOF(states); rest++)
		for (size_t i = 0; i < ELEMENTSOF(states); i++) {
			struct policy_params p = rests(states[rest]);
			struct policy_vcpu v = {};
			uint64_t now = T0;

			policy_gate_changed(&v, states[i], now);
			assert_int_equal(run(&v, &p, none, &now, 59), 0);
			assert_int_equal(v.state, states[i]);
			assert_int_equal(v.rule, POLICY_RULE_UNKNOWN);
			assert_false(policy_is_settled(&v));
			assert_non_null(strstr(reason(&p, none, &v), "at most 1 s more"));
			assert_int_equal(run(&v, &p, none, &now, 60), rest != i);
			assert_int_equal(v.state, states[rest]);
			assert_non_null(strstr(reason(&p, none, &v), "the state of rest"));
		}
}

/* ---- swap that is too fast ---- */

static void test_synchronous_swap(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0.5, 5000);

	f.value[POLICY_SWAP_SYNCHRONOUS] = 1;
	assert_int_equal(run(&v, &p, f, &now, 1), 1);
	assert_int_equal(v.state, APF_STATE_OFF);
	assert_int_equal(v.rule, POLICY_RULE_FAST_SWAP);
	assert_non_null(strstr(reason(&p, f, &v), "zram"));
	assert_int_equal(run(&v, &p, f, &now, 600), 0);

	/* Said of a calm VM, too. */
	f = figures(0, 0);
	f.value[POLICY_SWAP_SYNCHRONOUS] = 1;
	run(&v, &p, f, &now, 1);
	assert_int_equal(v.rule, POLICY_RULE_FAST_SWAP);
}

static void test_read_latency(void **state)
{
	static const struct {
		double usec;
		bool opens;
	} table[] = {
		{ 0, true },	 { NAN, true }, { 1, false },	{ 30, false },
		{ 44.9, false }, { 45, true },	{ 5000, true },
	};
	struct policy_params p = defaults();

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		struct policy_figures f = figures(0.5, 1000);
		struct policy_vcpu v = {};
		uint64_t now = T0;

		f.value[POLICY_READ_LATENCY_USEC] = table[i].usec;
		policy_gate_changed(&v, APF_STATE_OFF, now);
		assert_int_equal(run(&v, &p, f, &now, 2), table[i].opens);
	}
}

/* A latency around the limit must not open and close the gate all the time. */
static void test_read_latency_has_hysteresis(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0.5, 1000);
	int changes = 0;

	for (int i = 0; i < 300; i++) {
		f.value[POLICY_READ_LATENCY_USEC] = i % 2 ? 29 : 40;
		changes += run(&v, &p, f, &now, 1);
	}
	assert_int_equal(changes, 1);
}

/* Closed for that, it is opened after a cool-down only, however slow swap is by then. */
static void test_fast_swap_cools_down(void **state)
{
	struct policy_params p = defaults();
	uint64_t now;
	struct policy_vcpu v = opened(&p, &now);
	struct policy_figures f = figures(0.5, 1000);

	f.value[POLICY_READ_LATENCY_USEC] = 10;
	assert_int_equal(run(&v, &p, f, &now, 1), 1);
	assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 29), 0);
	assert_int_equal(v.rule, POLICY_RULE_COOL_DOWN);
	assert_non_null(strstr(reason(&p, figures(0.5, 100), &v), "too fast"));
	assert_int_equal(run(&v, &p, figures(0.5, 100), &now, 1), 1);
}

/* A disk behind compressed memory: the device is slow, the swap-ins are not. */
static void test_swapin_latency(void **state)
{
	struct policy_params p = defaults();
	struct policy_figures f = figures(0.06, 4000);
	struct policy_vcpu v = {};
	uint64_t now = T0;

	f.value[POLICY_LATENCY_USEC] = 15;
	policy_gate_changed(&v, APF_STATE_OFF, now);
	run(&v, &p, f, &now, 20);
	assert_int_equal(v.state, APF_STATE_OFF);
	assert_int_equal(v.rule, POLICY_RULE_FAST_SWAP);
	assert_non_null(strstr(reason(&p, f, &v), "15.0 us"));
}

/* ---- whatever comes ---- */

static uint64_t seed;

static double random_ratio(void)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (double)(seed >> 11) / (double)(UINT64_C(1) << 53);
}

static struct policy_figures random_figures(bool with_dangers)
{
	struct policy_figures f = figures(0, 0);
	double kind = random_ratio();

	/* Thresholds themselves come up often. */
	if (kind < 0.3)
		f = figures(random_ratio() < 0.5 ? 0.05 : 0.01, random_ratio() < 0.5 ? 200 : 20);
	else if (kind < 0.6)
		f = figures(random_ratio(), 1000 * random_ratio());
	f.value[POLICY_READ_LATENCY_USEC] = 100 + 10000 * random_ratio();
	if (f.value[POLICY_SWAPIN_RATE] > 0)
		f.value[POLICY_LATENCY_USEC] = 100 + 10000 * random_ratio();
	if (random_ratio() < 0.05)
		policy_figures_init(&f);
	if (with_dangers && random_ratio() < 0.1)
		f.value[POLICY_POOL_IN_USE] = 2;
	if (with_dangers && random_ratio() < 0.1)
		f.value[POLICY_NESTED_RATE] = 10;
	if (with_dangers && random_ratio() < 0.05)
		f.value[POLICY_SWAP_SYNCHRONOUS] = 1;
	if (with_dangers)
		f.value[POLICY_RESCUES] = (double)(uint32_t)(1e6 * random_ratio());
	return f;
}

/*
 * Opening and closing again takes at least the leave hold, after a danger the
 * cool-down: that bounds how often a gate changes, whatever the figures.
 */
static void test_random_histories(void **state)
{
	char text[POLICY_REASON_MAX];

	for (int history = 0; history < 600; history++) {
		struct policy_params p = rests(history % 3 ? APF_STATE_OFF : APF_STATE_ON);
		bool with_dangers = history % 2;
		uint64_t now = T0, begin = T0;
		struct policy_vcpu v = {};
		int changes = 0;

		seed = (uint64_t)history + 1;
		policy_gate_changed(&v, random_ratio() < 0.5 ? APF_STATE_ON : APF_STATE_OFF, now);
		for (int i = 0; i < 2000; i++) {
			struct policy_figures f = random_figures(with_dangers);
			enum apf_state before = v.state;
			bool changed, pressure = v.pressure;

			/* Now and then a late tick, or one that pressure brought forward. */
			now += (uint64_t)((random_ratio() < 0.1 ? 3 : 1) * 1e6 *
					  (0.05 + random_ratio()));
			changed = policy_decide(&p, POLICY_MODE_AUTO, &f, now, &v);
			changes += changed;
			if (p.rest == APF_STATE_OFF)
				assert_int_equal(changed, v.state != before);
			else
				assert_int_equal(changed,
						 v.state != before || v.pressure != pressure);
			assert_true(v.state != APF_STATE_PV);
			if (f.value[POLICY_POOL_IN_USE] > 0 || f.value[POLICY_NESTED_RATE] > 0 ||
			    f.value[POLICY_SWAP_SYNCHRONOUS] > 0)
				assert_int_equal(v.state, APF_STATE_OFF);
			if (v.state != before)
				assert_int_equal(v.since_usec, now);
			policy_reason(&p, &f, &v, text);
			assert_true(strlen(text) > 10 && strlen(text) < POLICY_REASON_MAX - 1);
		}
		if (p.rest == APF_STATE_OFF)
			assert_true(changes <= 2 + 2 * (int)((now - begin) / (10 * USEC_PER_SEC)));
		else
			/* gates as above, and beside them the pressure */
			assert_true(changes <= 4 + 4 * (int)((now - begin) / (10 * USEC_PER_SEC)));
	}
}

/* One onset, one end: two changes, whatever noise is on top of it. */
static void test_noisy_onset(void **state)
{
	struct policy_params p = defaults();

	for (int history = 0; history < 200; history++) {
		struct policy_vcpu v = {};
		uint64_t now = T0;
		int changes = 0;

		seed = (uint64_t)history + 1000;
		policy_gate_changed(&v, APF_STATE_OFF, now);
		changes += run(&v, &p, figures(0, 0), &now, 20);
		assert_int_equal(changes, 0);
		for (int i = 0; i < 60; i++) {
			double noise = 0.5 + random_ratio();

			changes +=
				run(&v, &p, figures(MIN_OF(0.3 * noise, 1), 60 * noise), &now, 1);
			if (i == 1)
				assert_int_equal(v.state, APF_STATE_ON);
		}
		for (int i = 0; i < 60; i++)
			changes += run(&v, &p, figures(0.01 * random_ratio(), 20 * random_ratio()),
				       &now, 1);
		assert_int_equal(changes, 2);
		assert_int_equal(v.state, APF_STATE_OFF);
	}
}

static void test_reasons_name_figures(void **state)
{
	struct policy_params p = defaults();
	struct policy_vcpu v = {};
	uint64_t now = T0;
	const char *text;

	policy_gate_changed(&v, APF_STATE_OFF, now);
	run(&v, &p, figures(0.234, 47), &now, 2);
	text = reason(&p, figures(0.234, 47), &v);
	assert_non_null(strstr(text, "23.4 %"));
	assert_non_null(strstr(text, "(limit 5 %)"));
	assert_non_null(strstr(text, "47.0 swap-ins/s"));
	/* It fits into what the module hands on. */
	assert_true(strlen(text) <= APF_REASON_MAX - strlen("policy: pressure: "));
	run(&v, &p, figures(0.001, 2), &now, 3);
	assert_int_equal(v.rule, POLICY_RULE_FALLING);
	text = reason(&p, figures(0.001, 2), &v);
	assert_non_null(strstr(text, "(limit 1 %)"));
	assert_non_null(strstr(text, "not yet for 10 s"));
	memset(&v, 0, sizeof(v));
	policy_gate_changed(&v, APF_STATE_OFF, now);
	run(&v, &p, figures(NAN, NAN), &now, 1);
	assert_non_null(strstr(reason(&p, figures(NAN, NAN), &v), "cannot be read"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_valid),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_params_must_fit_together),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_one_look_is_not_enough),
		cmocka_unit_test(test_enter_hold),
		cmocka_unit_test(test_leave_hold),
		cmocka_unit_test(test_between),
		cmocka_unit_test(test_dwell),
		cmocka_unit_test(test_success_is_not_calm),
		cmocka_unit_test(test_found_open),
		cmocka_unit_test(test_gap_is_no_proof),
		cmocka_unit_test(test_time_does_not_go_back),
		cmocka_unit_test(test_flapping_slows_down),
		cmocka_unit_test(test_protected_at_once),
		cmocka_unit_test(test_strikes_are_forgiven),
		cmocka_unit_test(test_fixed_modes_are_fixed),
		cmocka_unit_test(test_back_to_auto),
		cmocka_unit_test(test_rescues),
		cmocka_unit_test(test_few_rescues_are_no_alarm),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_closed_for_cause),
		cmocka_unit_test(test_pressure_while_closed),
		cmocka_unit_test(test_rest_and_fast_swap),
		cmocka_unit_test(test_rest_changes),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_synchronous_swap),
		cmocka_unit_test(test_read_latency),
		cmocka_unit_test(test_read_latency_has_hysteresis),
		cmocka_unit_test(test_fast_swap_cools_down),
		cmocka_unit_test(test_swapin_latency),
		cmocka_unit_test(test_random_histories),
		cmocka_unit_test(test_noisy_onset),
		cmocka_unit_test(test_reasons_name_figures),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
