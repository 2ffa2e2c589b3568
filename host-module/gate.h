/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_GATE_H
#define APF_HOST_GATE_H

#include <linux/kvm_host.h>

bool apf_host_gate_nested_guard(void);
bool apf_host_gate_refuses(struct kvm_vcpu *vcpu);

#endif /* APF_HOST_GATE_H */
