/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Generic netlink family "apf", version 1: the interface of apf_host.ko.
 *
 * The family exists in the initial network namespace. The module watches a VM from
 * %APF_CMD_VM_ADD, whose argument is a descriptor of the KVM VM (the
 * anon_inode:kvm-vm link under /proc/PID/fd, copied with pidfd_getfd()), until
 * %APF_CMD_VM_DEL or the end of the VM. A VM that is not watched behaves as if the
 * module were not loaded.
 *
 * Requests and their attributes (all at the top level of the message; [x] is
 * optional; "dump" means NLM_F_DUMP):
 *
 *  command            request                          reply
 *  GET_INFO           -                                INFO_* (INFO_HOOK: one for
 *                                                      each &enum apf_hook)
 *  VM_ADD             VM_FD [STATE]                    as VM_GET
 *  VM_DEL             VM_ID                            -
 *  VM_SET             VM_ID STATE [REASON]             -
 *                     [LEASE_MSEC]
 *  VM_GET             VM_ID, or dump                   VM_ID PID STATE VCPU_COUNT
 *                                                      AGE_MSEC LEASED STATS
 *  VCPU_SET           VM_ID STATE VCPU_INDEX...        -
 *                     [REASON] [LEASE_MSEC]
 *  RENEW              -                                -
 *  VCPU_GET           dump [VM_ID]                     VM_ID VCPU_INDEX VCPU_ID
 *                                                      STATE OUTSTANDING GUEST_APF
 *                                                      STATS HIST_ASYNC HIST_SYNC
 *                                                      PAUSED LEASED [GUEST]
 *                                                      [KVM_FEATURES]
 *
 * VM_ADD on a VM that is already watched returns the present entry and changes
 * nothing, so that a restart of the daemon does not change gates. VCPU_SET accepts
 * VCPU_INDEX several times and changes all of these vCPUs or none.
 *
 * A change with LEASE_MSEC is valid until the lease ends: LEASE_MSEC after the change
 * or after the last RENEW, whichever is later, and up to one second more. Then the
 * gates go to %APF_STATE_ON, which the event GATE_CHANGED reports. A later change
 * without LEASE_MSEC ends the lease of the gates that it changes, and stays.
 *
 * Notifications, multicast group "events":
 *
 *  APF_CMD_EVENT      EVENT VM_ID, and for
 *                     EVENT_GATE_CHANGED: STATE [VCPU_INDEX...] BY_PID BY_COMM
 *                     [REASON] (no VCPU_INDEX: the whole VM),
 *                     EVENT_VM_GONE: PID
 *                     EVENT_POOL_*, EVENT_WAITER_OLD, EVENT_SLOT_STUCK:
 *                     VCPU_INDEX GUEST
 *                     EVENT_REPORT_GONE: VCPU_INDEX
 *
 * GUEST is the report of the module apf_guest in the guest (apf_guest.h). It is
 * scanned when the vCPU faults and, for idle vCPUs, after a VCPU_GET; an answer
 * contains the result of the last scan. The report comes from the guest: its values
 * are checked for validity, but they may be false. Events about reports are sent at
 * most ten times a second for each VM, about sixteen events each time; the others
 * follow later. Events are merged; the counters in GUEST are complete.
 *
 * Errors, each with an extended-ack text and, if one attribute is the cause, that
 * attribute:
 *
 *  -EPERM   the caller has no CAP_NET_ADMIN: every request, dump and the
 *           multicast group need it, because a VMM must not see the figures of
 *           other VMs
 *  -EINVAL  an attribute is missing, malformed or unknown; the descriptor is
 *           no KVM VM
 *  -EBADF   VM_FD is not an open descriptor of the caller
 *  -ENOENT  no VM with this VM_ID
 *  -ERANGE  the VM has no vCPU with this VCPU_INDEX; the state is unknown
 *  -EBUSY, -ENOENT, -EOPNOTSUPP, ...  VM_ADD: a required hook (enum apf_hook)
 *           cannot be placed; the text names the hook
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

/* Shortest and longest LEASE_MSEC. */
#define APF_LEASE_MIN_MSEC	1000
#define APF_LEASE_MAX_MSEC	3600000

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
	APF_CMD_RENEW,
	__APF_CMD_MAX,
	APF_CMD_MAX = __APF_CMD_MAX - 1
};

/**
 * enum apf_state - state of a gate
 * @APF_STATE_OFF: no asynchronous page fault is started; every swap-in stops the
 *	vCPU until the page is there
 * @APF_STATE_PV: asynchronous only while the guest can be notified ("page not
 *	present" can be delivered). KVM does not halt the vCPU for a page that is
 *	not outstanding yet; if a task accesses an outstanding page again, KVM
 *	still halts the vCPU (STAT_REPEATED)
 * @APF_STATE_ON: KVM's own behaviour; the state of a VM that is not watched
 */
