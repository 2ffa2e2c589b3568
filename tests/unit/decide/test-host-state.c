/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <math.h>

#include "host-state.h"
#include "util.h"

#define SEC  USEC_PER_SEC
#define RATE HOST_STATE_SWAP_BYTES_RATE

static void test_rule(void **state)
{
	const double u = NAN;
	const struct {
		double some, full, in, out, scan;
		enum memory_state expected;
	} table[] = {
		{ u, u, u, u, u, MEMORY_STATE_UNKNOWN },
		/* Tasks wait, but not for memory that swap took: one group at its limit of page
		   cache. */
		{ 90, 80, u, u, u, MEMORY_STATE_UNKNOWN },
		{ 90, 80, 0, 0, 0, MEMORY_STATE_CALM },
		{ u, u, 0, 0, 0, MEMORY_STATE_CALM },
		{ 0, 0, RATE - 1, RATE - 1, 99, MEMORY_STATE_CALM },
		{ 0, 0, 0, 0, 100, MEMORY_STATE_RECLAIMING },
		{ 0, 0, u, u, 100, MEMORY_STATE_RECLAIMING },
		{ 0, 0, RATE, 0, 0, MEMORY_STATE_SWAPPING },
		{ 0, 0, 0, RATE, 5000, MEMORY_STATE_SWAPPING },
		{ 0, 0, u, RATE, u, MEMORY_STATE_SWAPPING },
		{ 39, 9, RATE, RATE, 5000, MEMORY_STATE_SWAPPING },
		{ u, u, RATE, RATE, 5000, MEMORY_STATE_SWAPPING },
		/* Only read back: what was needed returns, as after a limit was raised. */
		{ 90, 80, 9 * RATE, 0, 0, MEMORY_STATE_SWAPPING },
		{ 90, 80, 0, 9 * RATE, 5000, MEMORY_STATE_SWAPPING },
		{ 40, 0, RATE, RATE, 0, MEMORY_STATE_THRASHING },
		{ 0, 10, RATE, RATE, 0, MEMORY_STATE_THRASHING },
		{ u, 10, RATE, RATE, u, MEMORY_STATE_THRASHING },
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		const double pressure[_HOST_PRESSURE_MAX] = {
			[HOST_PRESSURE_SOME_AVG10] = table[i].some,
			[HOST_PRESSURE_FULL_AVG10] = table[i].full,
			[HOST_PRESSURE_SWAP_IN_RATE] = table[i].in,
			[HOST_PRESSURE_SWAP_OUT_RATE] = table[i].out,
			[HOST_PRESSURE_SCAN_RATE] = table[i].scan,
			[HOST_PRESSURE_REFAULT_RATE] = u,
		};

		if (host_state_decide(pressure) != table[i].expected)
			fail_msg("row %zu: %s, not %s", i,
				 memory_state_names[host_state_decide(pressure)],
				 memory_state_names[table[i].expected]);
	}
}

static struct host_memory reading(uint64_t in, uint64_t out, uint64_t scanned)
{
	struct host_memory m = { .some_avg10 = 50, .full_avg10 = 0 };

	memory_figure_set(&m.figures, HOST_MEMORY_SWAPPED_IN, in);
	memory_figure_set(&m.figures, HOST_MEMORY_SWAPPED_OUT, out);
	memory_figure_set(&m.figures, HOST_MEMORY_SCANNED, scanned);
	return m;
}

static void update(struct host_state *h, uint64_t in, uint64_t out, uint64_t scanned, uint64_t usec)
{
	struct host_memory m = reading(in, out, scanned);

	host_state_update(h, &m, usec);
}

