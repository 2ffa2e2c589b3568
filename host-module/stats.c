// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and latency histograms of one vCPU. Knows nothing of KVM: it is
 * told what happened and when.
 *
 * Context of every function but init and read: a probe in the vCPU's thread,
 * preemption off (see struct apf_host_stats).
 */
#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "stats.h"

/* The guest's "wake all" instead of one page. */
#define TOKEN_ALL	(~0U)

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

void apf_host_stats_count(struct apf_host_stats *s, enum apf_stat which)
{
	raw_write_seqcount_begin(&s->seq);
	s->figures.stat[which]++;
	raw_write_seqcount_end(&s->seq);
}

void apf_host_stats_not_present(struct apf_host_stats *s, u32 token, u64 now_nsec)
{
	struct apf_host_figures *f = &s->figures;

	raw_write_seqcount_begin(&s->seq);

	f->stat[APF_STAT_NOT_PRESENT]++;

	/* Still set: the return of the previous one was not seen. */
	if (s->unclassified)
		f->stat[APF_STAT_PROBE_MISSES]++;
	s->unclassified = true;

	if (f->outstanding < APF_HOST_PENDING_MAX) {
		s->pending[f->outstanding].token = token;
		s->pending[f->outstanding].since_nsec = now_nsec;
		f->outstanding++;
	} else {
		f->stat[APF_STAT_PROBE_MISSES]++;
	}

	raw_write_seqcount_end(&s->seq);
}

void apf_host_stats_classified(struct apf_host_stats *s, bool delivered)
{
	/* VM_ADD came between the tracepoint and the function's return. */
	if (!s->unclassified)
		return;

	raw_write_seqcount_begin(&s->seq);
	s->unclassified = false;
	s->figures.stat[delivered ? APF_STAT_DELIVERED : APF_STAT_HALTED]++;
	raw_write_seqcount_end(&s->seq);
}

void apf_host_stats_ready(struct apf_host_stats *s, u32 token, u64 now_nsec)
{
	struct apf_host_figures *f = &s->figures;
	u64 nsec;
	u32 i;

	raw_write_seqcount_begin(&s->seq);

	if (token == TOKEN_ALL) {
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
	raw_write_seqcount_end(&s->seq);
}

/* KVM drops all that is outstanding: there will be no "ready" for it. */
void apf_host_stats_forgotten(struct apf_host_stats *s)
{
	struct apf_host_figures *f = &s->figures;

	raw_write_seqcount_begin(&s->seq);
	f->stat[APF_STAT_DROPPED] += f->outstanding;
	f->outstanding = 0;
	raw_write_seqcount_end(&s->seq);
}

void apf_host_stats_stall(struct apf_host_stats *s, u64 nsec)
{
	struct apf_host_figures *f = &s->figures;

	raw_write_seqcount_begin(&s->seq);
	f->stat[APF_STAT_SYNC_STALLS]++;
	f->stat[APF_STAT_SYNC_STALL_NSEC] += nsec;
	hist_add(f->hist_sync, nsec);
	raw_write_seqcount_end(&s->seq);
}

/* Context: any; spins only for the few instructions of an update. */
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
