// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and latency histograms of one vCPU. This file does not depend on KVM: its
 * callers pass events and times.
 *
 * Context of all functions except init, queued, unqueued and read: the vCPU's thread, which
 * is the only writer (see struct apf_host_stats); preemptible or not.
 */
#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "stats.h"

void apf_host_stats_init(struct apf_host_stats *s)
{
	memset(s, 0, sizeof(*s));
	seqcount_init(&s->seq);
}

static void hist_add(u64 *hist, u64 nsec)
{
	u64 usec = div_u64(nsec, NSEC_PER_USEC);

	hist[min_t(unsigned int, fls64(usec), APF_HIST_BUCKETS - 1)]++;
}

static void write_begin(struct apf_host_stats *s)
{
	preempt_disable();
	raw_write_seqcount_begin(&s->seq);
}

static void write_end(struct apf_host_stats *s)
{
	raw_write_seqcount_end(&s->seq);
	preempt_enable();
}

void apf_host_stats_count(struct apf_host_stats *s, enum apf_stat which)
{
	write_begin(s);
	s->figures.stat[which]++;
	write_end(s);
}

void apf_host_stats_asked(struct apf_host_stats *s, bool refused, bool nested, bool paused)
{
	u64 *stat = s->figures.stat;

	write_begin(s);
	stat[APF_STAT_ASKED]++;
	stat[APF_STAT_REFUSED] += refused;
	stat[APF_STAT_REFUSED_NESTED] += nested;
	stat[APF_STAT_REFUSED_PAUSED] += paused;
	write_end(s);
}

/* Counts whether the guest was notified of the last "not present". Between begin and end. */
static void count_delivery(struct apf_host_stats *s)
{
	if (!s->delivered)
		return;
	s->figures.stat[*s->delivered ? APF_STAT_DELIVERED : APF_STAT_HALTED]++;
	s->delivered = NULL;
}

/*
 * Counts the time from s->since to @clock in which the vCPU ran although a page was
 * outstanding. Call it before the number of outstanding pages changes. Between begin and end.
 *
 * A page that KVM has read, but cannot deliver yet, would stop no vCPU: the time ends when
 * the page was read. This is also the end if user space does not run the vCPU for hours.
 */
static void count_saved(struct apf_host_stats *s, const struct apf_host_clock *clock)
{
	u64 end_nsec = atomic64_read(&s->read_nsec);
	s64 ran_nsec;

	if (s->figures.outstanding && s->since.thread == clock->thread) {
		if (!end_nsec || end_nsec > clock->now_nsec)
			end_nsec = clock->now_nsec;
		ran_nsec = (clock->now_nsec - s->since.now_nsec) -
			   (clock->idle_nsec - s->since.idle_nsec);
		ran_nsec = min_t(s64, ran_nsec, end_nsec - s->since.now_nsec);
		if (ran_nsec > 0)
			s->figures.stat[APF_STAT_SAVED_NSEC] += ran_nsec;
	}
	s->since = *clock;
}

/**
 * apf_host_stats_not_present() - count the start of an asynchronous fault
 * @s: counters of the vCPU
 * @token: token of the fault
 * @clock: clocks of the thread
 * @delivered: KVM stores there whether it notified the guest, before any other function
 *	of this file is called for the vCPU; NULL: do not count it
 */
void apf_host_stats_not_present(struct apf_host_stats *s, u32 token,
				const struct apf_host_clock *clock, const bool *delivered)
{
	struct apf_host_figures *f = &s->figures;

	write_begin(s);
	count_delivery(s);
	count_saved(s, clock);
	if (!f->outstanding)
		atomic64_set(&s->read_nsec, 0);
	s->delivered = delivered;
	f->stat[APF_STAT_NOT_PRESENT]++;
	if (f->outstanding < APF_HOST_PENDING_MAX) {
		s->pending[f->outstanding].token = token;
		s->pending[f->outstanding].since_nsec = clock->now_nsec;
		f->outstanding++;
	} else {
		f->stat[APF_STAT_PROBE_MISSES]++;
	}
	write_end(s);
}

