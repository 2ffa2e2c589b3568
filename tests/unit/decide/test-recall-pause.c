/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include "recall-pause.h"

#define SEC  USEC_PER_SEC
#define HOUR (3600 * SEC)
#define MIN  RECALL_PAUSE_MIN_USEC

/* A recall that takes a minute; returns the time of its end. */
static uint64_t recall(struct recall_pause *p, uint64_t now_usec)
{
	recall_pause_begin(p, now_usec);
	for (int i = 0; i < 60; i++)
		recall_pause_move(p, now_usec += SEC);
	return now_usec;
}

static void test_pause_grows(void **state)
{
	struct recall_pause p = {};
	uint64_t now_usec = 1000 * SEC, expected_usec = MIN;

	assert_int_equal(recall_pause_left(&p, now_usec), 0);
	for (int i = 0; i < 12; i++) {
		now_usec = recall(&p, now_usec);
		assert_int_equal(p.why, RECALL_PAUSE_RECALLED);
		assert_int_equal(recall_pause_left(&p, now_usec), expected_usec);
		assert_int_equal(recall_pause_left(&p, now_usec + expected_usec), 0);
		now_usec += expected_usec;
		expected_usec = MIN_OF(2 * expected_usec, RECALL_PAUSE_MAX_USEC);
	}
	assert_int_equal(expected_usec, RECALL_PAUSE_MAX_USEC);
}

static void test_pause_is_short_again(void **state)
{
	struct recall_pause p = {};
	uint64_t now_usec = 1000 * SEC;

	now_usec = recall(&p, now_usec);
	now_usec = recall(&p, now_usec + 2 * MIN - 1);
	assert_int_equal(recall_pause_left(&p, now_usec), 2 * MIN);
	/* Pauses for other reasons do not count. */
	for (uint64_t usec = 0; usec < 4 * MIN; usec += 60 * SEC)
		recall_pause_add(&p, RECALL_PAUSE_NO_ROOM, now_usec + usec);
	now_usec = recall(&p, now_usec + 4 * MIN);
	assert_int_equal(recall_pause_left(&p, now_usec), MIN);
}

static void test_cancelled(void **state)
{
	struct recall_pause p = {};
	uint64_t now_usec = 1000 * SEC;

	recall_pause_begin(&p, now_usec);
	recall_pause_add(&p, RECALL_PAUSE_CANCELLED, now_usec);
	/* The recall has not ended yet. */
	recall_pause_move(&p, now_usec + SEC);
	assert_int_equal(p.why, RECALL_PAUSE_CANCELLED);
	assert_int_equal(recall_pause_left(&p, now_usec), HOUR);
	/* Neither is that pause shortened. */
	recall_pause_add(&p, RECALL_PAUSE_NO_ROOM, now_usec + SEC);
	assert_int_equal(p.why, RECALL_PAUSE_CANCELLED);
	assert_int_equal(recall_pause_left(&p, now_usec), HOUR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pause_grows),
		cmocka_unit_test(test_pause_is_short_again),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
