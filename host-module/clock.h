/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_CLOCK_H
#define APF_HOST_CLOCK_H

#include <linux/kvm_host.h>

#include "stats.h"

void apf_host_clock_read(struct apf_host_clock *ret, const struct kvm_vcpu *vcpu);

#endif /* APF_HOST_CLOCK_H */
