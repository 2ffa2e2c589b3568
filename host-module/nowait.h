/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_NOWAIT_H
#define APF_HOST_NOWAIT_H

#include <linux/types.h>

void apf_host_nowait_start(void);
void apf_host_nowait_stop(void);
u32 apf_host_nowait_state(void);

#endif /* APF_HOST_NOWAIT_H */
