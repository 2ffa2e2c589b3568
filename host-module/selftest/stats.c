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

int apf_host_stats_selftest(void)
{
	struct apf_host_stats *s = kmalloc(sizeof(*s), GFP_KERNEL);
	struct apf_host_figures *f;
	bool delivered, not_delivered = false;
	int ret = 0;
	u32 i;

	if (!s)
		return -ENOMEM;
	f = &s->figures;

	/* Bucket borders, and that nothing falls off the end. */
	apf_host_stats_init(s);
	apf_host_stats_stall(s, 999);
	apf_host_stats_stall(s, 1000);
	apf_host_stats_stall(s, 1999);
	apf_host_stats_stall(s, 2000);
	apf_host_stats_stall(s, 5000000);
	apf_host_stats_stall(s, U64_MAX);
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
		apf_host_stats_not_present(s, i << 12, 1000 * i, &delivered);
		apf_host_stats_count_delivery(s);
	}
	EXPECT(f->outstanding == APF_HOST_PENDING_MAX);
	EXPECT(f->stat[APF_STAT_PROBE_MISSES] == 1);
	EXPECT(f->stat[APF_STAT_DELIVERED] == APF_HOST_PENDING_MAX / 2 + 1);
	EXPECT(f->stat[APF_STAT_HALTED] == APF_HOST_PENDING_MAX / 2);

	/* Out of order, each with its own time; the 65th is not known. */
	for (i = APF_HOST_PENDING_MAX + 1; i >= 1; i--)
		apf_host_stats_ready(s, i << 12, 1000 * i + 3000);
	EXPECT(f->outstanding == 0);
	EXPECT(f->hist_async[2] == APF_HOST_PENDING_MAX);
	EXPECT(f->stat[APF_STAT_ASYNC_NSEC] == 3000 * APF_HOST_PENDING_MAX);
	EXPECT(f->stat[APF_STAT_READY] == APF_HOST_PENDING_MAX + 1);
	EXPECT(f->stat[APF_STAT_READY_UNKNOWN] == 1);

	/* The next call counts, only once, whether the guest was notified of a fault. */
	apf_host_stats_init(s);
	delivered = true;
	apf_host_stats_not_present(s, 1 << 12, 0, &delivered);
	EXPECT(f->stat[APF_STAT_DELIVERED] == 0);
	apf_host_stats_not_present(s, 2 << 12, 0, &not_delivered);
	EXPECT(f->stat[APF_STAT_DELIVERED] == 1 && f->stat[APF_STAT_HALTED] == 0);
	apf_host_stats_count_delivery(s);
	apf_host_stats_count_delivery(s);
	EXPECT(f->stat[APF_STAT_DELIVERED] == 1 && f->stat[APF_STAT_HALTED] == 1);
	apf_host_stats_not_present(s, 3 << 12, 0, NULL);
	apf_host_stats_forgotten(s);
	apf_host_stats_ready(s, APF_HOST_TOKEN_ALL, 0);
	EXPECT(f->outstanding == 0);
	EXPECT(f->stat[APF_STAT_NOT_PRESENT] ==
	       f->stat[APF_STAT_READY] - f->stat[APF_STAT_READY_UNKNOWN] +
	       f->stat[APF_STAT_DROPPED] + f->outstanding);
	EXPECT(f->stat[APF_STAT_READY_ALL] == 1);

	kfree(s);
	return ret;
}
#undef EXPECT
