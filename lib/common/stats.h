/* SPDX-License-Identifier: GPL-2.0 */
/* Computes figures from differences of the module's counters. Pure functions. */
#ifndef APFD_STATS_H
#define APFD_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uapi/apf_host.h>

/* Further values that the module counts, besides the counters in &enum apf_stat. */
enum stats_count {
	STATS_HIST_ASYNC = APF_STAT_MAX + 1,
	STATS_HIST_SYNC,
	STATS_OUTSTANDING,
	_STATS_COUNT_MAX
};

_Static_assert(_STATS_COUNT_MAX <= 64, "a mask has 64 bits");

#define STATS_BIT(count) (UINT64_C(1) << (count))

/* Names on the bus of all counted values; NULL for numbers without a value. */
extern const char *const stats_count_names[_STATS_COUNT_MAX];

/**
 * struct stats_totals - counters of one vCPU or the sum of several, at one time
 * @at_usec: time of the reading, CLOCK_MONOTONIC
 * @uncounted: mask of STATS_BIT() for values that the module does not count on this
 *	kernel; these values are 0 and not meaningful
 * @counters: indexed by &enum apf_stat; grow only
 * @hist_async: latency of asynchronous swap-ins, see APF_HIST_BUCKETS
 * @hist_sync: length of synchronous stalls
 */
struct stats_totals {
	uint64_t at_usec;
	uint64_t uncounted;
	uint64_t counters[APF_STAT_MAX + 1];
	uint64_t hist_async[APF_HIST_BUCKETS];
	uint64_t hist_sync[APF_HIST_BUCKETS];
};

/* stats_counted: the module counts @count, an &enum apf_stat or &enum stats_count. */
static inline bool stats_counted(const struct stats_totals *totals, unsigned int count)
{
	return !(totals->uncounted & STATS_BIT(count));
}

/* stats_growth: growth of @counter from @prev to @cur; NAN if it is not counted. */
double stats_growth(const struct stats_totals *prev, const struct stats_totals *cur,
		    enum apf_stat counter);

/* Value of a percentile if a histogram is not counted. */
#define STATS_USEC_UNKNOWN UINT64_MAX

/**
 * struct stats_figures - figures of an interval between two readings
 * @async_rate: asynchronous swap-ins (ready) per second; NAN if not counted
 * @sync_rate: synchronous stalls per second; NAN if not counted
 * @p50_usec: median latency of the last interval that had any swap-in;
 *	STATS_USEC_UNKNOWN if one of the histograms is not counted
 * @p95_usec: 95th percentile of the same
 * @stall_ratio: share of vCPU time spent in synchronous stalls, 0.0 to 1.0; NAN if not
 *	counted
 * @saved_ratio: time in which vCPUs ran although pages were outstanding, vCPU seconds per
 *	second, 0.0 to the number of vCPUs; NAN if not counted
 */
struct stats_figures {
	double async_rate;
	double sync_rate;
	uint64_t p50_usec;
	uint64_t p95_usec;
	double stall_ratio;
	double saved_ratio;
};

/*
 * stats_add: adds counters and histograms of @b to @a; does not change at_usec. If a
 * value is not counted in @a or @b, it is not counted in the sum.
 */
void stats_add(struct stats_totals *a, const struct stats_totals *b);

/*
 * stats_percentile: the latency in microseconds below which @percent (1 to 100) of @hist
 * are, with linear interpolation inside the bucket. The last bucket has no upper bound:
 * for it, the lower bound is returned. 0 if the histogram is empty.
 */
uint64_t stats_percentile(const uint64_t hist[APF_HIST_BUCKETS], unsigned int percent);

/*
 * stats_longest_usec: the upper bound of the histogram's bucket that has the slowest swap-in from
 * @prev to @cur; of the last bucket, which has none, the lower bound. 0 if there was no swap-in;
 * NAN if one of the histograms is not counted.
 */
double stats_longest_usec(const struct stats_totals *prev, const struct stats_totals *cur);

/*
 * stats_update: updates @figures from two readings of a VM with @n_vcpus vCPUs.
 * Returns 0; -ESTALE if a counter shrank (the module was loaded again) or no time has
 * passed: rates and stall ratio are then 0, or NAN if not counted. P50 and P95 do not
 * change if the interval had no swap-in.
 */
int stats_update(struct stats_figures *figures, const struct stats_totals *prev,
		 const struct stats_totals *cur, unsigned int n_vcpus);

#endif /* APFD_STATS_H */
