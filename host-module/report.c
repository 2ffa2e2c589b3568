// SPDX-License-Identifier: GPL-2.0
/*
 * What the guest's module reports of its sleep/wake table. The block lies in
 * the guest's memory and is hostile input: it is copied once, every field is
 * checked, and the worst a lie can do is to close the gate of the vCPU that
 * tells it, which the guest could have by not asking for APF at all.
 *
 * Looks come from two sides, the vCPU's own thread (probe.c) and a work item
 * for idle vCPUs (vm.c); apf_host_report.lock keeps them apart.
 */
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "netlink.h"
#include "report.h"
#include "vm.h"

/* No kernel runs more tasks than this (PID_MAX_LIMIT on 64 bit). */
#define SLEEPERS_MAX	(4U << 20)

static uint waiter_limit_ms = 30000;
module_param(waiter_limit_ms, uint, 0644);
MODULE_PARM_DESC(waiter_limit_ms,
		 "Tell when a guest's task waits for a page for longer than this, milliseconds; 0: never (default: 30000)");

void apf_host_report_init(struct apf_host_report *r)
{
	memset(r, 0, sizeof(*r));
	raw_spin_lock_init(&r->lock);
}

/*
 * report_parse() - check a copy of the block
 *
 * Return: 0 and @value filled; -ENOENT if it is not a report; -EAGAIN if the
 * guest was writing it; -EINVAL if it makes no sense.
 */
static int report_parse(const struct apf_guest_report *raw, u32 *value)
{
	u32 size = le16_to_cpu((__force __le16)raw->pool_size);
	u32 in_use = le16_to_cpu((__force __le16)raw->pool_in_use);
	u32 sleepers = le32_to_cpu((__force __le32)raw->sleepers);

	if (le32_to_cpu((__force __le32)raw->magic) != APF_GUEST_REPORT_MAGIC)
		return -ENOENT;
	if (le16_to_cpu((__force __le16)raw->version) != APF_GUEST_REPORT_VERSION)
		return -EINVAL;
	if (le32_to_cpu((__force __le32)raw->seq) & 1)
		return -EAGAIN;
	if (size < 1 || size > APF_GUEST_POOL_MAX || in_use > size || sleepers > SLEEPERS_MAX ||
	    raw->reserved)
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
	return 0;
}

static bool report_old(const struct apf_host_report *r)
{
	u32 limit = READ_ONCE(waiter_limit_ms);

	return limit && r->value[APF_GUEST_A_SLEEPERS] &&
	       r->value[APF_GUEST_A_OLDEST_SLEEPER_MSEC] >= limit;
}

/* Is there something user space does not know? Under r->lock. */
static bool report_news(const struct apf_host_report *r)
{
	if (r->present != r->told.present)
		return true;
	if (!r->present)
		return false;
	return r->value[APF_GUEST_A_POOL_TAKEN] != r->told.taken ||
	       r->value[APF_GUEST_A_POOL_EXHAUSTED] != r->told.exhausted ||
	       !!r->value[APF_GUEST_A_POOL_IN_USE] != r->told.in_use ||
	       report_old(r) != r->told.old;
}

static void report_store(struct apf_host_vm *vm, struct apf_host_report *r, const u32 *value,
			 u64 now_nsec)
{
	unsigned long flags;
	bool news;

	raw_spin_lock_irqsave(&r->lock, flags);
	if (now_nsec < r->stored_nsec) {
		raw_spin_unlock_irqrestore(&r->lock, flags);
		return;
	}
	r->stored_nsec = now_nsec;
	r->present = value;
	if (value) {
		memcpy(r->value, value, sizeof(r->value));
		r->seen_nsec = now_nsec;
	}
	WRITE_ONCE(r->paused, value && value[APF_GUEST_A_POOL_IN_USE]);
	news = report_news(r);
	raw_spin_unlock_irqrestore(&r->lock, flags);

	if (news)
		apf_host_vm_tell(vm);
}

