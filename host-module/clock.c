// SPDX-License-Identifier: GPL-2.0
/*
 * How long the vCPU ran between two events, without a hook on each halt and each switch of
 * threads: KVM and the scheduler count the time in which it did not run. Both update their
 * counters in this thread before it continues, so the difference of two readings is exact.
 *
 *  halt_wait_ns          KVM   the vCPU was halted and its thread slept, until it ran again
 *  halt_poll_*_ns        KVM   the vCPU was halted and its thread polled
 *  sched_info.run_delay        the thread could run and waited for a CPU: preempted, or woken
 *
 * run_delay is also KVM's source for the guest's steal time, so KVM selects
 * CONFIG_SCHED_INFO. A thread that was woken from a halt waits for a CPU in both counters:
 * this wait is subtracted twice.
 *
 * Preempt notifiers would be exact, but they belong to a thread and must be removed by that
 * thread. A vCPU may never be run again while it has outstanding pages, and the module must
 * be able to go.
 */
#include <linux/ktime.h>
#include <linux/sched.h>

#include "clock.h"

/**
 * apf_host_clock_read() - read the clocks
 * @ret: result
 * @vcpu: the vCPU that this thread runs
 *
 * Context: the vCPU's thread; any context in which ktime_get() may be called.
 */
void apf_host_clock_read(struct apf_host_clock *ret, const struct kvm_vcpu *vcpu)
{
	ret->now_nsec = ktime_get_ns();
	ret->idle_nsec = vcpu->stat.generic.halt_wait_ns +
			 vcpu->stat.generic.halt_poll_success_ns +
			 vcpu->stat.generic.halt_poll_fail_ns + current->sched_info.run_delay;
	ret->thread = current;
}
