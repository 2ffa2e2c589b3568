/* SPDX-License-Identifier: GPL-2.0 */
/* Figures from differences of the module's counters: pure functions. */
#ifndef APFD_STATS_H
#define APFD_STATS_H

#include <stdint.h>

#include <uapi/apf_host.h>

/**
 * struct stats_totals - counters of one vCPU or the sum of several, at one time
 * @at_usec: when they were read, CLOCK_MONOTONIC
 * @counters: indexed by &enum apf_stat; grow only
 * @hist_async: latency of asynchronous swap-ins, see APF_HIST_BUCKETS
 * @hist_sync: length of synchronous stalls
 */
struct stats_totals {
	uint64_t at_usec;
	uint64_t counters[APF_STAT_MAX + 1];
	uint64_t hist_async[APF_HIST_BUCKETS];
	uint64_t hist_sync[APF_HIST_BUCKETS];
};

/**
 * struct stats_figures - what an interval between two readings says
 * @async_rate: asynchronous swap-ins (ready) per second
 * @sync_rate: synchronous stalls per second
 * @p50_usec: median latency of the last interval that had any swap-in
 * @p95_usec: 95th percentile of the same
 * @stall_ratio: share of vCPU time spent in synchronous stalls, 0.0 to 1.0
 */
struct stats_figures {
	double async_rate;
	double sync_rate;
	uint64_t p50_usec;
	uint64_t p95_usec;
	double stall_ratio;
};

/* stats_add: adds counters and histograms of @b to @a; at_usec stays. */
void stats_add(struct stats_totals *a, const struct stats_totals *b);

/*
 * stats_percentile: the latency below which @percent (1 to 100) of @hist lie,
 * microseconds, by linear interpolation inside the bucket. The last bucket has
 * no upper bound: its lower one is the answer. 0 if the histogram is empty.
 */
uint64_t stats_percentile(const uint64_t hist[APF_HIST_BUCKETS], unsigned int percent);

/*
 * stats_update: renews @figures from two readings of a VM with @n_vcpus vCPUs.
 * Returns 0; -ESTALE if a counter shrank (the module began anew) or no time has
 * passed: rates and stall ratio are then 0. P50 and P95 keep their value where
 * the interval had no swap-in.
 */
int stats_update(struct stats_figures *figures, const struct stats_totals *prev,
		 const struct stats_totals *cur, unsigned int n_vcpus);

#endif /* APFD_STATS_H */
