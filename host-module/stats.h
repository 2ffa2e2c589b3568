/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_STATS_H
#define APF_HOST_STATS_H

#include <linux/atomic.h>
#include <linux/seqlock.h>
#include <linux/types.h>

#include <uapi/apf_host.h>

/*
 * KVM's limit of outstanding pages of a vCPU (ASYNC_PF_PER_VCPU). Further pages would do
 * no harm: they are counted as probe misses and not timed.
 */
#define APF_HOST_PENDING_MAX	64

/* Token for "wake all" instead of a single page. */
#define APF_HOST_TOKEN_ALL	(~0U)

/**
 * struct apf_host_clock - the clocks of a vCPU's thread at one event
 * @now_nsec: CLOCK_MONOTONIC
 * @idle_nsec: how long the vCPU was halted, plus how long the thread waited for a CPU; total
 * @thread: identifies the thread: @idle_nsec of two threads cannot be compared
 */
struct apf_host_clock {
	u64 now_nsec;
	u64 idle_nsec;
	const void *thread;
};

/**
 * struct apf_host_figures - figures of a vCPU; a reader gets a consistent copy
 * @stat: counters by &enum apf_stat
 * @hist_async: latency of asynchronous swap-ins, buckets as in the ABI
 * @hist_sync: length of synchronous stalls
 * @outstanding: number of pages that are not ready yet
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
 * @figures: the figures for readers
 * @delivered: where KVM stores whether it notified the guest of the last "not present",
 *	NULL if this was counted; valid until "ready" or "forgotten" for this page
 * @since: STAT_SAVED_NSEC includes the time until then
 * @read_nsec: when the oldest page was read that KVM has not delivered yet; 0: there is
 *	none. Outside of @seq, because KVM's workers write it, too
 * @pending: tokens that are not ready yet, unordered; the first figures.outstanding
 *	entries are in use
 *
 * There is one writer: KVM runs the hooked code in the vCPU's thread, with the vCPU's
 * mutex held, and never in an interrupt. Preemption is off during an update, so that a
 * reader never spins for long.
 */
struct apf_host_stats {
	seqcount_t seq;
	struct apf_host_figures figures;
	const bool *delivered;
	struct apf_host_clock since;
	atomic64_t read_nsec;
	struct {
		u32 token;
		u64 since_nsec;
	} pending[APF_HOST_PENDING_MAX];
};

void apf_host_stats_init(struct apf_host_stats *s);
void apf_host_stats_count(struct apf_host_stats *s, enum apf_stat which);
void apf_host_stats_asked(struct apf_host_stats *s, bool refused, bool nested, bool paused);
void apf_host_stats_not_present(struct apf_host_stats *s, u32 token,
				const struct apf_host_clock *clock, const bool *delivered);
void apf_host_stats_count_delivery(struct apf_host_stats *s);
void apf_host_stats_queued(struct apf_host_stats *s, u64 now_nsec);
void apf_host_stats_unqueued(struct apf_host_stats *s, u64 nsec);
void apf_host_stats_ready(struct apf_host_stats *s, u32 token,
			  const struct apf_host_clock *clock);
void apf_host_stats_forgotten(struct apf_host_stats *s, const struct apf_host_clock *clock);
void apf_host_stats_stall(struct apf_host_stats *s, const struct apf_host_clock *entered,
			  const struct apf_host_clock *returned);
void apf_host_stats_read(struct apf_host_stats *s, struct apf_host_figures *ret);

#ifdef APF_HOST_DEBUG
int apf_host_stats_selftest(void);
#else
static inline int apf_host_stats_selftest(void) { return 0; }
#endif

#endif /* APF_HOST_STATS_H */
