/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_NETLINK_H
#define APF_HOST_NETLINK_H

struct apf_host_vm;

int apf_host_netlink_init(void);
void apf_host_netlink_uninit(void);

void apf_host_netlink_vm_gone(const struct apf_host_vm *vm);

#endif /* APF_HOST_NETLINK_H */
