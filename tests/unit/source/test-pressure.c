/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <math.h>
#include <unistd.h>

#include "pressure.h"

#define ALL                                                                                   \
	(CGROUP_CURRENT | CGROUP_SWAP | CGROUP_MAJOR_FAULTS | CGROUP_REFAULTS | CGROUP_SOME | \
	 CGROUP_FULL)

static struct pressure_reading reading(uint64_t faults, uint64_t refaults)
{
	return (struct pressure_reading){
		.facts = {
			.known = ALL,
			.current_bytes = 1000,
			.swap_bytes = 2000,
			.major_faults = faults,
			.refaults = refaults,
			.some_avg10 = 20,
			.full_avg10 = 10,
		},
		.stall_ratio = 0.25,
		.waiting = 0.5,
		.swapin_rate = 80,
	};
}

static void test_first_has_no_rates(void **state)
{
	struct pressure_reading r = reading(500, 100);
	double f[PRESSURE_FIGURE_MAX + 1];
	struct pressure p = {};

	pressure_update(&p, &r, USEC_PER_SEC, f);
	assert_float_equal(f[PRESSURE_MEMORY_BYTES], 1000, 0);
	assert_float_equal(f[PRESSURE_SWAP_BYTES], 2000, 0);
	assert_float_equal(f[PRESSURE_SOME_AVG10], 20, 0);
	assert_float_equal(f[PRESSURE_FULL_AVG10], 10, 0);
	assert_float_equal(f[PRESSURE_STALL_RATIO], 0.25, 0);
	/* The module's, because the group does not say. */
	assert_float_equal(f[PRESSURE_SWAPIN_RATE], 80, 0);
	assert_true(isnan(f[PRESSURE_MAJOR_FAULT_RATE]));
	assert_true(isnan(f[PRESSURE_REFAULT_RATE]));
	assert_true(isnan(f[PRESSURE_TREND]));
}

static void test_rates(void **state)
{
	struct pressure_reading r = reading(500, 100);
	double f[PRESSURE_FIGURE_MAX + 1];
	struct pressure p = {};

	pressure_update(&p, &r, USEC_PER_SEC, f);
	r = reading(700, 150);
	r.facts.known |= CGROUP_SWAPINS | CGROUP_SWAPOUTS;
	r.facts.swapins = 10;
	r.facts.swapouts = 30;
	pressure_update(&p, &r, 3 * USEC_PER_SEC, f);
	assert_float_equal(f[PRESSURE_MAJOR_FAULT_RATE], 100, 1e-9);
	assert_float_equal(f[PRESSURE_REFAULT_RATE], 25, 1e-9);
	/* Only now known of the group: a rate comes with the next reading. */
	assert_float_equal(f[PRESSURE_SWAPIN_RATE], 80, 0);
	r.facts.swapins = 16;
	pressure_update(&p, &r, 5 * USEC_PER_SEC, f);
	assert_float_equal(f[PRESSURE_SWAPIN_RATE], 3, 1e-9);
	assert_float_equal(f[PRESSURE_MAJOR_FAULT_RATE], 0, 0);
}

/* A total that shrinks, or a reading that lacks it, is no rate and no underflow. */
static void test_no_rate(void **state)
{
	struct pressure_reading r = reading(500, 100);
	double f[PRESSURE_FIGURE_MAX + 1];
	struct pressure p = {};

	pressure_update(&p, &r, USEC_PER_SEC, f);
	r = reading(10, 100);
	r.facts.known &= ~(unsigned int)CGROUP_REFAULTS;
	pressure_update(&p, &r, 2 * USEC_PER_SEC, f);
	assert_true(isnan(f[PRESSURE_MAJOR_FAULT_RATE]));
	assert_true(isnan(f[PRESSURE_REFAULT_RATE]));
	r = reading(10, 200);
	pressure_update(&p, &r, 3 * USEC_PER_SEC, f);
	assert_true(isnan(f[PRESSURE_REFAULT_RATE]));
	/* At the same time. */
	r = reading(20, 300);
	pressure_update(&p, &r, 3 * USEC_PER_SEC, f);
	assert_true(isnan(f[PRESSURE_MAJOR_FAULT_RATE]));
}

