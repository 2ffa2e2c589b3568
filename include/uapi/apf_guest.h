/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The report block of apf_guest: figures of a guest's sleep/wake table for its host.
 *
 * Each vCPU of a KVM guest gives the host the address of a 64-byte struct kvm_vcpu_pv_apf_data by
 * MSR_KVM_ASYNC_PF_EN. KVM uses the first 8 bytes; the 56 bytes of padding after them are zero in
 * every Linux guest. apf_guest writes one struct apf_guest_report there, at offset
 * APF_GUEST_REPORT_OFFSET of the area, on each vCPU, but only if the padding was zero before.
 *
 * Writing: only the vCPU that owns the area writes the block. The vCPU sets the block to zero again
 * when the module is unloaded, and when the vCPU goes offline, is suspended or reboots. The host
 * only reads. All figures are about this vCPU. Figures with "now" may decrease; all others only
 * grow, modulo 2^32.
 *
 * Reading, as with a seqcount: read @seq, stop if it is odd, read the fields, read @seq again, and
 * start again if it has changed, but only a limited number of times. The values come from a guest:
 * check each of them as hostile input.
 *
 * All fields are little-endian, as the rest of the area is.
 */
#ifndef APF_GUEST_UAPI_H
#define APF_GUEST_UAPI_H

#include <linux/types.h>

/* "APFG" */
#define APF_GUEST_REPORT_MAGIC	 0x41504647U
/*
 * The present version. A reader accepts all versions up to this one; version 1 has zero instead of
 * @stuck.
 */
#define APF_GUEST_REPORT_VERSION 2
/* Offset of the block from the guest-physical address in MSR_KVM_ASYNC_PF_EN, bytes. */
#define APF_GUEST_REPORT_OFFSET	 8
/* The size of the block. */
#define APF_GUEST_REPORT_SIZE	 56
/*
 * Maximum number of emergency nodes of a vCPU. Now there is one; in version 1 there may be more. A
 * larger @pool_size is invalid.
 */
#define APF_GUEST_POOL_MAX	 64

/* @flags: an emergency node is in use; APF is off on this vCPU until the node is free again. */
#define APF_GUEST_REPORT_PAUSED	 (1 << 0)

/**
 * struct apf_guest_report - figures of one vCPU's part of the sleep/wake table
 * @magic: APF_GUEST_REPORT_MAGIC; anything else means there is no report
 * @version: APF_GUEST_REPORT_VERSION
 * @flags: APF_GUEST_REPORT_*; a reader ignores bits it does not know
 * @seq: odd while the guest is writing, and 2 higher after each change
 * @pool_size: number of emergency nodes of this vCPU, 1 to APF_GUEST_POOL_MAX
 * @pool_in_use: emergency nodes in use now; never more than @pool_size
 * @pool_taken: how often an emergency node was taken
 * @pool_exhausted: early wakes for which there was neither memory nor an emergency node; since
 *	version 2 this cannot happen if the host follows the protocol
 * @sleepers: tasks that sleep now for a fault of this vCPU
 * @early_wakes: page-ready events that arrived before their fault
 * @rescues: tasks woken because their page-ready event did not arrive in time
 * @unknown_tokens: page-ready events without a fault, including those with token 0
 * @oldest_sleeper_ms: how long the oldest of @sleepers had slept at the guest's last scan, in
 *	milliseconds; while tasks sleep, the guest scans at least once a second
 * @waits: faults that slept, and faults that did not sleep because of an early wake
 * @wakes: waits that ended by their own page-ready event
 * @stuck: how often the guest freed the page-ready slot of this vCPU after an interrupt was lost; 0
 *	in version 1
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
	__u32 stuck;
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
APF_GUEST_AT(stuck, 52);
_Static_assert(sizeof(struct apf_guest_report) == APF_GUEST_REPORT_SIZE,
	       "the report block has changed its size");

#undef APF_GUEST_AT
#endif

#endif
