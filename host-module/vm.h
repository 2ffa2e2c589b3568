/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_VM_H
#define APF_HOST_VM_H

#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "report.h"
#include "stats.h"

/* Room for any host; what it bounds is the memory a caller can make us hold. */
#define APF_HOST_MAX_VMS	4096

/**
 * struct apf_host_vcpu - one vCPU of a watched VM
 * @state: its gate, &enum apf_state; written under apf_host_lock, read by
 *	probes with READ_ONCE()
 * @vcpu_id: KVM's vcpu_id
 * @stats: counters, written by the vCPU's thread only
 * @report: what the guest last said of this vCPU
 * @features: what its CPUID offers of KVM, once @features_known
 * @features_known: set with smp_store_release() after @features, both by the
 *	vCPU's thread only, once: KVM lets nobody change CPUID after the first run
 */
struct apf_host_vcpu {
	u32 state;
	u32 vcpu_id;
	u32 features;
	bool features_known;
	struct apf_host_stats stats;
	struct apf_host_report report;
};

/**
 * struct apf_host_vm - one watched VM
 * @kvm: KVM's object, the key of @node; NULL once the VM dies. No reference is
 *	held: whoever follows it holds gone_lock (vm.c), which the probe on
 *	kvm_arch_destroy_vm() takes to clear it, or runs in one of its vCPU
 *	threads, which hold a reference of their own
 * @node: in the hash by @kvm; RCU
 * @id: name towards user space
 * @pid: process that created the VM, in the initial namespace
 * @state: gate of the VM as a whole, for vCPUs that come later; as
 *	apf_host_vcpu.state
 * @added_nsec: CLOCK_MONOTONIC at VM_ADD
 * @unseen: events of vCPUs not in @vcpus yet
 * @grow_work: brings @vcpus up to date after a vCPU was hot-added
 * @look_work: looks at the reports of vCPUs that have not faulted for a while
 * @looked_nsec: CLOCK_MONOTONIC when @look_work was last queued; paces it
 * @tell_work: tells user space what is new in reports, not too often
 * @tell_next: index of the vCPU whose turn is next; of @tell_work alone
 * @gone_work: takes the entry out and, unless @deleted, tells user space
 * @deleted: VM_DEL, not the end of the VM, queued @gone_work
 * @vcpus_max: length of @vcpus
 * @vcpus: by index; published with smp_store_release(), never replaced
 *
 * Lifetime: the entry is found by probes through the hash (RCU) and by
 * everybody else through the id table, which apf_host_lock guards. It is freed
 * by gone_work, which takes it out of the id table and then waits for RCU, so
 * it is stable for whoever holds apf_host_lock and for the length of a probe.
 */
struct apf_host_vm {
	struct kvm *kvm;
	struct hlist_node node;
	u32 id;
	pid_t pid;
	u32 state;
	u64 added_nsec;
	atomic64_t unseen;
	struct work_struct grow_work;
	struct work_struct look_work;
	u64 looked_nsec;
	struct delayed_work tell_work;
	u32 tell_next;
	struct work_struct gone_work;
	bool deleted;
	u32 vcpus_max;
	struct apf_host_vcpu *vcpus[];
};

/* Guards the id table, all gates, and with it the lifetime of entries. */
extern struct mutex apf_host_lock;

int apf_host_vm_init(void);
void apf_host_vm_forget(void);
void apf_host_vm_uninit(void);

/* Under apf_host_lock. */
int apf_host_vm_add(struct kvm *kvm, u32 state, struct apf_host_vm **ret_vm);
void apf_host_vm_del(struct apf_host_vm *vm);
struct apf_host_vm *apf_host_vm_get(u32 id);
struct apf_host_vm *apf_host_vm_next(u32 *id);
u32 apf_host_vm_count(void);
int apf_host_vm_refresh(struct apf_host_vm *vm, u32 *ret_vcpus);
void apf_host_vm_set_state(struct apf_host_vm *vm, u32 state);
u32 apf_host_vm_guest_apf(struct apf_host_vm *vm, u32 index);
void apf_host_vm_look(struct apf_host_vm *vm);

/* In a probe, under rcu_read_lock(). */
struct apf_host_vm *apf_host_vm_find(struct kvm *kvm);
struct apf_host_vcpu *apf_host_vm_vcpu(struct apf_host_vm *vm, unsigned int index);
struct apf_host_vcpu *apf_host_vm_vcpu_known(struct apf_host_vm *vm, unsigned int index);
void apf_host_vm_dying(struct kvm *kvm);
void apf_host_vm_tell(struct apf_host_vm *vm);

#endif /* APF_HOST_VM_H */
