/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_STALL_H
#define APF_HOST_STALL_H

#include <linux/kprobes.h>

#include "stats.h"

struct apf_host_stall {
	struct kvm_vcpu *vcpu;
	struct apf_host_clock entered;
	u64 started;
	unsigned long maj_flt;
	unsigned long nvcsw;
};

int apf_host_stall_entry(struct kretprobe_instance *ri, struct pt_regs *regs);
int apf_host_stall_return(struct kretprobe_instance *ri, struct pt_regs *regs);

#endif /* APF_HOST_STALL_H */
