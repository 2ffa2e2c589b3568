/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All differences between the supported kernels. Tested: 6.1 to 7.3. DKMS decides
 * by a trial build, not by the version (packaging/dkms-skip).
 */
#ifndef APF_HOST_COMPAT_H
#define APF_HOST_COMPAT_H

#include <linux/version.h>
#include <net/genetlink.h>

/*
 * Since 4.14 the kernel makes swap_readpage() wait for every read with a read-ahead
 * window of one page, even if the fault may not sleep; 6.6 (b243dcbf2f13) has
 * changed this.
 */
#define APF_SWAP_READ_WAITS	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0))

/* The flag that requires CAP_NET_ADMIN has another name before 6.7 and its stable releases. */
#ifndef GENL_MCAST_CAP_NET_ADMIN
#define GENL_MCAST_CAP_NET_ADMIN	GENL_UNS_ADMIN_PERM
#endif

#endif /* APF_HOST_COMPAT_H */
