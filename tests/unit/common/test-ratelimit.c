/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include "ratelimit.h"
#include "util.h"

static void test_burst(void **state)
{
	struct ratelimit l = {};

	for (int i = 0; i < 3; i++)
		assert_int_equal(ratelimit_check(&l, 3, 100, 1000), RATELIMIT_PASS);
	assert_int_equal(ratelimit_check(&l, 3, 100, 1001), RATELIMIT_FIRST_OVER);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(ratelimit_check(&l, 3, 100, 1099), RATELIMIT_OVER);
}

static void test_next_interval(void **state)
{
	struct ratelimit l = {};

	assert_int_equal(ratelimit_check(&l, 1, 100, 1000), RATELIMIT_PASS);
	assert_int_equal(ratelimit_check(&l, 1, 100, 1050), RATELIMIT_FIRST_OVER);
	assert_int_equal(ratelimit_check(&l, 1, 100, 1100), RATELIMIT_PASS);
	/* It began with that question. */
	assert_int_equal(ratelimit_check(&l, 1, 100, 1199), RATELIMIT_FIRST_OVER);
	assert_int_equal(ratelimit_check(&l, 1, 100, 1200), RATELIMIT_PASS);
}

/* Time since boot may be less than an interval. */
static void test_at_zero(void **state)
{
	struct ratelimit l = {};

	assert_int_equal(ratelimit_check(&l, 1, 100, 0), RATELIMIT_PASS);
	assert_int_equal(ratelimit_check(&l, 1, 100, 0), RATELIMIT_FIRST_OVER);
	assert_int_equal(ratelimit_check(&l, 1, 100, 99), RATELIMIT_OVER);
	assert_int_equal(ratelimit_check(&l, 1, 100, 100), RATELIMIT_PASS);
}

/* A flood of any rate: the log's length depends on time alone. */
static void test_flood(void **state)
{
	struct ratelimit l = {};
	unsigned int passed = 0, first = 0;

	for (uint64_t usec = 0; usec < 600 * USEC_PER_SEC; usec += 777) {
		enum ratelimit_verdict v = ratelimit_check(&l, 5, 60 * USEC_PER_SEC, usec);

		passed += v == RATELIMIT_PASS;
		first += v == RATELIMIT_FIRST_OVER;
	}
	assert_int_equal(passed, 50);
	assert_int_equal(first, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_next_interval),
		cmocka_unit_test(test_at_zero),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests_name("ratelimit", tests, NULL, NULL);
}
