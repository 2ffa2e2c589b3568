/* SPDX-License-Identifier: GPL-2.0 */
#include "stats.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "util.h"

void stats_add(struct stats_totals *a, const struct stats_totals *b)
{
	for (size_t i = 0; i <= APF_STAT_MAX; i++)
		a->counters[i] += b->counters[i];
	for (size_t i = 0; i < APF_HIST_BUCKETS; i++) {
		a->hist_async[i] += b->hist_async[i];
		a->hist_sync[i] += b->hist_sync[i];
	}
}

uint64_t stats_percentile(const uint64_t hist[APF_HIST_BUCKETS], unsigned int percent)
{
	double total = 0, below = 0, rank;

	/* Floating point: a sum of 64-bit counts cannot wrap. */
	for (size_t i = 0; i < APF_HIST_BUCKETS; i++)
		total += (double)hist[i];
	if (total == 0)
		return 0;

	rank = total * percent / 100;
	for (size_t i = 0; i < APF_HIST_BUCKETS; i++) {
		double lower = i == 0 ? 0 : (double)(UINT64_C(1) << (i - 1));
		double width = i == 0 ? 1 : lower;
		double n = (double)hist[i];

		if (n > 0 && below + n >= rank) {
			if (i == APF_HIST_BUCKETS - 1)
				return (uint64_t)lower;
			return (uint64_t)(lower + width * (rank - below) / n);
		}
		below += n;
	}
	return UINT64_C(1) << (APF_HIST_BUCKETS - 2);
}

static bool shrank(const struct stats_totals *prev, const struct stats_totals *cur)
{
	for (size_t i = 0; i <= APF_STAT_MAX; i++)
		if (cur->counters[i] < prev->counters[i])
			return true;
	for (size_t i = 0; i < APF_HIST_BUCKETS; i++)
		if (cur->hist_async[i] < prev->hist_async[i] ||
		    cur->hist_sync[i] < prev->hist_sync[i])
			return true;
	return false;
}

int stats_update(struct stats_figures *figures, const struct stats_totals *prev,
		 const struct stats_totals *cur, unsigned int n_vcpus)
{
	uint64_t delta[APF_HIST_BUCKETS];
	double seconds, stalled_sec;
	bool any = false;

	figures->async_rate = figures->sync_rate = figures->stall_ratio = 0;
	if (cur->at_usec <= prev->at_usec || shrank(prev, cur))
		return -ESTALE;

	seconds = (double)(cur->at_usec - prev->at_usec) / (double)USEC_PER_SEC;
#define GROWTH(c) ((double)(cur->counters[c] - prev->counters[c]))
	figures->async_rate = GROWTH(APF_STAT_READY) / seconds;
	figures->sync_rate = GROWTH(APF_STAT_SYNC_STALLS) / seconds;
	stalled_sec = GROWTH(APF_STAT_SYNC_STALL_NSEC) / 1e9;
#undef GROWTH
	/* A stall is counted when it ends, so one that began earlier can exceed the interval. */
	if (n_vcpus > 0)
		figures->stall_ratio = MIN_OF(stalled_sec / (seconds * n_vcpus), 1.0);

	for (size_t i = 0; i < APF_HIST_BUCKETS; i++) {
		delta[i] = cur->hist_async[i] - prev->hist_async[i] + cur->hist_sync[i] -
			   prev->hist_sync[i];
		any = any || delta[i] > 0;
	}
	if (any) {
		figures->p50_usec = stats_percentile(delta, 50);
		figures->p95_usec = stats_percentile(delta, 95);
	}
	return 0;
}
