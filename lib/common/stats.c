/* SPDX-License-Identifier: GPL-2.0 */
#include "stats.h"

#include <errno.h>
#include <math.h>

#include "util.h"

/* clang-format off */
const char *const stats_count_names[_STATS_COUNT_MAX] = {
	[APF_STAT_ASKED]	   = "Asked",
	[APF_STAT_REFUSED]	   = "Refused",
	[APF_STAT_REFUSED_NESTED]  = "RefusedNested",
	[APF_STAT_NOT_PRESENT]	   = "NotPresent",
	[APF_STAT_DELIVERED]	   = "Delivered",
	[APF_STAT_HALTED]	   = "Halted",
	[APF_STAT_READY]	   = "Ready",
	[APF_STAT_READY_UNKNOWN]   = "ReadyUnknown",
	[APF_STAT_READY_ALL]	   = "ReadyAll",
	[APF_STAT_DROPPED]	   = "Dropped",
	[APF_STAT_REPEATED]	   = "Repeated",
	[APF_STAT_SYNC_STALLS]	   = "SyncStalls",
	[APF_STAT_SYNC_STALL_NSEC] = "SyncStallNSec",
	[APF_STAT_ASYNC_NSEC]	   = "AsyncNSec",
	[APF_STAT_NOWAIT]	   = "NoWait",
	[APF_STAT_PROBE_MISSES]	   = "ProbeMisses",
	[APF_STAT_REFUSED_PAUSED]  = "RefusedPaused",
	[APF_STAT_BAD_REPORTS]	   = "BadReports",
	[APF_STAT_SAVED_NSEC]	   = "SavedNSec",
	[STATS_HIST_ASYNC]	   = "AsyncHistogram",
	[STATS_HIST_SYNC]	   = "SyncHistogram",
	[STATS_OUTSTANDING]	   = "Outstanding",
};
/* clang-format on */

void stats_add(struct stats_totals *a, const struct stats_totals *b)
{
	a->uncounted |= b->uncounted;
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

	/* Use floating point, because a sum of 64-bit counts could wrap. */
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

double stats_growth(const struct stats_totals *prev, const struct stats_totals *cur,
		    enum apf_stat counter)
{
	if (!stats_counted(prev, counter) || !stats_counted(cur, counter))
		return NAN;
	return (double)cur->counters[counter] - (double)prev->counters[counter];
}

double stats_longest_usec(const struct stats_totals *prev, const struct stats_totals *cur)
{
	const uint64_t hists = STATS_BIT(STATS_HIST_ASYNC) | STATS_BIT(STATS_HIST_SYNC);

	if ((prev->uncounted | cur->uncounted) & hists)
		return NAN;
	for (unsigned int i = APF_HIST_BUCKETS; i-- > 0;)
		if (cur->hist_async[i] > prev->hist_async[i] ||
		    cur->hist_sync[i] > prev->hist_sync[i])
			return (double)(UINT64_C(1) << MIN_OF(i, APF_HIST_BUCKETS - 2U));
	return 0;
}

int stats_update(struct stats_figures *figures, const struct stats_totals *prev,
		 const struct stats_totals *cur, unsigned int n_vcpus)
{
	const uint64_t uncounted = prev->uncounted | cur->uncounted;
	const bool latency =
		!(uncounted & (STATS_BIT(STATS_HIST_ASYNC) | STATS_BIT(STATS_HIST_SYNC)));
	uint64_t delta[APF_HIST_BUCKETS];
	double seconds, stalled_sec, saved_sec;
	bool any = false;

	figures->async_rate = uncounted & STATS_BIT(APF_STAT_READY) ? NAN : 0;
	figures->sync_rate = uncounted & STATS_BIT(APF_STAT_SYNC_STALLS) ? NAN : 0;
	figures->stall_ratio = uncounted & STATS_BIT(APF_STAT_SYNC_STALL_NSEC) ? NAN : 0;
	figures->saved_ratio = uncounted & STATS_BIT(APF_STAT_SAVED_NSEC) ? NAN : 0;
	if (!latency)
		figures->p50_usec = figures->p95_usec = STATS_USEC_UNKNOWN;
	else if (figures->p95_usec == STATS_USEC_UNKNOWN)
		figures->p50_usec = figures->p95_usec = 0;
	if (cur->at_usec <= prev->at_usec || shrank(prev, cur))
		return -ESTALE;

	seconds = (double)(cur->at_usec - prev->at_usec) / (double)USEC_PER_SEC;
	figures->async_rate = stats_growth(prev, cur, APF_STAT_READY) / seconds;
	figures->sync_rate = stats_growth(prev, cur, APF_STAT_SYNC_STALLS) / seconds;
	stalled_sec = stats_growth(prev, cur, APF_STAT_SYNC_STALL_NSEC) / 1e9;
	/* A stall is counted when it ends, so one that began earlier can exceed the interval. */
	if (n_vcpus > 0 && !isnan(stalled_sec))
		figures->stall_ratio = MIN_OF(stalled_sec / (seconds * n_vcpus), 1.0);

	saved_sec = stats_growth(prev, cur, APF_STAT_SAVED_NSEC) / 1e9;
	/* The same is true of the time since the last event of an outstanding page. */
	if (!isnan(saved_sec))
		figures->saved_ratio = MIN_OF(saved_sec / seconds, (double)n_vcpus);

	for (size_t i = 0; i < APF_HIST_BUCKETS; i++) {
		delta[i] = cur->hist_async[i] - prev->hist_async[i] + cur->hist_sync[i] -
			   prev->hist_sync[i];
		any = any || delta[i] > 0;
	}
	if (any && latency) {
		figures->p50_usec = stats_percentile(delta, 50);
		figures->p95_usec = stats_percentile(delta, 95);
	}
	return 0;
}
