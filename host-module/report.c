// SPDX-License-Identifier: GPL-2.0
/*
 * The report of the guest's module about its sleep/wake table. The block is in guest
 * memory and is hostile input: it is copied once and every field is checked. A false
 * report can only close the gate of its own vCPU; the guest can have the same effect by
 * not enabling APF.
 *
 * The vCPU's own thread and, for idle vCPUs, a work item (vm.c) scan reports;
 * apf_host_report.lock serializes them.
 */
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "report.h"

/* The maximum number of tasks of a kernel (PID_MAX_LIMIT on 64 bit). */
#define SLEEPERS_MAX	(4U << 20)

static uint waiter_limit_ms = 30000;
module_param(waiter_limit_ms, uint, 0644);
MODULE_PARM_DESC(waiter_limit_ms,
		 "Send an event when a task of a guest waits for a page for longer than this, milliseconds; 0: never (default: 30000)");

void apf_host_report_init(struct apf_host_report *r)
{
	memset(r, 0, sizeof(*r));
	raw_spin_lock_init(&r->lock);
}

/*
 * report_parse() - check a copy of the block
 *
 * Return: 0 and @value is filled; -ENOENT if it is not a report; -EAGAIN if the
 * guest was writing it; -EINVAL if its values are invalid.
 */
static int report_parse(const struct apf_guest_report *raw, u32 *value)
{
	u32 size = le16_to_cpu((__force __le16)raw->pool_size);
	u32 in_use = le16_to_cpu((__force __le16)raw->pool_in_use);
	u32 sleepers = le32_to_cpu((__force __le32)raw->sleepers);
	u32 version = le16_to_cpu((__force __le16)raw->version);

	if (le32_to_cpu((__force __le32)raw->magic) != APF_GUEST_REPORT_MAGIC)
		return -ENOENT;
	if (version < 1 || version > APF_GUEST_REPORT_VERSION)
		return -EINVAL;
	if (le32_to_cpu((__force __le32)raw->seq) & 1)
		return -EAGAIN;
	if (size < 1 || size > APF_GUEST_POOL_MAX || in_use > size || sleepers > SLEEPERS_MAX ||
	    (version < 2 && raw->stuck))
		return -EINVAL;

	value[APF_GUEST_A_POOL_SIZE] = size;
	value[APF_GUEST_A_POOL_IN_USE] = in_use;
	value[APF_GUEST_A_POOL_TAKEN] = le32_to_cpu((__force __le32)raw->pool_taken);
	value[APF_GUEST_A_POOL_EXHAUSTED] = le32_to_cpu((__force __le32)raw->pool_exhausted);
	value[APF_GUEST_A_SLEEPERS] = sleepers;
	value[APF_GUEST_A_EARLY_WAKES] = le32_to_cpu((__force __le32)raw->early_wakes);
	value[APF_GUEST_A_RESCUES] = le32_to_cpu((__force __le32)raw->rescues);
	value[APF_GUEST_A_UNKNOWN_TOKENS] = le32_to_cpu((__force __le32)raw->unknown_tokens);
	value[APF_GUEST_A_OLDEST_SLEEPER_MSEC] =
		le32_to_cpu((__force __le32)raw->oldest_sleeper_ms);
	value[APF_GUEST_A_WAITS] = le32_to_cpu((__force __le32)raw->waits);
	value[APF_GUEST_A_WAKES] = le32_to_cpu((__force __le32)raw->wakes);
	value[APF_GUEST_A_STUCK] = le32_to_cpu((__force __le32)raw->stuck);
	return 0;
}

static bool report_old(const struct apf_host_report *r)
{
	u32 limit = READ_ONCE(waiter_limit_ms);

	return limit && r->value[APF_GUEST_A_SLEEPERS] &&
	       r->value[APF_GUEST_A_OLDEST_SLEEPER_MSEC] >= limit;
}

/* Whether there are events that were not sent yet. Under r->lock. */
static bool report_has_events(const struct apf_host_report *r)
{
	if (r->present != r->sent.present)
		return true;
	if (!r->present)
		return false;
	return r->value[APF_GUEST_A_POOL_TAKEN] != r->sent.taken ||
	       r->value[APF_GUEST_A_POOL_EXHAUSTED] != r->sent.exhausted ||
	       r->value[APF_GUEST_A_STUCK] != r->sent.stuck ||
	       !!r->value[APF_GUEST_A_POOL_IN_USE] != r->sent.in_use ||
	       report_old(r) != r->sent.old;
}

/* Returns true if there are events to send. */
static bool report_store(struct apf_host_report *r, const u32 *value, u64 now_nsec)
{
	unsigned long flags;
	bool has_events;

	raw_spin_lock_irqsave(&r->lock, flags);
	if (now_nsec < r->stored_nsec) {
		raw_spin_unlock_irqrestore(&r->lock, flags);
		return false;
	}
	r->stored_nsec = now_nsec;
	r->present = value;
	if (value) {
		memcpy(r->value, value, sizeof(r->value));
		r->seen_nsec = now_nsec;
	}
	WRITE_ONCE(r->paused, value && value[APF_GUEST_A_POOL_IN_USE]);
	has_events = report_has_events(r);
	raw_spin_unlock_irqrestore(&r->lock, flags);

	return has_events;
}

