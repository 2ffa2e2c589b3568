/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_REPORT_H
#define APF_HOST_REPORT_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include <uapi/apf_guest.h>
#include <uapi/apf_host.h>

struct apf_host_vm;

/**
 * struct apf_host_report - what the guest last said of one vCPU
 * @lock: guards everything below; taken in probes, hence raw and irqsave
 * @present: there is a report
 * @stored_nsec: CLOCK_MONOTONIC of the last look that was stored; an older one
 *	that comes late is dropped
 * @seen_nsec: CLOCK_MONOTONIC of the last look that found it as it is here
 * @value: by &enum apf_guest_attr, AGE_MSEC unused
 * @told: what user space was told of last
 * @paused: an emergency node is in use: gate closed; read with READ_ONCE()
 * @looked_nsec: CLOCK_MONOTONIC of the last look, whatever it found; racy on
 *	purpose, it only paces
 * @bad: looks that found nonsense
 */
struct apf_host_report {
	raw_spinlock_t lock;
	bool present;
	u64 stored_nsec;
	u64 seen_nsec;
	u32 value[__APF_GUEST_A_MAX];
	struct {
		bool present, in_use, old;
		u32 taken, exhausted;
	} told;
	bool paused;
	u64 looked_nsec;
	atomic64_t bad;
};

/* A report younger than this is not looked for again, but while paused. */
#define APF_HOST_LOOK_NSEC	(20 * NSEC_PER_MSEC)

void apf_host_report_init(struct apf_host_report *r);
void apf_host_report_found(struct apf_host_vm *vm, struct apf_host_report *r,
			   const struct apf_guest_report *raw, u64 now_nsec);
void apf_host_report_none(struct apf_host_vm *vm, struct apf_host_report *r, u64 now_nsec);
bool apf_host_report_get(struct apf_host_report *r, u32 *value);
void apf_host_report_tell(struct apf_host_vm *vm);

#ifdef APF_HOST_DEBUG
int apf_host_report_selftest(void);
#else
static inline int apf_host_report_selftest(void) { return 0; }
#endif

#endif /* APF_HOST_REPORT_H */
