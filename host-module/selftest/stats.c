// SPDX-License-Identifier: GPL-2.0
/* Included by ../stats.c under APF_HOST_DEBUG; a failure refuses the load. */
#include <linux/printk.h>
#include <linux/slab.h>

#define EXPECT(cond)								\
	do {									\
		if (!(cond)) {							\
			pr_err("self-test: stats: line %d: %s\n", __LINE__, #cond); \
			ret = -EINVAL;						\
		}								\
	} while (0)

#define MSEC	1000000ULL

/* A stall of @nsec that begins at 0. */
static void selftest_stall(struct apf_host_stats *s, u64 nsec)
{
	const struct apf_host_clock entered = {}, returned = { .now_nsec = nsec };

	apf_host_stats_stall(s, &entered, &returned);
}

/* @now and @idle: milliseconds. */
static struct apf_host_clock selftest_clock(u64 now, u64 idle)
{
	return (struct apf_host_clock){ now * MSEC, idle * MSEC, "thread" };
}

static void selftest_start(struct apf_host_stats *s, u32 token, u64 now, u64 idle)
{
	struct apf_host_clock clock = selftest_clock(now, idle);

	apf_host_stats_not_present(s, token, &clock, NULL);
}

static void selftest_end(struct apf_host_stats *s, u32 token, u64 now, u64 idle)
{
	struct apf_host_clock clock = selftest_clock(now, idle);

	apf_host_stats_ready(s, token, &clock);
}

/* The time in which the vCPU ran although pages were outstanding, in milliseconds. */
static int selftest_saved(struct apf_host_stats *s)
{
	const u64 *saved = &s->figures.stat[APF_STAT_SAVED_NSEC];
	struct apf_host_clock clock, later;
	int ret = 0;

	/* It runs for 2 of 5 ms, and is halted, or waits for a CPU, for 3 ms. */
	apf_host_stats_init(s);
	selftest_start(s, 1, 100, 50);
	selftest_end(s, 1, 105, 53);
	EXPECT(*saved == 2 * MSEC);
	/* Nothing is outstanding. */
	selftest_start(s, 2, 200, 53);
	EXPECT(*saved == 2 * MSEC);
	/* Two pages at once count once. */
	selftest_start(s, 3, 202, 53);
	selftest_end(s, 2, 205, 53);
	selftest_end(s, 3, 207, 53);
	EXPECT(*saved == 9 * MSEC);
	EXPECT(s->figures.stat[APF_STAT_ASYNC_NSEC] == 15 * MSEC);

	/* Waits that are subtracted twice do not make it shrink. */
	apf_host_stats_init(s);
	selftest_start(s, 1, 0, 0);
	selftest_end(s, 1, 5, 8);
	EXPECT(*saved == 0);

	/* User space runs the vCPU again an hour after the page was read. */
	selftest_start(s, 2, 10, 8);
	apf_host_stats_queued(s, 14 * MSEC);
	apf_host_stats_queued(s, 15 * MSEC);
	selftest_end(s, 2, 3600000, 8);
	EXPECT(*saved == 4 * MSEC);

	/* A page that was read still waits for delivery: the next one is outstanding alone. */
	apf_host_stats_init(s);
	selftest_start(s, 1, 0, 0);
	selftest_start(s, 2, 0, 0);
	selftest_start(s, 3, 0, 0);
	apf_host_stats_queued(s, 5 * MSEC);
	selftest_end(s, 1, 6, 0);
	apf_host_stats_queued(s, 6 * MSEC);
	selftest_end(s, 2, 8, 0);
	EXPECT(*saved == 5 * MSEC);
	selftest_end(s, 3, 9, 0);
	EXPECT(*saved == 6 * MSEC);

	/* The vCPU's thread has delivered the page before KVM's worker told of it. */
	apf_host_stats_init(s);
	selftest_start(s, 1, 0, 0);
	selftest_start(s, 2, 0, 0);
	selftest_end(s, 1, 5, 0);
	apf_host_stats_queued(s, 6 * MSEC);
	apf_host_stats_unqueued(s, 6 * MSEC);
	selftest_end(s, 2, 9, 0);
	EXPECT(*saved == 9 * MSEC);

	/* A stall from 2 to 9 ms stops the vCPU, although a page is outstanding. */
	apf_host_stats_init(s);
	selftest_start(s, 1, 0, 0);
	clock = selftest_clock(2, 0);
	later = selftest_clock(9, 1);
	apf_host_stats_queued(s, 5 * MSEC);
	apf_host_stats_stall(s, &clock, &later);
	selftest_end(s, 1, 10, 1);
	EXPECT(*saved == 2 * MSEC);

	/* KVM drops the pages. */
	selftest_start(s, 2, 20, 1);
	clock = selftest_clock(23, 1);
	apf_host_stats_forgotten(s, &clock);
	selftest_start(s, 3, 30, 1);
	EXPECT(*saved == 5 * MSEC);

	/* Another thread runs the vCPU: its idle time has another origin. */
	clock = (struct apf_host_clock){ 35 * MSEC, 0, "another thread" };
	apf_host_stats_ready(s, 3, &clock);
	EXPECT(*saved == 5 * MSEC);
	return ret;
}

int apf_host_stats_selftest(void)
{
	struct apf_host_stats *s = kmalloc(sizeof(*s), GFP_KERNEL);
	struct apf_host_figures *f;
	bool delivered, not_delivered = false;
	struct apf_host_clock clock = {};
	int ret = 0;
	u32 i;

	if (!s)
		return -ENOMEM;
	f = &s->figures;

	/* Bucket borders, and that nothing falls off the end. */
	apf_host_stats_init(s);
	selftest_stall(s, 999);
	selftest_stall(s, 1000);
	selftest_stall(s, 1999);
	selftest_stall(s, 2000);
	selftest_stall(s, 5000000);
	selftest_stall(s, U64_MAX);
	EXPECT(f->hist_sync[0] == 1);
	EXPECT(f->hist_sync[1] == 2);
	EXPECT(f->hist_sync[2] == 1);
	EXPECT(f->hist_sync[13] == 1);
	EXPECT(f->hist_sync[APF_HIST_BUCKETS - 1] == 1);
	EXPECT(f->stat[APF_STAT_SYNC_STALLS] == 6);

	/* More tokens than KVM allows: counted, never written past the end. */
	apf_host_stats_init(s);
	for (i = 1; i <= APF_HOST_PENDING_MAX + 1; i++) {
		delivered = i & 1;
		clock.now_nsec = 1000 * i;
		apf_host_stats_not_present(s, i << 12, &clock, &delivered);
		apf_host_stats_count_delivery(s);
	}
	EXPECT(f->outstanding == APF_HOST_PENDING_MAX);
	EXPECT(f->stat[APF_STAT_PROBE_MISSES] == 1);
	EXPECT(f->stat[APF_STAT_DELIVERED] == APF_HOST_PENDING_MAX / 2 + 1);
	EXPECT(f->stat[APF_STAT_HALTED] == APF_HOST_PENDING_MAX / 2);

	/* Out of order, each with its own time; the 65th is not known. */
	for (i = APF_HOST_PENDING_MAX + 1; i >= 1; i--) {
		clock.now_nsec = 1000 * i + 3000;
		apf_host_stats_ready(s, i << 12, &clock);
	}
	EXPECT(f->outstanding == 0);
	EXPECT(f->hist_async[2] == APF_HOST_PENDING_MAX);
	EXPECT(f->stat[APF_STAT_ASYNC_NSEC] == 3000 * APF_HOST_PENDING_MAX);
	EXPECT(f->stat[APF_STAT_READY] == APF_HOST_PENDING_MAX + 1);
	EXPECT(f->stat[APF_STAT_READY_UNKNOWN] == 1);

	/* The next call counts, only once, whether the guest was notified of a fault. */
	apf_host_stats_init(s);
	delivered = true;
	apf_host_stats_not_present(s, 1 << 12, &clock, &delivered);
	EXPECT(f->stat[APF_STAT_DELIVERED] == 0);
	apf_host_stats_not_present(s, 2 << 12, &clock, &not_delivered);
	EXPECT(f->stat[APF_STAT_DELIVERED] == 1 && f->stat[APF_STAT_HALTED] == 0);
	apf_host_stats_count_delivery(s);
	apf_host_stats_count_delivery(s);
	EXPECT(f->stat[APF_STAT_DELIVERED] == 1 && f->stat[APF_STAT_HALTED] == 1);
	apf_host_stats_not_present(s, 3 << 12, &clock, NULL);
	apf_host_stats_forgotten(s, &clock);
	apf_host_stats_ready(s, APF_HOST_TOKEN_ALL, &clock);
	EXPECT(f->outstanding == 0);
	EXPECT(f->stat[APF_STAT_NOT_PRESENT] ==
	       f->stat[APF_STAT_READY] - f->stat[APF_STAT_READY_UNKNOWN] +
	       f->stat[APF_STAT_DROPPED] + f->outstanding);
	EXPECT(f->stat[APF_STAT_READY_ALL] == 1);

	if (!ret)
		ret = selftest_saved(s);
	kfree(s);
	return ret;
}
#undef MSEC
#undef EXPECT
