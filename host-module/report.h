/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_REPORT_H
#define APF_HOST_REPORT_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include <uapi/apf_guest.h>
#include <uapi/apf_host.h>

/**
 * struct apf_host_report - the guest's last report about one vCPU
 * @lock: guards all other fields; taken in handlers, therefore raw and irqsave
 * @present: there is a report
 * @stored_nsec: CLOCK_MONOTONIC of the last stored scan; older scans are dropped
 * @seen_nsec: CLOCK_MONOTONIC of the last scan that found a report
 * @value: by &enum apf_guest_attr, AGE_MSEC unused
 * @sent: values in the last events that were sent
 * @paused: an emergency node is in use, so the gate is closed; read with READ_ONCE()
 * @scanned_nsec: CLOCK_MONOTONIC of the last scan, with any result; only limits the
 *	rate of scans, so races do not matter
 * @bad: number of scans that found an invalid report
 */
struct apf_host_report {
	raw_spinlock_t lock;
	bool present;
	u64 stored_nsec;
	u64 seen_nsec;
	u32 value[__APF_GUEST_A_MAX];
	struct {
		bool present, in_use, old;
		u32 taken, exhausted, stuck;
	} sent;
	bool paused;
	u64 scanned_nsec;
	atomic64_t bad;
};

/* Maximum number of events of one apf_host_report_events(). */
#define APF_HOST_REPORT_EVENTS	5

void apf_host_report_init(struct apf_host_report *r);
bool apf_host_report_found(struct apf_host_report *r, const struct apf_guest_report *raw,
			   u64 now_nsec);
bool apf_host_report_none(struct apf_host_report *r, u64 now_nsec);
bool apf_host_report_get(struct apf_host_report *r, u32 *value);
int apf_host_report_events(struct apf_host_report *r, u32 *events, u32 *value);

#ifdef APF_HOST_DEBUG
int apf_host_report_selftest(void);
#else
static inline int apf_host_report_selftest(void) { return 0; }
#endif

#endif /* APF_HOST_REPORT_H */
