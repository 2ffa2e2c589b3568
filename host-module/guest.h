/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_GUEST_H
#define APF_HOST_GUEST_H

#include <linux/kvm_host.h>

#include <uapi/apf_guest.h>

u32 apf_host_guest_apf(struct kvm_vcpu *vcpu);
bool apf_host_guest_nested(struct kvm_vcpu *vcpu);
bool apf_host_guest_deliverable(struct kvm_vcpu *vcpu);
u32 apf_host_guest_features(struct kvm_vcpu *vcpu);
int apf_host_guest_read_report(struct kvm_vcpu *vcpu, struct apf_guest_report *ret_raw);
int apf_host_guest_read_report_running(struct kvm_vcpu *vcpu, struct apf_guest_report *ret_raw);

#endif /* APF_HOST_GUEST_H */