static void test_rates_are_over_ten_seconds(void **state)
{
	struct host_state h = {};

	update(&h, 5000000, 7000000, 0, 100 * SEC);
	assert_int_equal(h.state, MEMORY_STATE_UNKNOWN);
	assert_true(isnan(h.pressure[HOST_PRESSURE_SWAP_IN_RATE]));
	/* A burst of one second. */
	update(&h, 5000000 + 30000000, 7000000 + 4000000, 0, 101 * SEC);
	assert_float_equal(h.pressure[HOST_PRESSURE_SWAP_IN_RATE], 30000000, 1);
	assert_int_equal(h.state, MEMORY_STATE_THRASHING);
	for (uint64_t sec = 102; sec <= 110; sec++) {
		update(&h, 5000000 + 30000000, 7000000 + 4000000, 0, sec * SEC);
		assert_int_equal(h.state, MEMORY_STATE_THRASHING);
	}
	assert_float_equal(h.pressure[HOST_PRESSURE_SWAP_OUT_RATE], 400000, 1);
	/* The burst is out of the window. */
	update(&h, 5000000 + 30000000, 7000000 + 4000000, 0, 112 * SEC);
	assert_float_equal(h.pressure[HOST_PRESSURE_SWAP_IN_RATE], 0, 0);
	assert_int_equal(h.state, MEMORY_STATE_CALM);
	assert_float_equal(h.pressure[HOST_PRESSURE_SOME_AVG10], 50, 0);
}

/* Without VMs there is a reading each ten seconds. */
static void test_rare_readings(void **state)
{
	struct host_state h = {};

	for (uint64_t i = 0; i < 30; i++) {
		update(&h, i * 10 * 1000000, 0, i * 10 * 50, (100 + 10 * i) * SEC);
		if (i == 0)
			continue;
		assert_float_equal(h.pressure[HOST_PRESSURE_SWAP_IN_RATE], 1000000, 1);
		assert_float_equal(h.pressure[HOST_PRESSURE_SCAN_RATE], 50, 1e-6);
	}
}

/* Early ticks make more readings than the ring has room for. */
static void test_many_readings(void **state)
{
	struct host_state h = {};

	for (uint64_t i = 0; i < 100; i++)
		update(&h, i * 1000, i * 2000, i, 1000 * SEC + i * SEC / 4);
	assert_float_equal(h.pressure[HOST_PRESSURE_SWAP_IN_RATE], 4000, 1);
	assert_float_equal(h.pressure[HOST_PRESSURE_SWAP_OUT_RATE], 8000, 1);
}

static void test_totals_that_shrink_and_no_time(void **state)
{
	struct host_state h = {};

	update(&h, 5000, 5000, 5000, 10 * SEC);
	update(&h, 9000, 9000, 9000, 10 * SEC);
	assert_int_equal(h.n_past, 1);
	update(&h, 100, 6000, 100, 11 * SEC);
	assert_true(isnan(h.pressure[HOST_PRESSURE_SWAP_IN_RATE]));
	assert_float_equal(h.pressure[HOST_PRESSURE_SWAP_OUT_RATE], 1000, 1e-6);
}

/* What VMs read back from swap does not end the calm; what is written or scanned does. */
static void test_calm_since(void **state)
{
	struct host_state h = {};
	uint64_t sec, in = 0, out = 0, scanned = 0;

	update(&h, in, out, scanned, 100 * SEC);
	assert_int_equal(h.calm_usec, 0);
	for (sec = 101; sec < 130; sec++) {
		update(&h, in += 50 * (uint64_t)RATE, out, scanned, sec * SEC);
		assert_int_equal(h.state, MEMORY_STATE_SWAPPING);
		assert_int_equal(h.calm_usec, 101 * SEC);
	}
	update(&h, in, out += 20 * (uint64_t)RATE, scanned, 130 * SEC);
	assert_int_equal(h.calm_usec, 0);
	/* Until the burst is out of the window. */
	for (sec = 131; h.calm_usec == 0; sec++)
		update(&h, in, out, scanned, sec * SEC);
	assert_in_range(h.calm_usec, 140 * SEC, 141 * SEC);
	update(&h, in, out, scanned + 2000, sec * SEC);
	assert_int_equal(h.calm_usec, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_calm_since),
		cmocka_unit_test(test_rates_are_over_ten_seconds),
		cmocka_unit_test(test_rare_readings),
		cmocka_unit_test(test_many_readings),
		cmocka_unit_test(test_totals_that_shrink_and_no_time),
	};

	return cmocka_run_group_tests_name("host-state", tests, NULL, NULL);
}
