/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_STATS_H
#define APF_HOST_STATS_H

#include <linux/seqlock.h>
#include <linux/types.h>

#include <uapi/apf_host.h>

/*
 * KVM lets a vCPU have this many pages outstanding (ASYNC_PF_PER_VCPU). More
 * would not break anything: they are counted as probe misses and not timed.
 */
#define APF_HOST_PENDING_MAX	64

/**
 * struct apf_host_figures - what a reader gets of a vCPU, consistent in itself
 * @stat: counters by &enum apf_stat
 * @hist_async: latency of asynchronous swap-ins, buckets as in the ABI
 * @hist_sync: length of synchronous stalls
 * @outstanding: pages waited for now
 */
struct apf_host_figures {
	u64 stat[__APF_STAT_MAX];
	u64 hist_async[APF_HIST_BUCKETS];
	u64 hist_sync[APF_HIST_BUCKETS];
	u32 outstanding;
};

/**
 * struct apf_host_stats - counters of one vCPU
 * @seq: guards everything below against readers
 * @figures: what readers get
 * @unclassified: a "not present" was seen of which it is not known yet whether
 *	it was delivered
 * @pending: tokens told of and not ready yet, unordered, the first
 *	figures.outstanding of them in use
 *
 * There is one writer: KVM runs the probed code in the vCPU's thread, with the
 * vCPU's mutex held. Probes run with preemption off, none of the probed code
 * runs in an interrupt, and a probe inside a probe is skipped by kprobes, so
 * an update is never interrupted by another of the same vCPU.
 */
struct apf_host_stats {
	seqcount_t seq;
	struct apf_host_figures figures;
	bool unclassified;
	struct {
		u32 token;
		u64 since_nsec;
	} pending[APF_HOST_PENDING_MAX];
};

void apf_host_stats_init(struct apf_host_stats *s);
void apf_host_stats_count(struct apf_host_stats *s, enum apf_stat which);
void apf_host_stats_not_present(struct apf_host_stats *s, u32 token, u64 now_nsec);
void apf_host_stats_classified(struct apf_host_stats *s, bool delivered);
void apf_host_stats_ready(struct apf_host_stats *s, u32 token, u64 now_nsec);
void apf_host_stats_forgotten(struct apf_host_stats *s);
void apf_host_stats_stall(struct apf_host_stats *s, u64 nsec);
void apf_host_stats_read(struct apf_host_stats *s, struct apf_host_figures *ret);

#ifdef APF_HOST_DEBUG
int apf_host_stats_selftest(void);
#else
static inline int apf_host_stats_selftest(void) { return 0; }
#endif

#endif /* APF_HOST_STATS_H */