enum apf_state {
	APF_STATE_OFF,
	APF_STATE_PV,
	APF_STATE_ON,
	__APF_STATE_MAX,
	APF_STATE_MAX = __APF_STATE_MAX - 1
};

/**
 * enum apf_nowait - state of no-wait swap-in (INFO_NOWAIT)
 * @APF_NOWAIT_NOT_NEEDED: this kernel itself reads swap without waiting
 * @APF_NOWAIT_OFF: needed, switched off by the parameter nowait_swapin=0
 * @APF_NOWAIT_ACTIVE: needed and active
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
 * enum apf_hook - hooks of the module in KVM; a kernel may lack some of them
 *	(INFO_HOOKS, INFO_HOOK)
 *
 * The first two are required: without them the module does not load. Without one of
 * the others, only its own figures are missing: answers do not contain them, which
 * means "not counted" and not 0.
 *
 * @APF_HOOK_GATE: decides at the entry of kvm_can_do_async_pf(); required
 * @APF_HOOK_VM_END: detects the end of a VM; required
 * @APF_HOOK_NOT_PRESENT: "page not present". Without it: no STAT_NOT_PRESENT,
 *	STAT_DELIVERED, STAT_HALTED, STAT_READY_UNKNOWN, STAT_DROPPED,
 *	STAT_ASYNC_NSEC, STAT_SAVED_NSEC, HIST_ASYNC, OUTSTANDING
 * @APF_HOOK_READY: "page ready". Without it: no STAT_READY, STAT_READY_ALL,
 *	STAT_READY_UNKNOWN, STAT_DELIVERED, STAT_HALTED, STAT_DROPPED,
 *	STAT_ASYNC_NSEC, STAT_SAVED_NSEC, HIST_ASYNC, OUTSTANDING
 * @APF_HOOK_FORGET: KVM drops all outstanding pages of a vCPU. Without it: no
 *	STAT_DROPPED, STAT_DELIVERED, STAT_HALTED, STAT_SAVED_NSEC, OUTSTANDING
 * @APF_HOOK_STALL: measures synchronous faults. Without it: no
 *	STAT_SYNC_STALLS, STAT_SYNC_STALL_NSEC, STAT_SAVED_NSEC, HIST_SYNC
 * @APF_HOOK_REPEATED: an outstanding page is accessed again. Without it: no
 *	STAT_REPEATED
 * @APF_HOOK_USER_MODE: finds out whether the guest is in user mode. Without it a
 *	gate in state pv stays closed for guests that enable delivery in user
 *	mode only (%APF_GUEST_APF_USER), that is for every Linux guest
 * @APF_HOOK_QUEUED: a page was read and will be delivered. Without it: no
 *	STAT_SAVED_NSEC
 */
enum apf_hook {
	APF_HOOK_GATE,
	APF_HOOK_VM_END,
	APF_HOOK_NOT_PRESENT,
	APF_HOOK_READY,
	APF_HOOK_FORGET,
	APF_HOOK_STALL,
	APF_HOOK_REPEATED,
	APF_HOOK_USER_MODE,
	APF_HOOK_QUEUED,
	__APF_HOOK_MAX,
	APF_HOOK_MAX = __APF_HOOK_MAX - 1
};

/**
 * enum apf_hook_attr - attributes inside APF_A_INFO_HOOK
 * @APF_HOOK_A_ID: [u32] &enum apf_hook
 * @APF_HOOK_A_NAME: [string] function of the hook, or the names that were tried,
 *	separated by commas
 * @APF_HOOK_A_ERROR: [s32] 0: the hook can be placed; otherwise the negative errno
 *	of the last attempt
 */
enum apf_hook_attr {
	APF_HOOK_A_UNSPEC,
	APF_HOOK_A_ID,
	APF_HOOK_A_NAME,
	APF_HOOK_A_ERROR,
	__APF_HOOK_A_MAX,
	APF_HOOK_A_MAX = __APF_HOOK_A_MAX - 1
};

