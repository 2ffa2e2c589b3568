/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Generic netlink family "apf", version 1: the interface of apf_host.ko.
 *
 * The family lives in the initial network namespace. A VM enters the module's
 * care with %APF_CMD_VM_ADD, which names it by a descriptor of its KVM VM
 * (the anon_inode:kvm-vm link under /proc/PID/fd, copied with pidfd_getfd()),
 * and leaves it with %APF_CMD_VM_DEL or when the VM dies. A VM the module was
 * never told of behaves as if the module were not loaded.
 *
 * Requests and their attributes (all at the top level of the message; [x] is
 * optional; "dump" means NLM_F_DUMP):
 *
 *  command            request                          reply
 *  GET_INFO           -                                INFO_*
 *  VM_ADD             VM_FD [STATE]                    as VM_GET
 *  VM_DEL             VM_ID                            -
 *  VM_SET             VM_ID STATE [REASON]             -
 *  VM_GET             VM_ID, or dump                   VM_ID PID STATE VCPU_COUNT
 *                                                      AGE_MSEC STATS
 *  VCPU_SET           VM_ID STATE VCPU_INDEX...        -
 *                     [REASON]
 *  VCPU_GET           dump [VM_ID]                     VM_ID VCPU_INDEX VCPU_ID
 *                                                      STATE OUTSTANDING GUEST_APF
 *                                                      STATS HIST_ASYNC HIST_SYNC
 *                                                      PAUSED [GUEST] [KVM_FEATURES]
 *
 * VM_ADD on a VM that is already known answers with the entry as it is and
 * changes nothing, so that a restarted daemon finds every gate as it was.
 * VCPU_SET takes VCPU_INDEX as often as wanted and changes all of them or none.
 *
 * Notifications, multicast group "events":
 *
 *  APF_CMD_EVENT      EVENT VM_ID, and for
 *                     EVENT_GATE_CHANGED: STATE [VCPU_INDEX...] BY_PID BY_COMM
 *                     [REASON] (no VCPU_INDEX: the whole VM),
 *                     EVENT_VM_GONE: PID
 *                     EVENT_POOL_*, EVENT_WAITER_OLD: VCPU_INDEX GUEST
 *                     EVENT_REPORT_GONE: VCPU_INDEX
 *
 * GUEST is what the module apf_guest of the guest reports (apf_guest.h), looked
 * at when the vCPU faults and, for idle vCPUs, when VCPU_GET asks; an answer
 * shows what the last look found. It comes from the guest: it was checked for
 * sense, but only the guest knows whether it is true. Events about it are told
 * at most ten times a second for each VM, some sixteen each time, the others
 * with the next; what happened in between is in the counters of the one that is
 * told.
 *
 * Errors, each with an extended-ack text and, where one is to blame, the
 * attribute:
 *
 *  -EPERM   a change was asked for without CAP_NET_ADMIN
 *  -EINVAL  an attribute is missing, malformed or unknown; the descriptor is
 *           no KVM VM; the state is unknown
 *  -EBADF   VM_FD is not an open descriptor of the caller
 *  -ENOENT  no VM with this VM_ID
 *  -ERANGE  the VM has no vCPU with this VCPU_INDEX
 *  -ENOSPC  VM_ADD: the module's limit of watched VMs (INFO_MAX_VMS) is reached
 *  -ENOMEM  no memory
 */
#ifndef _UAPI_APF_HOST_H
#define _UAPI_APF_HOST_H

#define APF_GENL_NAME		"apf"
#define APF_GENL_VERSION	1
#define APF_GENL_MCGRP_EVENTS	"events"

/* Longest REASON accepted and longest BY_COMM sent, without the final NUL. */
#define APF_REASON_MAX		127
#define APF_COMM_MAX		15

/*
 * Buckets of a latency histogram. Bucket 0 counts latencies below 1 us, bucket
 * i (i > 0) those in [2^(i-1), 2^i) us; the last one has no upper bound.
 */
#define APF_HIST_BUCKETS	32

/**
 * enum apf_cmd - commands of the family; numbers are never reused
 */
enum apf_cmd {
	APF_CMD_UNSPEC,
	APF_CMD_GET_INFO,
	APF_CMD_VM_ADD,
	APF_CMD_VM_DEL,
	APF_CMD_VM_SET,
	APF_CMD_VM_GET,
	APF_CMD_VCPU_SET,
	APF_CMD_VCPU_GET,
	APF_CMD_EVENT,
	__APF_CMD_MAX,
	APF_CMD_MAX = __APF_CMD_MAX - 1
};

