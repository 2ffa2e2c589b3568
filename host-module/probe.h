/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_PROBE_H
#define APF_HOST_PROBE_H

#include <linux/kvm_host.h>

#include "vm.h"

int apf_host_probe_init(void);
void apf_host_probe_uninit(void);

bool apf_host_probe_nested_guard(void);
u64 apf_host_probe_misses(void);
u32 apf_host_probe_guest_apf(struct kvm_vcpu *vcpu);

void apf_host_probe_look_idle(struct apf_host_vm *vm, struct apf_host_vcpu *v,
			      struct kvm_vcpu *vcpu);

/* In a probe, under rcu_read_lock(). */
struct apf_host_vcpu *apf_host_probe_running(void);

#endif /* APF_HOST_PROBE_H */
