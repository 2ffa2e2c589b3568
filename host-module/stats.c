// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and latency histograms of one vCPU. This file does not depend on KVM: its
 * callers pass events and times.
 *
 * Context of all functions except init and read: the vCPU's thread, which is the only
 * writer (see struct apf_host_stats); preemptible or not.
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

/**
 * apf_host_stats_not_present() - count the start of an asynchronous fault
 * @s: counters of the vCPU
 * @token: token of the fault
 * @now_nsec: CLOCK_MONOTONIC
 * @delivered: KVM stores there whether it notified the guest, before any other function
 *	of this file is called for the vCPU; NULL: do not count it
 */
void apf_host_stats_not_present(struct apf_host_stats *s, u32 token, u64 now_nsec,
				const bool *delivered)
{
	struct apf_host_figures *f = &s->figures;

	write_begin(s);
	count_delivery(s);
	s->delivered = delivered;
	f->stat[APF_STAT_NOT_PRESENT]++;
	if (f->outstanding < APF_HOST_PENDING_MAX) {
		s->pending[f->outstanding].token = token;
		s->pending[f->outstanding].since_nsec = now_nsec;
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

void apf_host_stats_ready(struct apf_host_stats *s, u32 token, u64 now_nsec)
{
	struct apf_host_figures *f = &s->figures;
	u64 nsec;
	u32 i;

	write_begin(s);
	count_delivery(s);

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

	nsec = now_nsec - s->pending[i].since_nsec;
	f->stat[APF_STAT_ASYNC_NSEC] += nsec;
	hist_add(f->hist_async, nsec);
	s->pending[i] = s->pending[--f->outstanding];
out:
	write_end(s);
}

/* KVM drops all outstanding pages: no "ready" will follow for them. */
void apf_host_stats_forgotten(struct apf_host_stats *s)
{
	struct apf_host_figures *f = &s->figures;

	write_begin(s);
	count_delivery(s);
	f->stat[APF_STAT_DROPPED] += f->outstanding;
	f->outstanding = 0;
	write_end(s);
}

void apf_host_stats_stall(struct apf_host_stats *s, u64 nsec)
{
	struct apf_host_figures *f = &s->figures;

	write_begin(s);
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