/**
 * enum apf_state - state of a gate
 * @APF_STATE_OFF: no asynchronous page fault is ever started; every swap-in
 *	stops the vCPU until the page is there
 * @APF_STATE_PV: only while the guest can be told ("page not present" can be
 *	delivered); KVM's artificial halt is not used
 * @APF_STATE_ON: whatever KVM itself would do; the state of a VM the module
 *	does not know
 */
enum apf_state {
	APF_STATE_OFF,
	APF_STATE_PV,
	APF_STATE_ON,
	__APF_STATE_MAX,
	APF_STATE_MAX = __APF_STATE_MAX - 1
};

/**
 * enum apf_nowait - what became of no-wait swap-in (INFO_NOWAIT)
 * @APF_NOWAIT_NOT_NEEDED: this kernel reads swap without waiting by itself
 * @APF_NOWAIT_OFF: needed, switched off by the parameter nowait_swapin=0
 * @APF_NOWAIT_ACTIVE: needed and in force
 * @APF_NOWAIT_UNAVAILABLE: needed, but the probe cannot be placed
 */
enum apf_nowait {
	APF_NOWAIT_NOT_NEEDED,
	APF_NOWAIT_OFF,
	APF_NOWAIT_ACTIVE,
	APF_NOWAIT_UNAVAILABLE,
	__APF_NOWAIT_MAX,
	APF_NOWAIT_MAX = __APF_NOWAIT_MAX - 1
};

/**
 * enum apf_event - kind of a notification
 * @APF_EVENT_VM_GONE: the VM was destroyed; its VM_ID is never used again
 *	while the module stays loaded
 * @APF_EVENT_GATE_CHANGED: VM_SET or VCPU_SET was carried out
 * @APF_EVENT_POOL_TAKEN: the guest put an emergency node of a vCPU to use; the
 *	vCPU's gate is closed (PAUSED) until it is back
 * @APF_EVENT_POOL_RETURNED: all emergency nodes of the vCPU are back; its gate
 *	is again what it was set to
 * @APF_EVENT_POOL_EXHAUSTED: the guest had no emergency node left and woke all
 *	sleepers of the vCPU
 * @APF_EVENT_WAITER_OLD: a task of the guest has waited longer than the
 *	module's parameter waiter_limit_ms
 * @APF_EVENT_REPORT_GONE: the guest's module was unloaded, or the guest reboots
 */
enum apf_event {
	APF_EVENT_UNSPEC,
	APF_EVENT_VM_GONE,
	APF_EVENT_GATE_CHANGED,
	APF_EVENT_POOL_TAKEN,
	APF_EVENT_POOL_RETURNED,
	APF_EVENT_POOL_EXHAUSTED,
	APF_EVENT_WAITER_OLD,
	APF_EVENT_REPORT_GONE,
	__APF_EVENT_MAX,
	APF_EVENT_MAX = __APF_EVENT_MAX - 1
};

/**
 * enum apf_guest_apf - what the guest asked KVM for in MSR_KVM_ASYNC_PF_EN
 * @APF_GUEST_APF_OFF: nothing; KVM can only halt the vCPU
 * @APF_GUEST_APF_USER: delivery while the guest is in user mode
 * @APF_GUEST_APF_ALWAYS: delivery in user and kernel mode
 */
enum apf_guest_apf {
	APF_GUEST_APF_OFF,
	APF_GUEST_APF_USER,
	APF_GUEST_APF_ALWAYS,
};