/**
 * apf_host_report_found() - take in what a look found
 * @vm: the VM
 * @r: report of one of its vCPUs
 * @raw: copy of the block
 * @now_nsec: CLOCK_MONOTONIC
 *
 * A block that makes no sense counts as no report; one that was being written
 * changes nothing, the next look will do.
 *
 * Context: any but NMI.
 */
void apf_host_report_found(struct apf_host_vm *vm, struct apf_host_report *r,
			   const struct apf_guest_report *raw, u64 now_nsec)
{
	u32 value[__APF_GUEST_A_MAX] = {};

	switch (report_parse(raw, value)) {
	case 0:
		report_store(vm, r, value, now_nsec);
		break;
	case -EINVAL:
		atomic64_inc(&r->bad);
		fallthrough;
	case -ENOENT:
		report_store(vm, r, NULL, now_nsec);
		break;
	}
}

/* As apf_host_report_found(), for a vCPU whose guest named no area to KVM. */
void apf_host_report_none(struct apf_host_vm *vm, struct apf_host_report *r, u64 now_nsec)
{
	if (READ_ONCE(r->present))
		report_store(vm, r, NULL, now_nsec);
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
 * What to tell of one vCPU, oldest first; at most one of each kind. Marks it
 * as told. Under r->lock.
 */
static int report_events(struct apf_host_report *r, u32 *events)
{
	bool in_use = r->value[APF_GUEST_A_POOL_IN_USE], old = report_old(r);
	u32 taken = r->value[APF_GUEST_A_POOL_TAKEN];
	u32 exhausted = r->value[APF_GUEST_A_POOL_EXHAUSTED];
	int n = 0;

	if (!r->present) {
		if (r->told.present)
			events[n++] = APF_EVENT_REPORT_GONE;
		memset(&r->told, 0, sizeof(r->told));
		return n;
	}

	/* A report that is new, or begins anew, has its totals from before. */
	if (!r->told.present || taken < r->told.taken || exhausted < r->told.exhausted) {
		r->told.taken = taken - in_use;
		r->told.exhausted = exhausted;
		r->told.in_use = false;
	}
	if (taken != r->told.taken)
		events[n++] = APF_EVENT_POOL_TAKEN;
	if (exhausted != r->told.exhausted)
		events[n++] = APF_EVENT_POOL_EXHAUSTED;
	if (!in_use && (r->told.in_use || taken != r->told.taken))
		events[n++] = APF_EVENT_POOL_RETURNED;
	if (old && !r->told.old)
		events[n++] = APF_EVENT_WAITER_OLD;

	r->told.present = true;
	r->told.in_use = in_use;
	r->told.old = old;
	r->told.taken = taken;
	r->told.exhausted = exhausted;
	return n;
}

/* In one run of the work item: with its pace, what a guest of many vCPUs can make us say. */
#define EVENTS_PER_RUN 16

/**
 * apf_host_report_tell() - tell user space what is new in a VM's reports
 * @vm: the VM
 *
 * What does not fit into one run is told by the next, which goes on where this one ended.
 *
 * Context: process; a work item of the VM, which paces it.
 */
void apf_host_report_tell(struct apf_host_vm *vm)
{
	u32 events[4], value[__APF_GUEST_A_MAX], looked, i;
	struct apf_host_vcpu *vcpu;
	unsigned long flags;
	int n, k, told = 0;

	for (looked = 0; looked < vm->vcpus_max; looked++) {
		if (told >= EVENTS_PER_RUN) {
			apf_host_vm_tell(vm);
			return;
		}
		i = vm->tell_next < vm->vcpus_max ? vm->tell_next : 0;
		vm->tell_next = i + 1;
		vcpu = smp_load_acquire(&vm->vcpus[i]);
		if (!vcpu)
			continue;
		raw_spin_lock_irqsave(&vcpu->report.lock, flags);
		n = report_events(&vcpu->report, events);
		raw_spin_unlock_irqrestore(&vcpu->report.lock, flags);
		if (!n)
			continue;
		apf_host_report_get(&vcpu->report, value);
		for (k = 0; k < n; k++)
			apf_host_netlink_report(vm, i, events[k], value);
		told += n;
	}
}

#ifdef APF_HOST_DEBUG
#include "selftest/report.c"
#endif