/**
 * enum apf_event - kind of a notification
 * @APF_EVENT_VM_GONE: the VM was destroyed; its VM_ID is never used again
 *	while the module stays loaded
 * @APF_EVENT_GATE_CHANGED: VM_SET or VCPU_SET was carried out, or a lease ended
 *	(BY_PID is 0 then)
 * @APF_EVENT_POOL_TAKEN: the guest took an emergency node of a vCPU; the vCPU's
 *	gate is closed (PAUSED) until the node is free again
 * @APF_EVENT_POOL_RETURNED: all emergency nodes of the vCPU are free again; the
 *	state that was set for the gate applies again
 * @APF_EVENT_POOL_EXHAUSTED: the guest had no emergency node left and woke all
 *	sleepers of the vCPU
 * @APF_EVENT_WAITER_OLD: a task of the guest has waited longer than the
 *	module's parameter waiter_limit_ms
 * @APF_EVENT_REPORT_GONE: the guest's module was unloaded, or the guest reboots
 * @APF_EVENT_SLOT_STUCK: the guest detected that an interrupt for "page ready" was
 *	lost on a vCPU, and recovered; before that no wake arrived on the vCPU
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
	APF_EVENT_SLOT_STUCK,
	__APF_EVENT_MAX,
	APF_EVENT_MAX = __APF_EVENT_MAX - 1
};

/**
 * enum apf_guest_apf - the mode that the guest has set in MSR_KVM_ASYNC_PF_EN
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
 * @APF_A_INFO_MAX_VMS: [u32] maximum number of watched VMs
 * @APF_A_INFO_VMS: [u32] number of VMs that are watched now
 * @APF_A_INFO_PROBE_MISSES: [u64] how often a probe of the module found no
 *	free slot, all VMs together, since the module was loaded
 * @APF_A_VM_FD: [u32] descriptor of a KVM VM, in the caller's table
 * @APF_A_VM_ID: [u32] the module's id of a VM, from 1
 * @APF_A_PID: [s32] process that created the VM, in the initial PID namespace
 * @APF_A_STATE: [u32] &enum apf_state. In a reply about a VM: the state set for the
 *	VM as a whole, also used for vCPUs that are added later
 * @APF_A_VCPU_COUNT: [u32] number of vCPUs of the VM
 * @APF_A_AGE_MSEC: [u64] milliseconds since VM_ADD
 * @APF_A_VCPU_INDEX: [u32] vCPU by order of creation, from 0 (QEMU's and
 *	libvirt's vCPU number)
 * @APF_A_VCPU_ID: [u32] KVM's vcpu_id (APIC ID on x86)
 * @APF_A_OUTSTANDING: [u32] number of pages with "page not present" and without
 *	"page ready" so far (at most 64)
 * @APF_A_GUEST_APF: [u32] &enum apf_guest_apf
 * @APF_A_STATS: [nest of &enum apf_stat] counters, of one vCPU or the sum of
 *	all vCPUs of a VM
 * @APF_A_HIST_ASYNC: [binary, u64[APF_HIST_BUCKETS], host byte order] latency
 *	from "page not present" to "page ready"
 * @APF_A_HIST_SYNC: [binary, as above] length of synchronous stalls
 * @APF_A_EVENT: [u32] &enum apf_event
 * @APF_A_BY_PID: [s32] process that requested the change
 * @APF_A_BY_COMM: [string] name of this process
 * @APF_A_REASON: [string, at most APF_REASON_MAX bytes] reason in the request;
 *	copied unchanged
 * @APF_A_PAUSED: [u8] 1: the gate is closed in spite of STATE, because the guest
 *	reports an emergency node in use
 * @APF_A_GUEST: [nest of &enum apf_guest_attr] report of the guest's module;
 *	absent while there is none
 * @APF_A_KVM_FEATURES: [u32] KVM features that the vCPU's CPUID offers
 *	(KVM_FEATURE_* of asm/kvm_para.h by bit: EAX of the leaf after the one
 *	with KVM's signature), as set by the VMM; 0 if it offers none; absent until
 *	the first fault of the vCPU since VM_ADD
 * @APF_A_INFO_HOOKS: [u32] bit N set: hook N of &enum apf_hook can be placed on
 *	this kernel
 * @APF_A_INFO_HOOK: [nest of &enum apf_hook_attr, once for each hook] which
 *	function a hook uses, or why it cannot be placed
 * @APF_A_LEASE_MSEC: [u32, APF_LEASE_MIN_MSEC to APF_LEASE_MAX_MSEC] length of the
 *	lease of a change
 * @APF_A_INFO_LEASES: [u32] number of VMs with gates whose change has a lease;
 *	absent: this version of the module knows no leases
 * @APF_A_LEASED: [u8] 1: the state of the vCPU's gate has a lease; of a VM: the state
 *	that is used for vCPUs that are added later
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
	APF_A_INFO_HOOKS,
	APF_A_INFO_HOOK,
	APF_A_LEASE_MSEC,
	APF_A_INFO_LEASES,
	APF_A_LEASED,
	__APF_A_MAX,
	APF_A_MAX = __APF_A_MAX - 1
};

/**
 * enum apf_guest_attr - attributes inside APF_A_GUEST, all u32; the totals are
 *	counted by the guest and wrap; &struct apf_guest_report describes each
 * @APF_GUEST_A_AGE_MSEC: milliseconds since the report was last seen
 * @APF_GUEST_A_POOL_SIZE: emergency nodes of the vCPU
 * @APF_GUEST_A_POOL_IN_USE: emergency nodes in use
 * @APF_GUEST_A_POOL_TAKEN: total
 * @APF_GUEST_A_POOL_EXHAUSTED: total
 * @APF_GUEST_A_SLEEPERS: tasks asleep now
 * @APF_GUEST_A_EARLY_WAKES: total
 * @APF_GUEST_A_RESCUES: total
 * @APF_GUEST_A_UNKNOWN_TOKENS: total
 * @APF_GUEST_A_OLDEST_SLEEPER_MSEC: as the guest saw it
 * @APF_GUEST_A_WAITS: total
 * @APF_GUEST_A_WAKES: total
 * @APF_GUEST_A_STUCK: lost interrupts for "page ready" from which the guest
 *	recovered, total
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
	APF_GUEST_A_STUCK,
	__APF_GUEST_A_MAX,
	APF_GUEST_A_MAX = __APF_GUEST_A_MAX - 1
};

/**
 * enum apf_stat - counters inside APF_A_STATS, all u64; they only grow and
 *	start from 0 at VM_ADD. A counter that is absent is not counted on this
 *	kernel (enum apf_hook). This is also true of HIST_ASYNC, HIST_SYNC and
 *	OUTSTANDING
 * @APF_STAT_ASKED: faults that would sleep and for which KVM asked whether an
 *	asynchronous one may be started
 * @APF_STAT_REFUSED: of ASKED, refused by the gate; KVM's own check did not run,
 *	and might have refused, too
 * @APF_STAT_REFUSED_NESTED: of REFUSED, because a nested guest was running
 * @APF_STAT_NOT_PRESENT: asynchronous faults started ("page not present"
 *	reached the vCPU, in one of these two ways)
 * @APF_STAT_DELIVERED: of NOT_PRESENT, the guest was notified
 * @APF_STAT_HALTED: of NOT_PRESENT, KVM halted the vCPU instead
 * @APF_STAT_READY: "page ready" for a single page
 * @APF_STAT_READY_UNKNOWN: of READY, pages whose "not present" was not seen,
 *	because it was before VM_ADD
 * @APF_STAT_READY_ALL: "page ready" as a broadcast (the guest switched APF on)
 * @APF_STAT_DROPPED: outstanding pages that KVM dropped, because the guest
 *	switched APF off or the vCPU was reset; NOT_PRESENT == READY -
 *	READY_UNKNOWN + DROPPED + OUTSTANDING
 * @APF_STAT_REPEATED: the guest accessed an outstanding page again
 * @APF_STAT_SYNC_STALLS: faults for which no asynchronous one was started and
 *	in which the vCPU's thread slept, or read a page without sleeping (swap in
 *	memory): it waited for a read, its own or another vCPU's, for
 *	userfaultfd, for memory to be reclaimed, or for a lock of the VMM's
 *	address space
 * @APF_STAT_SYNC_STALL_NSEC: total duration of these faults, nanoseconds
 * @APF_STAT_ASYNC_NSEC: "not present" to "ready" of all READY pages,
 *	nanoseconds in total
 * @APF_STAT_NOWAIT: swap reads started without waiting by no-wait swap-in
 * @APF_STAT_REFUSED_PAUSED: of REFUSED, because the guest reported an emergency
 *	node in use
 * @APF_STAT_BAD_REPORTS: scans that found a report with invalid values; it was
 *	ignored
 * @APF_STAT_PROBE_MISSES: events of this vCPU that could not be classified
 *	(DELIVERED or HALTED) or timed
 * @APF_STAT_SAVED_NSEC: time in which the vCPU ran although a page was outstanding,
 *	nanoseconds: with the gate off, the vCPU would have been stopped. Does not
 *	include the time in which the vCPU was halted, was stopped by a synchronous
 *	fault, or waited for a CPU of the host; nor the time after the page was
 *	read. Time that user space needs to handle an exit is included until the
 *	page is read. Waiting for a CPU after a halt is subtracted twice, so the
 *	value may be too low by that, but it is never too high by it. Updated when a
 *	page becomes outstanding, is ready or dropped
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
	APF_STAT_SAVED_NSEC,
	__APF_STAT_MAX,
	APF_STAT_MAX = __APF_STAT_MAX - 1
};

#endif /* _UAPI_APF_HOST_H */