/* Call it when the fault has returned: KVM has stored whether it notified the guest. */
void apf_host_stats_count_delivery(struct apf_host_stats *s)
{
	write_begin(s);
	count_delivery(s);
	write_end(s);
}

/**
 * apf_host_stats_queued() - a page was read, and KVM will deliver it
 * @s: counters of the vCPU
 * @now_nsec: CLOCK_MONOTONIC
 *
 * Context: any thread.
 */
void apf_host_stats_queued(struct apf_host_stats *s, u64 now_nsec)
{
	atomic64_cmpxchg(&s->read_nsec, 0, now_nsec);
}

/* Undoes apf_host_stats_queued(): all pages were delivered before that. Context: any thread. */
void apf_host_stats_unqueued(struct apf_host_stats *s, u64 nsec)
{
	atomic64_cmpxchg(&s->read_nsec, nsec, 0);
}

/**
 * apf_host_stats_ready() - count the end of an asynchronous fault
 * @s: counters of the vCPU
 * @token: token of the fault, or %APF_HOST_TOKEN_ALL
 * @clock: clocks of the thread
 *
 * If KVM still has pages to deliver, call apf_host_stats_queued() afterwards.
 */
void apf_host_stats_ready(struct apf_host_stats *s, u32 token,
			  const struct apf_host_clock *clock)
{
	struct apf_host_figures *f = &s->figures;
	u64 nsec;
	u32 i;

	write_begin(s);
	count_delivery(s);
	count_saved(s, clock);
	atomic64_xchg(&s->read_nsec, 0);

	if (token == APF_HOST_TOKEN_ALL) {
		f->stat[APF_STAT_READY_ALL]++;
		goto out;
	}

	f->stat[APF_STAT_READY]++;
	for (i = 0; i < f->outstanding && i < APF_HOST_PENDING_MAX; i++)
		if (s->pending[i].token == token)
			break;
	if (i == f->outstanding || i == APF_HOST_PENDING_MAX) {
		f->stat[APF_STAT_READY_UNKNOWN]++;
		goto out;
	}

	nsec = clock->now_nsec - s->pending[i].since_nsec;
	f->stat[APF_STAT_ASYNC_NSEC] += nsec;
	hist_add(f->hist_async, nsec);
	s->pending[i] = s->pending[--f->outstanding];
out:
	write_end(s);
}

/* KVM drops all outstanding pages: no "ready" will follow for them. */
void apf_host_stats_forgotten(struct apf_host_stats *s, const struct apf_host_clock *clock)
{
	struct apf_host_figures *f = &s->figures;

	write_begin(s);
	count_delivery(s);
	count_saved(s, clock);
	f->stat[APF_STAT_DROPPED] += f->outstanding;
	f->outstanding = 0;
	write_end(s);
}

/* A stall stops the vCPU although other pages are outstanding: this time is not saved. */
void apf_host_stats_stall(struct apf_host_stats *s, const struct apf_host_clock *entered,
			  const struct apf_host_clock *returned)
{
	u64 nsec = returned->now_nsec - entered->now_nsec;
	struct apf_host_figures *f = &s->figures;

	write_begin(s);
	count_saved(s, entered);
	s->since = *returned;
	f->stat[APF_STAT_SYNC_STALLS]++;
	f->stat[APF_STAT_SYNC_STALL_NSEC] += nsec;
	hist_add(f->hist_sync, nsec);
	write_end(s);
}

/* Context: any; spins only while an update runs, which takes a few instructions. */
void apf_host_stats_read(struct apf_host_stats *s, struct apf_host_figures *ret)
{
	unsigned int seq;

	do {
		seq = read_seqcount_begin(&s->seq);
		memcpy(ret, &s->figures, sizeof(*ret));
	} while (read_seqcount_retry(&s->seq, seq));
}

#ifdef APF_HOST_DEBUG
#include "selftest/stats.c"
#endif
