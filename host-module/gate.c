// SPDX-License-Identifier: GPL-2.0
/*
 * The gate's decision: may KVM start an asynchronous page fault now?
 *
 * The module can only prevent asynchronous faults: it answers "no" instead of KVM's
 * own check. It injects nothing and does not change KVM's lists.
 */
#include <linux/module.h>

#include "gate.h"
#include "guest.h"
#include "vm.h"

static bool nested_guard = true;
module_param(nested_guard, bool, 0644);
MODULE_PARM_DESC(nested_guard,
		 "No asynchronous page fault while a vCPU runs a nested guest (default: Y)");

bool apf_host_gate_nested_guard(void)
{
	return READ_ONCE(nested_guard);
}

/**
 * apf_host_gate_refuses() - decide, and count the decision
 * @vcpu: a vCPU that would have to wait for a page
 *
 * Context: the vCPU's thread, inside KVM_RUN, with the vCPU loaded and its
 * mutex held.
 * Return: true if KVM must not start an asynchronous page fault.
 */
bool apf_host_gate_refuses(struct kvm_vcpu *vcpu)
{
	bool nested, paused = false, refuse = false;
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;
	u32 state;

	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	if (!vm)
		goto out;

	if (v) {
		apf_host_vm_scan_report(vm, v, vcpu);
		paused = READ_ONCE(v->report.paused);
	}
	state = v ? READ_ONCE(v->state) : READ_ONCE(vm->state);
	nested = READ_ONCE(nested_guard) && apf_host_guest_nested(vcpu);
	refuse = nested || paused || state == APF_STATE_OFF ||
		 (state == APF_STATE_PV && !apf_host_guest_deliverable(vcpu));
	if (v)
		apf_host_stats_asked(&v->stats, refuse, refuse && nested, refuse && paused);
out:
	rcu_read_unlock();
	return refuse;
}
