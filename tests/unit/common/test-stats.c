/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <math.h>

#include "stats.h"
#include "util.h"

static void test_percentile_of_nothing(void **state)
{
	uint64_t hist[APF_HIST_BUCKETS] = {};

	assert_int_equal(stats_percentile(hist, 50), 0);
}

static void test_percentile_interpolates(void **state)
{
	uint64_t hist[APF_HIST_BUCKETS] = {};

	/* 100 latencies in [1024, 2048): the median lies in the middle. */
	hist[11] = 100;
	assert_int_equal(stats_percentile(hist, 50), 1024 + 512);
	assert_int_equal(stats_percentile(hist, 25), 1024 + 256);
	assert_int_equal(stats_percentile(hist, 100), 2048);

	/* 90 below 1 us and 10 in [4096, 8192): P95 is half way through the latter. */
	hist[11] = 0;
	hist[0] = 90;
	hist[13] = 10;
	assert_int_equal(stats_percentile(hist, 50), 0);
	assert_int_equal(stats_percentile(hist, 95), 4096 + 2048);
}

static void test_percentile_bounds(void **state)
{
	uint64_t hist[APF_HIST_BUCKETS] = {};

	/* The last bucket has no upper bound. */
	hist[APF_HIST_BUCKETS - 1] = 7;
	assert_int_equal(stats_percentile(hist, 50), UINT64_C(1) << 30);
	assert_int_equal(stats_percentile(hist, 100), UINT64_C(1) << 30);

	/* Counts whose sum does not fit into 64 bits. */
	for (int i = 0; i < APF_HIST_BUCKETS; i++)
		hist[i] = UINT64_MAX;
	assert_in_range(stats_percentile(hist, 50), 1 << 14, 1 << 16);
}

/* A VM with @n asynchronous and @m synchronous swap-ins at @at_usec. */
static struct stats_totals reading(uint64_t at_usec, uint64_t n, uint64_t m)
{
	struct stats_totals t = { .at_usec = at_usec };

	t.counters[APF_STAT_READY] = n;
	t.counters[APF_STAT_SYNC_STALLS] = m;
	t.counters[APF_STAT_SYNC_STALL_NSEC] = m * 5000000;
	t.hist_async[13] = n;
	t.hist_sync[5] = m;
	return t;
}

static void test_rates(void **state)
{
	struct stats_totals prev = reading(10 * USEC_PER_SEC, 1000, 50);
	struct stats_totals cur = reading(12 * USEC_PER_SEC, 1600, 250);
	struct stats_figures f = {};

	assert_int_equal(stats_update(&f, &prev, &cur, 4), 0);
	assert_float_equal(f.async_rate, 300, 1e-9);
	assert_float_equal(f.sync_rate, 100, 1e-9);
	/* 200 stalls of 5 ms in 2 s of 4 vCPUs. */
	assert_float_equal(f.stall_ratio, 0.125, 1e-9);
	/* 200 in [16, 32) and 600 in [4096, 8192): rank 400 is 200/600 into the latter. */
	assert_int_equal(f.p50_usec, 4096 + 4096 / 3);
}

static void test_longest(void **state)
{
	struct stats_totals prev = {}, cur = {};

	assert_float_equal(stats_longest_usec(&prev, &cur), 0, 0);
	prev.hist_async[20] = cur.hist_async[20] = 5;
	cur.hist_async[13] = 1;
	assert_float_equal(stats_longest_usec(&prev, &cur), 8192, 0);
	cur.hist_sync[17] = 1;
	assert_float_equal(stats_longest_usec(&prev, &cur), 131072, 0);
	/* The last bucket has no upper bound. */
	cur.hist_sync[APF_HIST_BUCKETS - 1] = 1;
	assert_float_equal(stats_longest_usec(&prev, &cur), 1073741824.0, 0);
	cur.uncounted = STATS_BIT(STATS_HIST_SYNC);
	assert_true(isnan(stats_longest_usec(&prev, &cur)));
}

