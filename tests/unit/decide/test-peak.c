/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <math.h>

#include "peak.h"

#define SEC USEC_PER_SEC

static void test_nothing_yet(void **state)
{
	struct peak p = {};

	assert_float_equal(peak_get(&p, 0), 0, 0);
	assert_float_equal(peak_get(&p, 3600 * SEC), 0, 0);
	peak_add(&p, NAN, 10 * SEC);
	peak_add(&p, 0, 10 * SEC);
	peak_add(&p, -1, 10 * SEC);
	assert_float_equal(peak_get(&p, 10 * SEC), 0, 0);
}

/* Whoever reads once a minute sees every value, and reading changes nothing. */
static void test_lasts_a_minute(void **state)
{
	for (uint64_t begin = 0; begin < 20; begin++) {
		struct peak p = {};

		peak_add(&p, 0.5, begin * SEC);
		peak_add(&p, 0.25, (begin + 1) * SEC);
		for (uint64_t sec = 1; sec <= 60; sec++) {
			assert_float_equal(peak_get(&p, (begin + sec) * SEC), 0.5, 0);
			assert_float_equal(peak_get(&p, (begin + sec) * SEC), 0.5, 0);
		}
		assert_float_equal(peak_get(&p, (begin + 67) * SEC), 0, 0);
	}
}

static void test_the_next_highest_follows(void **state)
{
	struct peak p = {};

	peak_add(&p, 9, 100 * SEC);
	peak_add(&p, 4, 130 * SEC);
	peak_add(&p, 2, 131 * SEC);
	assert_float_equal(peak_get(&p, 131 * SEC), 9, 0);
	assert_float_equal(peak_get(&p, 170 * SEC), 4, 0);
	assert_float_equal(peak_get(&p, 200 * SEC), 0, 0);
	/* A slot that was used an hour ago is used again. */
	peak_add(&p, 1, 3600 * SEC);
	assert_float_equal(peak_get(&p, 3600 * SEC), 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_yet),
		cmocka_unit_test(test_lasts_a_minute),
		cmocka_unit_test(test_the_next_highest_follows),
	};

	return cmocka_run_group_tests_name("peak", tests, NULL, NULL);
}
