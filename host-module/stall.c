// SPDX-License-Identifier: GPL-2.0
/*
 * Synchronous stalls, measured around
 *
 *   int kvm_mmu_faultin_pfn(struct kvm_vcpu *vcpu, ...)   6.13 and newer
 *   int kvm_faultin_pfn(struct kvm_vcpu *vcpu, ...)       before
 *
 * which finds the page of a guest's fault, and reads the page in if necessary.
 *
 * A fault is a stall if no asynchronous fault was started instead and
 *  - the thread slept voluntarily (nvcsw): it waited for its own read, for a read that
 *    another vCPU started, for userfaultfd, or until a signal ended the wait; or
 *  - the thread's number of major faults increased (maj_flt): it read a page from
 *    swap without sleeping, for example from zram.
 * Both are necessary: of the waits of the first kind, maj_flt increases only for the
 * thread's own read; nvcsw does not increase for those of the second kind.
 *
 * Context: kprobe handlers in the vCPU's thread, preemption off. The function may sleep
 * between entry and return, so store only numbers and find the VM again on return.
 */
#include <linux/sched.h>

#include "clock.h"
#include "stall.h"
#include "vm.h"

/* Number of asynchronous faults so far that were started, or repeated for the same page. */
static u64 started(const struct apf_host_vcpu *v)
{
	const u64 *stat = v->stats.figures.stat;

	return stat[APF_STAT_NOT_PRESENT] + stat[APF_STAT_REPEATED];
}

/* Returns 1 if this call is not measured. */
int apf_host_stall_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct apf_host_stall *stall = (struct apf_host_stall *)ri->data;
	struct kvm_vcpu *vcpu = (struct kvm_vcpu *)regs_get_kernel_argument(regs, 0);
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	if (v) {
		apf_host_vm_learn_features(v, vcpu);
		stall->started = started(v);
	}
	rcu_read_unlock();
	if (!v)
		return 1;

	stall->vcpu = vcpu;
	stall->maj_flt = current->maj_flt;
	stall->nvcsw = current->nvcsw;
	apf_host_clock_read(&stall->entered, vcpu);
	return 0;
}

int apf_host_stall_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct apf_host_stall *stall = (struct apf_host_stall *)ri->data;
	struct apf_host_clock returned;
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	apf_host_clock_read(&returned, stall->vcpu);
	rcu_read_lock();
	v = apf_host_vm_find_vcpu(stall->vcpu, &vm);
	if (v && started(v) != stall->started)
		apf_host_stats_count_delivery(&v->stats);
	else if (v && (current->maj_flt != stall->maj_flt || current->nvcsw != stall->nvcsw))
		apf_host_stats_stall(&v->stats, &stall->entered, &returned);
	rcu_read_unlock();
	return 0;
}
