/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_NETLINK_H
#define APF_HOST_NETLINK_H

#include <linux/types.h>

struct apf_host_vm;

int apf_host_netlink_init(void);
void apf_host_netlink_uninit(void);

void apf_host_netlink_vm_gone(const struct apf_host_vm *vm);
void apf_host_netlink_lease_ended(const struct apf_host_vm *vm, bool whole);
void apf_host_netlink_report(const struct apf_host_vm *vm, u32 index, u32 event, const u32 *value);

#endif /* APF_HOST_NETLINK_H */
