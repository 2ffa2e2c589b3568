/* SPDX-License-Identifier: GPL-2.0 */
/* The checks of doctor-host.c that have their own files. */
#ifndef APFD_DOCTOR_CHECKS_HOST_H
#define APFD_DOCTOR_CHECKS_HOST_H

#include "doctor-host.h"

/* Before 5.13 (commit 2f15d027c05f), a guest with a disabled APIC loses wake-ups. */
#define KERNEL_SAFE HOST_KERNEL(5, 13)

/* doctor_host_module: apf_host: whether it is loaded, its hooks and its parameters. */
void doctor_host_module(const struct doctor_host *h, const struct host_kernel *k,
			struct diagnosis *d);

/* doctor_host_swap: swap devices, zswap, and the settings of swapping. */
void doctor_host_swap(const struct doctor_host *h, const struct host_kernel *k,
		      struct diagnosis *d);

#endif /* APFD_DOCTOR_CHECKS_HOST_H */
