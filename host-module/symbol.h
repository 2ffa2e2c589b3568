/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_SYMBOL_H
#define APF_HOST_SYMBOL_H

#include <linux/fs.h>
#include <linux/kvm_host.h>

int apf_host_symbol_init(void);
void *apf_host_symbol_find(const char *name);

bool apf_host_file_is_kvm(const struct file *file);
bool apf_host_running_vcpu_known(void);
struct kvm_vcpu *apf_host_running_vcpu(void);
bool apf_host_rip_known(void);
unsigned long apf_host_linear_rip(struct kvm_vcpu *vcpu);

#endif /* APF_HOST_SYMBOL_H */
