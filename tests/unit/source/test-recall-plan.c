// SPDX-License-Identifier: GPL-2.0
#include "unit.h"

#include "recall-plan.h"
#include "util.h"

#define MIB (UINT64_C(1) << 20)

static void test_window(void **state)
{
	/* A tenth of a second, in pages. */
	assert_int_equal(recall_window_pages(20 * MIB, 4096), 512);
	assert_int_equal(recall_window_pages(MIB, 4096), 25);
	assert_int_equal(recall_window_pages(1, 4096), 16);
	assert_int_equal(recall_window_pages(0, 4096), 16);
	assert_int_equal(recall_window_pages(256 * MIB, 4096), RECALL_WINDOW_PAGES_MAX);
	assert_int_equal(recall_window_pages(RECALL_UNLIMITED, 4096), RECALL_WINDOW_PAGES_MAX);
	assert_int_equal(recall_window_pages(256 * MIB, 65536), 409);
}

static void test_pace(void **state)
{
	struct recall_pace p = {};
	uint64_t now_usec = 1000 * USEC_PER_SEC;

	assert_int_equal(recall_pace_delay(&p, 2 * MIB, MIB, now_usec), 0);
	/* 2 MiB take 2 s; half a second of these has passed. */
	now_usec += USEC_PER_SEC / 2;
	assert_int_equal(recall_pace_delay(&p, MIB, MIB, now_usec), 3 * USEC_PER_SEC / 2);
	/* A long pause does not give the right to a burst. */
	now_usec += 100 * USEC_PER_SEC;
	assert_int_equal(recall_pace_delay(&p, MIB, MIB, now_usec), 0);
	assert_int_equal(recall_pace_delay(&p, MIB, MIB, now_usec), USEC_PER_SEC);
	/* A rate that was raised counts from the next window on. */
	assert_int_equal(recall_pace_delay(&p, MIB, RECALL_UNLIMITED, now_usec), 0);
	assert_int_equal(recall_pace_delay(&p, MIB, MIB, now_usec), 0);
	/* No division by zero. */
	assert_int_equal(recall_pace_delay(&p, 1, 0, now_usec), USEC_PER_SEC);
}

static void test_pace_keeps_the_rate(void **state)
{
	uint64_t begin_usec = 5 * USEC_PER_SEC, now_usec = begin_usec;
	struct recall_pace p = {};

	for (int i = 0; i < 1000; i++) {
		now_usec += recall_pace_delay(&p, MIB / 4, 10 * MIB, now_usec);
		now_usec += 100; /* the work itself */
	}
	/* 250 MiB, the last of them not waited for. */
	assert_in_range(now_usec - begin_usec, 24 * USEC_PER_SEC, 25 * USEC_PER_SEC);
}

static void test_brake(void **state)
{
	const struct recall_others calm = { 0.01, 4000 };
	struct recall_brake b = {};

	assert_false(recall_brake_update(&b, calm));
	assert_true(b.factor == 0.25);
	/* It grows while the others are as before. */
	assert_false(recall_brake_update(&b, calm));
	assert_true(b.factor == 0.375);
	for (int i = 0; i < 20; i++)
		assert_false(recall_brake_update(&b, calm));
	assert_true(b.factor == 1.0);
	/* Another VM waits longer. */
	assert_true(recall_brake_update(&b, (struct recall_others){ 0.07, 4000 }));
	assert_true(b.factor == 0.5);
	/* Its reads take longer. */
	assert_true(recall_brake_update(&b, (struct recall_others){ 0.01, 8001 }));
	assert_true(b.factor == 0.25);
	for (int i = 0; i < 20; i++)
		assert_true(recall_brake_update(&b, (struct recall_others){ 1.0, 4000 }));
	assert_true(b.factor == 1.0 / 64);
	assert_false(recall_brake_update(&b, calm));
	assert_true(b.factor > 1.0 / 64);
}

static void test_brake_compares_with_before(void **state)
{
	const struct recall_others busy = { 0.4, 100 };
	struct recall_brake b = {};

	/* They waited already, so that is not the recall's fault. */
	assert_false(recall_brake_update(&b, busy));
	assert_false(recall_brake_update(&b, (struct recall_others){ 0.44, 100 }));
	assert_true(recall_brake_update(&b, (struct recall_others){ 0.46, 100 }));
	/* Twice as long is no sign if that is less than 2 ms more. */
	assert_false(recall_brake_update(&b, (struct recall_others){ 0.4, 2000 }));
	assert_true(recall_brake_update(&b, (struct recall_others){ 0.4, 2200 }));
	/* A VM that did not swap before has no latency to compare with. */
	b = (struct recall_brake){};
	assert_false(recall_brake_update(&b, (struct recall_others){}));
	assert_true(recall_brake_update(&b, (struct recall_others){ 0, 2001 }));
}

static void test_rate(void **state)
{
	assert_true(recall_rate(RECALL_UNLIMITED, 1) == RECALL_UNLIMITED);
	assert_int_equal(recall_rate(RECALL_UNLIMITED, 0.5), 512 * MIB);
	assert_int_equal(recall_rate(100 * MIB, 0.25), 25 * MIB);
	assert_int_equal(recall_rate(100 * MIB, 1), 100 * MIB);
}

static void test_room(void **state)
{
	assert_int_equal(recall_room(100 * MIB, 320 * MIB, RECALL_RESERVE_REQUESTED), 90 * MIB);
	assert_int_equal(recall_room(100 * MIB, 320 * MIB, RECALL_RESERVE_AUTOMATIC), 60 * MIB);
	assert_int_equal(recall_room(10 * MIB, 320 * MIB, RECALL_RESERVE_REQUESTED), 0);
	assert_int_equal(recall_room(5 * MIB, 320 * MIB, RECALL_RESERVE_REQUESTED), 0);
	assert_int_equal(recall_room(0, 0, RECALL_RESERVE_REQUESTED), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_pace_keeps_the_rate),
		cmocka_unit_test(test_brake),
		cmocka_unit_test(test_brake_compares_with_before),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
