// SPDX-License-Identifier: GPL-2.0
/* Included by ../report.c under APF_HOST_DEBUG; a failure refuses the load. */
#include <linux/printk.h>
#include <linux/slab.h>

#define EXPECT(cond)								\
	do {									\
		if (!(cond)) {							\
			pr_err("self-test: report: line %d: %s\n", __LINE__, #cond); \
			ret = -EINVAL;						\
		}								\
	} while (0)

static const struct apf_guest_report selftest_good __initconst = {
	.magic = APF_GUEST_REPORT_MAGIC,
	.version = APF_GUEST_REPORT_VERSION,
	.seq = 2,
	.pool_size = 1,
};

int __init apf_host_report_selftest(void)
{
	struct apf_host_report *r = kmalloc(sizeof(*r), GFP_KERNEL);
	struct apf_guest_report raw = selftest_good;
	u32 events[APF_HOST_REPORT_EVENTS], value[__APF_GUEST_A_MAX];
	int ret = 0;

	if (!r)
		return -ENOMEM;
	apf_host_report_init(r);

	EXPECT(report_parse(&raw, value) == 0);
	raw.magic ^= 1;
	EXPECT(report_parse(&raw, value) == -ENOENT);
	raw = selftest_good;
	raw.version++;
	EXPECT(report_parse(&raw, value) == -EINVAL);
	raw.version = 0;
	EXPECT(report_parse(&raw, value) == -EINVAL);
	raw = selftest_good;
	raw.seq++;
	EXPECT(report_parse(&raw, value) == -EAGAIN);
	raw = selftest_good;
	raw.pool_size = 0;
	EXPECT(report_parse(&raw, value) == -EINVAL);
	raw.pool_size = APF_GUEST_POOL_MAX + 1;
	EXPECT(report_parse(&raw, value) == -EINVAL);
	raw = selftest_good;
	raw.pool_in_use = 2;
	EXPECT(report_parse(&raw, value) == -EINVAL);
	raw = selftest_good;
	raw.sleepers = SLEEPERS_MAX + 1;
	EXPECT(report_parse(&raw, value) == -EINVAL);
	raw = selftest_good;
	raw.stuck = 3;
	EXPECT(report_parse(&raw, value) == 0 && value[APF_GUEST_A_STUCK] == 3);
	/* In version 1 the word had no meaning, and guests leave it at zero. */
	raw.version = 1;
	EXPECT(report_parse(&raw, value) == -EINVAL);
	raw.stuck = 0;
	EXPECT(report_parse(&raw, value) == 0 && value[APF_GUEST_A_STUCK] == 0);

	/* A new report causes no events; later changes do. */
	r->present = true;
	r->value[APF_GUEST_A_POOL_TAKEN] = 7;
	EXPECT(report_events(r, events) == 0);
	r->value[APF_GUEST_A_POOL_TAKEN] = 8;
	r->value[APF_GUEST_A_POOL_IN_USE] = 1;
	EXPECT(report_has_events(r));
	EXPECT(report_events(r, events) == 1 && events[0] == APF_EVENT_POOL_TAKEN);
	EXPECT(!report_has_events(r) && report_events(r, events) == 0);
	r->value[APF_GUEST_A_POOL_IN_USE] = 0;
	EXPECT(report_events(r, events) == 1 && events[0] == APF_EVENT_POOL_RETURNED);

	/* Taken and returned between two scans: both events are sent, in this order. */
	r->value[APF_GUEST_A_POOL_TAKEN] = 9;
	EXPECT(report_events(r, events) == 2 && events[0] == APF_EVENT_POOL_TAKEN &&
	       events[1] == APF_EVENT_POOL_RETURNED);

	r->value[APF_GUEST_A_SLEEPERS] = 1;
	r->value[APF_GUEST_A_OLDEST_SLEEPER_MSEC] = U32_MAX;
	EXPECT(report_events(r, events) == 1 && events[0] == APF_EVENT_WAITER_OLD);
	EXPECT(report_events(r, events) == 0);

	r->value[APF_GUEST_A_STUCK] = 1;
	EXPECT(report_has_events(r));
	EXPECT(report_events(r, events) == 1 && events[0] == APF_EVENT_SLOT_STUCK);
	EXPECT(report_events(r, events) == 0);

	/* A first report with a node in use causes an event. */
	r->present = false;
	EXPECT(report_events(r, events) == 1 && events[0] == APF_EVENT_REPORT_GONE);
	r->present = true;
	r->value[APF_GUEST_A_SLEEPERS] = 0;
	r->value[APF_GUEST_A_POOL_IN_USE] = 1;
	EXPECT(report_events(r, events) == 1 && events[0] == APF_EVENT_POOL_TAKEN);

	kfree(r);
	return ret;
}
#undef EXPECT