/**
 * enum apf_attr - attributes; type in brackets
 * @APF_A_PAD: alignment of 64-bit attributes
 * @APF_A_INFO_VERSION: [string] version of the module
 * @APF_A_INFO_KERNEL: [string] release of the running kernel
 * @APF_A_INFO_NOWAIT: [u32] &enum apf_nowait
 * @APF_A_INFO_NESTED_GUARD: [u8] 1: no asynchronous page fault is started
 *	while a vCPU runs a nested guest
 * @APF_A_INFO_MAX_VMS: [u32] how many VMs can be watched at once
 * @APF_A_INFO_VMS: [u32] how many VMs are watched now
 * @APF_A_INFO_PROBE_MISSES: [u64] how often a probe of the module found no
 *	free slot, all VMs together, since the module was loaded
 * @APF_A_VM_FD: [u32] descriptor of a KVM VM, in the caller's table
 * @APF_A_VM_ID: [u32] the module's name of a VM, from 1
 * @APF_A_PID: [s32] process that created the VM, in the initial PID namespace
 * @APF_A_STATE: [u32] &enum apf_state. In a reply about a VM: the state given
 *	to the VM as a whole, which vCPUs added later also get
 * @APF_A_VCPU_COUNT: [u32] vCPUs the VM has
 * @APF_A_AGE_MSEC: [u64] milliseconds since VM_ADD
 * @APF_A_VCPU_INDEX: [u32] vCPU by order of creation, from 0 (QEMU's and
 *	libvirt's vCPU number)
 * @APF_A_VCPU_ID: [u32] KVM's vcpu_id (APIC ID on x86)
 * @APF_A_OUTSTANDING: [u32] pages the vCPU was told of and that are not there
 *	yet (at most 64)
 * @APF_A_GUEST_APF: [u32] &enum apf_guest_apf
 * @APF_A_STATS: [nest of &enum apf_stat] counters, of one vCPU or the sum of
 *	all vCPUs of a VM
 * @APF_A_HIST_ASYNC: [binary, u64[APF_HIST_BUCKETS], host byte order] latency
 *	from "page not present" to "page ready"
 * @APF_A_HIST_SYNC: [binary, as above] length of synchronous stalls
 * @APF_A_EVENT: [u32] &enum apf_event
 * @APF_A_BY_PID: [s32] process that asked for the change
 * @APF_A_BY_COMM: [string] its name
 * @APF_A_REASON: [string, at most APF_REASON_MAX bytes] why, in the words of
 *	who asked; handed on as it is
 * @APF_A_PAUSED: [u8] 1: the gate is closed whatever STATE says, because the
 *	guest reports an emergency node in use
 * @APF_A_GUEST: [nest of &enum apf_guest_attr] report of the guest's module;
 *	absent while there is none
 * @APF_A_KVM_FEATURES: [u32] what the vCPU's CPUID offers of KVM (KVM_FEATURE_*
 *	of asm/kvm_para.h by bit: EAX of the leaf after the one with KVM's
 *	signature), as the VMM set it; 0 if it offers nothing of KVM; absent
 *	until the vCPU has faulted for the first time since VM_ADD
 */
enum apf_attr {
	APF_A_UNSPEC,
	APF_A_PAD,
	APF_A_INFO_VERSION,
	APF_A_INFO_KERNEL,
	APF_A_INFO_NOWAIT,
	APF_A_INFO_NESTED_GUARD,
	APF_A_INFO_MAX_VMS,
	APF_A_INFO_VMS,
	APF_A_INFO_PROBE_MISSES,
	APF_A_VM_FD,
	APF_A_VM_ID,
	APF_A_PID,
	APF_A_STATE,
	APF_A_VCPU_COUNT,
	APF_A_AGE_MSEC,
	APF_A_VCPU_INDEX,
	APF_A_VCPU_ID,
	APF_A_OUTSTANDING,
	APF_A_GUEST_APF,
	APF_A_STATS,
	APF_A_HIST_ASYNC,
	APF_A_HIST_SYNC,
	APF_A_EVENT,
	APF_A_BY_PID,
	APF_A_BY_COMM,
	APF_A_REASON,
	APF_A_PAUSED,
	APF_A_GUEST,
	APF_A_KVM_FEATURES,
	__APF_A_MAX,
	APF_A_MAX = __APF_A_MAX - 1
};

/**
 * enum apf_guest_attr - attributes inside APF_A_GUEST, all u32; the totals are
 *	the guest's own and wrap; see &struct apf_guest_report for each
 * @APF_GUEST_A_AGE_MSEC: milliseconds since the report was last seen
 * @APF_GUEST_A_POOL_SIZE: emergency nodes of the vCPU
 * @APF_GUEST_A_POOL_IN_USE: of them, in use
 * @APF_GUEST_A_POOL_TAKEN: total
 * @APF_GUEST_A_POOL_EXHAUSTED: total
 * @APF_GUEST_A_SLEEPERS: tasks asleep now
 * @APF_GUEST_A_EARLY_WAKES: total
 * @APF_GUEST_A_RESCUES: total
 * @APF_GUEST_A_UNKNOWN_TOKENS: total
 * @APF_GUEST_A_OLDEST_SLEEPER_MSEC: as the guest saw it
 * @APF_GUEST_A_WAITS: total
 * @APF_GUEST_A_WAKES: total
 */
