/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_VM_H
#define APF_HOST_VM_H

#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "report.h"
#include "stats.h"

struct apf_guest_report;

/* Enough for any host; limits the memory that a caller can make the module use. */
#define APF_HOST_MAX_VMS	4096

/**
 * struct apf_host_vcpu - one vCPU of a watched VM
 * @state: state of the gate, &enum apf_state; written under apf_host_lock, read by
 *	handlers with READ_ONCE()
 * @leased: @state is valid until the VM's lease ends; under apf_host_lock
 * @vcpu_id: KVM's vcpu_id
 * @stats: counters, written by the vCPU's thread only
 * @report: the guest's last report about this vCPU
 * @features: KVM features that the vCPU's CPUID offers, valid if @features_known
 * @features_known: set with smp_store_release() after @features. The vCPU's thread sets
 *	both only once: after the first run, KVM does not allow changes of CPUID
 */
struct apf_host_vcpu {
	u32 state;
	u32 vcpu_id;
	u32 features;
	bool features_known;
	bool leased;
	struct apf_host_stats stats;
	struct apf_host_report report;
};

/**
 * struct apf_host_vm - one watched VM
 * @kvm: KVM's object, the key of @node; NULL after the VM has ended. The module holds no
 *	reference. To use @kvm, hold gone_lock (vm.c), which the hook on
 *	kvm_arch_destroy_vm() takes to clear the pointer; or run in a vCPU thread of
 *	the VM, which holds its own reference
 * @node: entry in the hash by @kvm; RCU
 * @id: id of the VM for user space
 * @pid: process of the VM, in the initial namespace
 * @state: gate of the VM as a whole, used for vCPUs that are added later; as
 *	apf_host_vcpu.state
 * @leased: @state is valid until the lease ends; under apf_host_lock, as the next two
 * @lease_nsec: length of the last lease; 0 while neither @state nor the state of a vCPU
 *	has one
 * @lease_since_nsec: CLOCK_MONOTONIC of the last change with a lease
 * @added_nsec: CLOCK_MONOTONIC at VM_ADD
 * @unseen: number of events of vCPUs that were not in @vcpus yet
 * @grow_work: updates @vcpus after a vCPU was added
 * @scan_work: reads the reports of vCPUs that have not faulted for a while
 * @scanned_nsec: CLOCK_MONOTONIC when @scan_work was last queued; limits its rate
 * @notify_work: sends events about reports, at a limited rate
 * @notify_next: index of the vCPU to check next; used only by @notify_work
 * @gone_work: removes the entry and, unless @deleted, sends the event VM_GONE
 * @deleted: @gone_work was queued by VM_DEL, not by the end of the VM
 * @vcpus_max: length of @vcpus
 * @vcpus: by index; published with smp_store_release(), never replaced
 *
 * Lifetime: handlers find the entry in the hash (RCU); all other code finds it in the id
 * table, which apf_host_lock guards. gone_work removes the entry from the id table, waits
 * for RCU, and then frees the entry. So the entry stays valid while apf_host_lock is held,
 * and during a handler.
 */
struct apf_host_vm {
	struct kvm *kvm;
	struct hlist_node node;
	u32 id;
	pid_t pid;
	u32 state;
	bool leased;
	u64 lease_nsec;
	u64 lease_since_nsec;
	u64 added_nsec;
	atomic64_t unseen;
	struct work_struct grow_work;
	struct work_struct scan_work;
	u64 scanned_nsec;
	struct delayed_work notify_work;
	u32 notify_next;
	struct work_struct gone_work;
	bool deleted;
	u32 vcpus_max;
	struct apf_host_vcpu *vcpus[];
};

/* Guards the id table, and with it the lifetime of entries, and all gates. */
extern struct mutex apf_host_lock;

/**
 * struct apf_host_vm_calls - callbacks to the owner of the VMs, all in process context,
 *	all but @lease_ended with no lock held
 * @gone: a VM has ended; the entry was removed from the tables, and is freed after
 *	the call
 * @report: there is a new event about a guest's report
 * @lease_ended: gates with a lease are on again: those of vCPUs that are still marked as
 *	leased, or, if @whole, all gates of the VM; under apf_host_lock
 * @released: an entry was freed, after the end of its VM or after VM_DEL
 */
struct apf_host_vm_calls {
	void (*gone)(const struct apf_host_vm *vm);
	void (*report)(const struct apf_host_vm *vm, u32 index, u32 event, const u32 *value);
	void (*lease_ended)(const struct apf_host_vm *vm, bool whole);
	void (*released)(void);
};

int apf_host_vm_init(const struct apf_host_vm_calls *calls);
void apf_host_vm_del_all(void);
void apf_host_vm_uninit(void);

/* Under apf_host_lock. */
int apf_host_vm_add(struct kvm *kvm, u32 state, struct apf_host_vm **ret_vm);
void apf_host_vm_del(struct apf_host_vm *vm);
struct apf_host_vm *apf_host_vm_get(u32 id);
struct apf_host_vm *apf_host_vm_next(u32 *id);
u32 apf_host_vm_count(void);
int apf_host_vm_refresh(struct apf_host_vm *vm, u32 *ret_vcpus);
void apf_host_vm_set_state(struct apf_host_vm *vm, u32 state, u32 lease_msec);
void apf_host_vm_set_vcpu_state(struct apf_host_vm *vm, u32 index, u32 state, u32 lease_msec);
void apf_host_vm_renew_leases(void);
u32 apf_host_vm_leases(void);
u32 apf_host_vm_guest_apf(struct apf_host_vm *vm, u32 index);
void apf_host_vm_scan_idle(struct apf_host_vm *vm);

/* In a handler, under rcu_read_lock(). */
struct apf_host_vcpu *apf_host_vm_find_vcpu(struct kvm_vcpu *vcpu, struct apf_host_vm **ret_vm);
void apf_host_vm_learn_features(struct apf_host_vcpu *v, struct kvm_vcpu *vcpu);
void apf_host_vm_scan_report(struct apf_host_vm *vm, struct apf_host_vcpu *v,
			     struct kvm_vcpu *vcpu);
void apf_host_vm_dying(struct kvm *kvm);

#endif /* APF_HOST_VM_H */
