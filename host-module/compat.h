/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between the kernels the module builds for: Linux 5.19, the
 * first with file_is_kvm(), to the newest one tested, 6.12.
 */
#ifndef APF_HOST_COMPAT_H
#define APF_HOST_COMPAT_H

#include <linux/version.h>
#include <net/genetlink.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 19, 0)
#error "apf_host needs Linux 5.19 or newer: older kernels do not export file_is_kvm()"
#endif

/* 6.2 handed split ops to pre_doit. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
typedef struct genl_split_ops apf_genl_op_t;
#else
typedef struct genl_ops apf_genl_op_t;
#endif

/* 6.1 made strict validation the default from resv_start_op on. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
#define APF_GENL_RESV_START_OP(op)	.resv_start_op = (op),
#else
#define APF_GENL_RESV_START_OP(op)
#endif

/* 6.7 moved the attributes of a dump into a struct genl_info. */
static inline struct nlattr **apf_genl_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

/*
 * From 4.14 on swap_readpage() is told to wait for every read whose read-ahead
 * window is one page, even when the fault may not sleep; 6.6 (b243dcbf2f13)
 * does it no more.
 */
#define APF_SWAP_READ_WAITS	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0))

#endif /* APF_HOST_COMPAT_H */