enum apf_guest_attr {
	APF_GUEST_A_UNSPEC,
	APF_GUEST_A_AGE_MSEC,
	APF_GUEST_A_POOL_SIZE,
	APF_GUEST_A_POOL_IN_USE,
	APF_GUEST_A_POOL_TAKEN,
	APF_GUEST_A_POOL_EXHAUSTED,
	APF_GUEST_A_SLEEPERS,
	APF_GUEST_A_EARLY_WAKES,
	APF_GUEST_A_RESCUES,
	APF_GUEST_A_UNKNOWN_TOKENS,
	APF_GUEST_A_OLDEST_SLEEPER_MSEC,
	APF_GUEST_A_WAITS,
	APF_GUEST_A_WAKES,
	__APF_GUEST_A_MAX,
	APF_GUEST_A_MAX = __APF_GUEST_A_MAX - 1
};

/**
 * enum apf_stat - counters inside APF_A_STATS, all u64; they only grow and
 *	start from 0 at VM_ADD
 * @APF_STAT_ASKED: faults that would sleep and for which KVM asked whether an
 *	asynchronous one may be started
 * @APF_STAT_REFUSED: of those, KVM said yes and the gate said no
 * @APF_STAT_REFUSED_NESTED: of those refused, because a nested guest was
 *	running
 * @APF_STAT_NOT_PRESENT: asynchronous faults started ("page not present"
 *	reached the vCPU, by either way)
 * @APF_STAT_DELIVERED: of those, told to the guest
 * @APF_STAT_HALTED: of those, the vCPU was halted by KVM instead
 * @APF_STAT_READY: "page ready" for a single page
 * @APF_STAT_READY_UNKNOWN: of those, pages whose "not present" was not seen,
 *	because it came before VM_ADD
 * @APF_STAT_READY_ALL: "page ready" as a broadcast (the guest switched APF on)
 * @APF_STAT_DROPPED: outstanding pages KVM forgot, because the guest switched
 *	APF off or the vCPU was reset; NOT_PRESENT == READY -
 *	READY_UNKNOWN + DROPPED + OUTSTANDING
 * @APF_STAT_REPEATED: the guest touched an outstanding page once more
 * @APF_STAT_SYNC_STALLS: faults in which the vCPU thread itself waited for a
 *	page to be read
 * @APF_STAT_SYNC_STALL_NSEC: how long, nanoseconds in total
 * @APF_STAT_ASYNC_NSEC: "not present" to "ready" of all READY pages,
 *	nanoseconds in total
 * @APF_STAT_NOWAIT: swap reads started without waiting by no-wait swap-in
 * @APF_STAT_REFUSED_PAUSED: of those refused, because the guest reported an
 *	emergency node in use
 * @APF_STAT_BAD_REPORTS: looks at the guest's report that found one of our
 *	kind with contents that make no sense; it was ignored
 * @APF_STAT_PROBE_MISSES: events of this vCPU that could not be classified
 *	(DELIVERED or HALTED) or timed, because a probe found no free slot
 */
enum apf_stat {
	APF_STAT_UNSPEC,
	APF_STAT_PAD,
	APF_STAT_ASKED,
	APF_STAT_REFUSED,
	APF_STAT_REFUSED_NESTED,
	APF_STAT_NOT_PRESENT,
	APF_STAT_DELIVERED,
	APF_STAT_HALTED,
	APF_STAT_READY,
	APF_STAT_READY_UNKNOWN,
	APF_STAT_READY_ALL,
	APF_STAT_DROPPED,
	APF_STAT_REPEATED,
	APF_STAT_SYNC_STALLS,
	APF_STAT_SYNC_STALL_NSEC,
	APF_STAT_ASYNC_NSEC,
	APF_STAT_NOWAIT,
	APF_STAT_PROBE_MISSES,
	APF_STAT_REFUSED_PAUSED,
	APF_STAT_BAD_REPORTS,
	__APF_STAT_MAX,
	APF_STAT_MAX = __APF_STAT_MAX - 1
};

#endif /* _UAPI_APF_HOST_H */