static void test_nothing_known(void **state)
{
	struct pressure_reading r = { .stall_ratio = NAN, .waiting = NAN, .swapin_rate = NAN };
	double f[PRESSURE_FIGURE_MAX + 1];
	struct pressure p = {};

	for (uint64_t i = 1; i < 5; i++) {
		pressure_update(&p, &r, i * USEC_PER_SEC, f);
		for (int k = 0; k <= PRESSURE_FIGURE_MAX; k++)
			assert_true(isnan(f[k]));
	}
}

static void test_trend(void **state)
{
	struct pressure_reading r = reading(0, 0);
	double f[PRESSURE_FIGURE_MAX + 1];
	struct pressure p = {};
	uint64_t now = USEC_PER_SEC;

	for (int i = 0; i < 25; i++, now += USEC_PER_SEC) {
		r.waiting = 0.1 + 0.02 * i;
		pressure_update(&p, &r, now, f);
		if (i > 0)
			assert_float_equal(f[PRESSURE_TREND], 0.02, 1e-9);
	}
	for (int i = 0; i < PRESSURE_TREND_N; i++, now += USEC_PER_SEC)
		pressure_update(&p, &r, now, f);
	assert_float_equal(f[PRESSURE_TREND], 0, 1e-9);
	for (int i = 0; i < 15; i++, now += 2 * USEC_PER_SEC) {
		r.waiting -= 0.02;
		pressure_update(&p, &r, now, f);
	}
	assert_float_equal(f[PRESSURE_TREND], -0.01, 1e-9);
	/* After a pause it begins anew. */
	now += 60 * USEC_PER_SEC;
	pressure_update(&p, &r, now, f);
	assert_true(isnan(f[PRESSURE_TREND]));
	/* Without the module, memory.pressure stands in. */
	r.waiting = NAN;
	r.facts.some_avg10 = 30;
	pressure_update(&p, &r, now + USEC_PER_SEC, f);
	assert_float_equal(f[PRESSURE_TREND], 0.02, 1e-9);
}

static void test_swap_traffic(void **state)
{
	double f[PRESSURE_FIGURE_MAX + 1], page = (double)sysconf(_SC_PAGESIZE);
	struct pressure_reading r = reading(500, 100);
	struct pressure p = {};

	/* The module's swap-ins, and nothing of what is written. */
	pressure_update(&p, &r, USEC_PER_SEC, f);
	assert_float_equal(f[PRESSURE_SWAPIN_BYTES], 80 * page, 1e-6);
	assert_true(isnan(f[PRESSURE_SWAPOUT_RATE]) && isnan(f[PRESSURE_SWAPOUT_BYTES]));

	r.facts.known |= CGROUP_SWAPINS | CGROUP_SWAPOUTS;
	r.facts.swapins = 1000;
	r.facts.swapouts = 3000;
	pressure_update(&p, &r, 2 * USEC_PER_SEC, f);
	assert_true(isnan(f[PRESSURE_SWAPOUT_RATE]));
	r.facts.swapins = 1100;
	r.facts.swapouts = 3600;
	pressure_update(&p, &r, 4 * USEC_PER_SEC, f);
	assert_float_equal(f[PRESSURE_SWAPIN_RATE], 50, 1e-9);
	assert_float_equal(f[PRESSURE_SWAPOUT_RATE], 300, 1e-9);
	assert_float_equal(f[PRESSURE_SWAPIN_BYTES], 50 * page, 1e-6);
	assert_float_equal(f[PRESSURE_SWAPOUT_BYTES], 300 * page, 1e-6);
}

static void test_names(void **state)
{
	for (int i = 0; i <= PRESSURE_FIGURE_MAX; i++)
		assert_non_null(pressure_figure_names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_has_no_rates),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_no_rate),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_trend),
		cmocka_unit_test(test_swap_traffic),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
}