static void test_saved(void **state)
{
	struct stats_totals prev = { .at_usec = 10 * USEC_PER_SEC };
	struct stats_totals cur = { .at_usec = 12 * USEC_PER_SEC };
	struct stats_figures f = {};

	/* 3 s in 2 s: of one and a half of the four vCPUs. */
	prev.counters[APF_STAT_SAVED_NSEC] = 1000000000;
	cur.counters[APF_STAT_SAVED_NSEC] = 4000000000;
	assert_int_equal(stats_update(&f, &prev, &cur, 4), 0);
	assert_float_equal(f.saved_ratio, 1.5, 1e-9);
	/* Time before the interval that was counted late. */
	assert_int_equal(stats_update(&f, &prev, &cur, 1), 0);
	assert_float_equal(f.saved_ratio, 1, 1e-9);
	assert_int_equal(stats_update(&f, &cur, &cur, 4), -ESTALE);
	assert_float_equal(f.saved_ratio, 0, 0);
	cur.uncounted = STATS_BIT(APF_STAT_SAVED_NSEC);
	assert_int_equal(stats_update(&f, &prev, &cur, 4), 0);
	assert_true(isnan(f.saved_ratio));
}

/* What one part does not count, nothing that is made of it knows. */
static void test_uncounted(void **state)
{
	struct stats_totals prev = reading(10 * USEC_PER_SEC, 1000, 50);
	struct stats_totals cur = reading(12 * USEC_PER_SEC, 1600, 250), sum = {};
	struct stats_figures f = { .p50_usec = 7, .p95_usec = 9 };

	cur.uncounted = STATS_BIT(APF_STAT_READY);
	assert_int_equal(stats_update(&f, &prev, &cur, 4), 0);
	assert_true(isnan(f.async_rate));
	assert_float_equal(f.sync_rate, 100, 1e-9);
	assert_float_equal(f.stall_ratio, 0.125, 1e-9);
	assert_int_equal(f.p50_usec, 4096 + 4096 / 3);
	assert_true(isnan(stats_growth(&prev, &cur, APF_STAT_READY)));
	assert_float_equal(stats_growth(&prev, &cur, APF_STAT_SYNC_STALLS), 200, 0);

	/* Also where it is only known now, and where no time has passed. */
	prev.uncounted = STATS_BIT(APF_STAT_SYNC_STALLS) | STATS_BIT(APF_STAT_SYNC_STALL_NSEC);
	cur.uncounted = 0;
	assert_int_equal(stats_update(&f, &prev, &cur, 4), 0);
	assert_float_equal(f.async_rate, 300, 1e-9);
	assert_true(isnan(f.sync_rate));
	assert_true(isnan(f.stall_ratio));
	cur.at_usec = prev.at_usec;
	assert_int_equal(stats_update(&f, &prev, &cur, 4), -ESTALE);
	assert_float_equal(f.async_rate, 0, 0);
	assert_true(isnan(f.sync_rate));
	assert_true(isnan(f.stall_ratio));

	/* A percentile of one kind of swap-in alone would be another figure. */
	for (int hist = STATS_HIST_ASYNC; hist <= STATS_HIST_SYNC; hist++) {
		prev.uncounted = 0;
		cur = reading(12 * USEC_PER_SEC, 1600, 250);
		cur.uncounted = STATS_BIT(hist);
		assert_int_equal(stats_update(&f, &prev, &cur, 4), 0);
		assert_true(f.p50_usec == STATS_USEC_UNKNOWN && f.p95_usec == STATS_USEC_UNKNOWN);
	}
	cur.uncounted = 0;
	assert_int_equal(stats_update(&f, &prev, &cur, 4), 0);
	assert_int_equal(f.p50_usec, 4096 + 4096 / 3);

	sum.uncounted = STATS_BIT(APF_STAT_REPEATED);
	cur.uncounted = STATS_BIT(STATS_OUTSTANDING);
	stats_add(&sum, &cur);
	assert_false(stats_counted(&sum, APF_STAT_REPEATED));
	assert_false(stats_counted(&sum, STATS_OUTSTANDING));
	assert_true(stats_counted(&sum, APF_STAT_READY));
}