/**
 * apf_host_report_found() - store the result of a scan
 * @r: report of one vCPU
 * @raw: copy of the block
 * @now_nsec: CLOCK_MONOTONIC
 *
 * An invalid block counts as no report. A block that the guest was writing changes
 * nothing; the next scan will read it.
 *
 * Context: any but NMI.
 * Return: true if there are events to send.
 */
bool apf_host_report_found(struct apf_host_report *r, const struct apf_guest_report *raw,
			   u64 now_nsec)
{
	u32 value[__APF_GUEST_A_MAX] = {};

	switch (report_parse(raw, value)) {
	case 0:
		return report_store(r, value, now_nsec);
	case -EINVAL:
		atomic64_inc(&r->bad);
		fallthrough;
	case -ENOENT:
		return report_store(r, NULL, now_nsec);
	}
	return false;
}

/* As apf_host_report_found(), for a vCPU whose guest has not given KVM an area. */
bool apf_host_report_none(struct apf_host_report *r, u64 now_nsec)
{
	return READ_ONCE(r->present) && report_store(r, NULL, now_nsec);
}

/**
 * apf_host_report_get() - the last report
 * @r: the report
 * @value: by &enum apf_guest_attr, AGE_MSEC included
 *
 * Return: false if there is none.
 */
bool apf_host_report_get(struct apf_host_report *r, u32 *value)
{
	unsigned long flags;
	bool present;
	u64 age_nsec;

	raw_spin_lock_irqsave(&r->lock, flags);
	present = r->present;
	memcpy(value, r->value, sizeof(r->value));
	age_nsec = ktime_get_ns() - r->seen_nsec;
	raw_spin_unlock_irqrestore(&r->lock, flags);

	value[APF_GUEST_A_AGE_MSEC] = min_t(u64, div_u64(age_nsec, NSEC_PER_MSEC), U32_MAX);
	return present;
}

/*
 * Lists the new events of one vCPU, oldest first, at most one of each kind, and marks
 * them as sent. Under r->lock.
 */
static int report_events(struct apf_host_report *r, u32 *events)
{
	bool in_use = r->value[APF_GUEST_A_POOL_IN_USE], old = report_old(r);
	u32 taken = r->value[APF_GUEST_A_POOL_TAKEN];
	u32 exhausted = r->value[APF_GUEST_A_POOL_EXHAUSTED];
	u32 stuck = r->value[APF_GUEST_A_STUCK];
	int n = 0;

	if (!r->present) {
		if (r->sent.present)
			events[n++] = APF_EVENT_REPORT_GONE;
		memset(&r->sent, 0, sizeof(r->sent));
		return n;
	}

	/* A new report, or one with restarted totals: send no events for its earlier totals. */
	if (!r->sent.present || taken < r->sent.taken || exhausted < r->sent.exhausted ||
	    stuck < r->sent.stuck) {
		r->sent.taken = taken - in_use;
		r->sent.exhausted = exhausted;
		r->sent.stuck = stuck;
		r->sent.in_use = false;
	}
	if (taken != r->sent.taken)
		events[n++] = APF_EVENT_POOL_TAKEN;
	if (exhausted != r->sent.exhausted)
		events[n++] = APF_EVENT_POOL_EXHAUSTED;
	if (!in_use && (r->sent.in_use || taken != r->sent.taken))
		events[n++] = APF_EVENT_POOL_RETURNED;
	if (old && !r->sent.old)
		events[n++] = APF_EVENT_WAITER_OLD;
	if (stuck != r->sent.stuck)
		events[n++] = APF_EVENT_SLOT_STUCK;

	r->sent.present = true;
	r->sent.in_use = in_use;
	r->sent.old = old;
	r->sent.taken = taken;
	r->sent.exhausted = exhausted;
	r->sent.stuck = stuck;
	return n;
}

/**
 * apf_host_report_events() - list the new events of a report and mark them as sent
 * @r: the report
 * @events: array of APF_HOST_REPORT_EVENTS; &enum apf_event, to be sent in this
 *	order
 * @value: as apf_host_report_get()
 *
 * Return: number of events.
 */
int apf_host_report_events(struct apf_host_report *r, u32 *events, u32 *value)
{
	unsigned long flags;
	int n;

	raw_spin_lock_irqsave(&r->lock, flags);
	n = report_events(r, events);
	raw_spin_unlock_irqrestore(&r->lock, flags);
	if (n)
		apf_host_report_get(r, value);
	return n;
}

#ifdef APF_HOST_DEBUG
#include "selftest/report.c"
#endif
