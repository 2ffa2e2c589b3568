/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_HOST_HOOKS_H
#define APF_HOST_HOOKS_H

#include <linux/types.h>

int apf_host_hooks_init(void);
void apf_host_hooks_uninit(void);

int apf_host_hooks_get(const char **ret_failed);
void apf_host_hooks_put(void);

u32 apf_host_hooks_placed(void);
void apf_host_hooks_describe(u32 id, char *name, size_t size, int *ret_error);
u64 apf_host_hooks_misses(void);

#endif /* APF_HOST_HOOKS_H */