static void test_quiet_interval_keeps_percentiles(void **state)
{
	struct stats_totals prev = reading(USEC_PER_SEC, 10, 0), cur = prev;
	struct stats_figures f = { .async_rate = 9, .p50_usec = 77, .p95_usec = 99 };

	cur.at_usec += USEC_PER_SEC;
	assert_int_equal(stats_update(&f, &prev, &cur, 1), 0);
	assert_float_equal(f.async_rate, 0, 0);
	assert_int_equal(f.p50_usec, 77);
	assert_int_equal(f.p95_usec, 99);
}

static void test_reset_is_no_rate(void **state)
{
	struct stats_totals prev = reading(USEC_PER_SEC, 1000, 50);
	struct stats_totals cur = reading(2 * USEC_PER_SEC, 3, 0);
	struct stats_figures f = { .async_rate = 9, .sync_rate = 9, .stall_ratio = 1 };

	assert_int_equal(stats_update(&f, &prev, &cur, 1), -ESTALE);
	assert_float_equal(f.async_rate, 0, 0);
	assert_float_equal(f.sync_rate, 0, 0);
	assert_float_equal(f.stall_ratio, 0, 0);

	/* Only a histogram shrank. */
	cur = prev;
	cur.at_usec += USEC_PER_SEC;
	cur.hist_sync[5]--;
	assert_int_equal(stats_update(&f, &prev, &cur, 1), -ESTALE);
}

static void test_no_time_and_no_vcpu(void **state)
{
	struct stats_totals prev = reading(USEC_PER_SEC, 1, 1), cur = reading(USEC_PER_SEC, 2, 2);
	struct stats_figures f = {};

	assert_int_equal(stats_update(&f, &prev, &cur, 1), -ESTALE);
	cur.at_usec += USEC_PER_SEC;
	assert_int_equal(stats_update(&f, &prev, &cur, 0), 0);
	assert_float_equal(f.stall_ratio, 0, 0);
}

static void test_stall_ratio_is_at_most_one(void **state)
{
	/* A stall of 10 s that ends in an interval of 1 s. */
	struct stats_totals prev = reading(USEC_PER_SEC, 0, 0),
			    cur = reading(2 * USEC_PER_SEC, 0, 1);
	struct stats_figures f = {};

	cur.counters[APF_STAT_SYNC_STALL_NSEC] = UINT64_C(10000000000);
	assert_int_equal(stats_update(&f, &prev, &cur, 1), 0);
	assert_float_equal(f.stall_ratio, 1, 0);
}

static void test_add(void **state)
{
	struct stats_totals a = reading(5, 1, 2), b = reading(9, 30, 40);

	stats_add(&a, &b);
	assert_int_equal(a.at_usec, 5);
	assert_int_equal(a.counters[APF_STAT_READY], 31);
	assert_int_equal(a.counters[APF_STAT_SYNC_STALLS], 42);
	assert_int_equal(a.hist_async[13], 31);
	assert_int_equal(a.hist_sync[5], 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentile_of_nothing),
		cmocka_unit_test(test_percentile_interpolates),
		cmocka_unit_test(test_percentile_bounds),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_saved),
		cmocka_unit_test(test_uncounted),
		cmocka_unit_test(test_quiet_interval_keeps_percentiles),
		cmocka_unit_test(test_reset_is_no_rate),
		cmocka_unit_test(test_no_time_and_no_vcpu),
		cmocka_unit_test(test_stall_ratio_is_at_most_one),
		cmocka_unit_test(test_add),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
