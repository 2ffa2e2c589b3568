/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The report block of apf_guest: what a guest's sleep/wake table says to its host.
 *
 * Each vCPU of a KVM guest names a 64-byte struct kvm_vcpu_pv_apf_data to the host through
 * MSR_KVM_ASYNC_PF_EN. KVM uses its first 8 bytes; the 56 bytes of padding behind them are zero in
 * every Linux guest. apf_guest puts one struct apf_guest_report there, at offset
 * APF_GUEST_REPORT_OFFSET of the area, on every vCPU it runs on, and only where it found zeros.
 *
 * Who writes, who clears: only the vCPU that owns the area writes the block; it sets the block to
 * zero again when the module goes, and when the vCPU goes offline, is suspended or reboots. The
 * host only reads. All figures belong to this one vCPU, and all but the "now" ones only grow,
 * modulo 2^32.
 *
 * How to read: as with a seqcount. Read @seq, give up while it is odd, read the fields, read @seq
 * again, start over if it has changed, a bounded number of times. The values come from a guest:
 * check each as hostile input.
 *
 * All fields are little-endian, as the rest of the area is.
 */
#ifndef APF_GUEST_UAPI_H
#define APF_GUEST_UAPI_H

#include <linux/types.h>

/* "APFG" */
#define APF_GUEST_REPORT_MAGIC	 0x41504647U
#define APF_GUEST_REPORT_VERSION 1
/* Bytes from the guest-physical address in MSR_KVM_ASYNC_PF_EN to the block. */
#define APF_GUEST_REPORT_OFFSET	 8
/* The size of the block. */
#define APF_GUEST_REPORT_SIZE	 56
/* The most emergency nodes a vCPU may have; a larger @pool_size is not from this module. */
#define APF_GUEST_POOL_MAX	 64

/* @flags: an emergency node of this vCPU is in use, and APF is off on it until the node is back. */
#define APF_GUEST_REPORT_PAUSED	 (1 << 0)

/**
 * struct apf_guest_report - one vCPU's sleep/wake table, as its guest sees it
 * @magic: APF_GUEST_REPORT_MAGIC; anything else means there is no report
 * @version: APF_GUEST_REPORT_VERSION
 * @flags: APF_GUEST_REPORT_*; a reader ignores bits it does not know
 * @seq: odd while the guest is writing, and 2 higher after each change
 * @pool_size: emergency nodes of this vCPU, 1 to APF_GUEST_POOL_MAX
 * @pool_in_use: of them, in use now; never above @pool_size
 * @pool_taken: emergency nodes put to use
 * @pool_exhausted: early wakes that found neither memory nor an emergency node
 * @sleepers: tasks now asleep for a fault of this vCPU
 * @early_wakes: page-ready events that overtook their fault
 * @rescues: tasks woken because their page-ready event did not come in time
 * @unknown_tokens: page-ready events that belonged to no fault, token 0 among them
 * @oldest_sleeper_ms: how long the oldest of @sleepers had slept when the guest last looked, in
 *	milliseconds; it looks at least once a second while anybody sleeps
 * @waits: faults that went to sleep, or would have but for an early wake
 * @wakes: of them, those ended by their own page-ready event
 * @reserved: 0
 */
struct apf_guest_report {
	__u32 magic;
	__u16 version;
	__u16 flags;
	__u32 seq;
	__u16 pool_size;
	__u16 pool_in_use;
	__u32 pool_taken;
	__u32 pool_exhausted;
	__u32 sleepers;
	__u32 early_wakes;
	__u32 rescues;
	__u32 unknown_tokens;
	__u32 oldest_sleeper_ms;
	__u32 waits;
	__u32 wakes;
	__u32 reserved;
};

#ifndef __cplusplus
#define APF_GUEST_AT(field, off)                                                                   \
	_Static_assert(__builtin_offsetof(struct apf_guest_report, field) == (off),                \
		       #field " has moved")

APF_GUEST_AT(magic, 0);
APF_GUEST_AT(version, 4);
APF_GUEST_AT(flags, 6);
APF_GUEST_AT(seq, 8);
APF_GUEST_AT(pool_size, 12);
APF_GUEST_AT(pool_in_use, 14);
APF_GUEST_AT(pool_taken, 16);
APF_GUEST_AT(pool_exhausted, 20);
APF_GUEST_AT(sleepers, 24);
APF_GUEST_AT(early_wakes, 28);
APF_GUEST_AT(rescues, 32);
APF_GUEST_AT(unknown_tokens, 36);
APF_GUEST_AT(oldest_sleeper_ms, 40);
APF_GUEST_AT(waits, 44);
APF_GUEST_AT(wakes, 48);
APF_GUEST_AT(reserved, 52);
_Static_assert(sizeof(struct apf_guest_report) == APF_GUEST_REPORT_SIZE,
	       "the report block has changed its size");

#undef APF_GUEST_AT
#endif

#endif
