/* SPDX-License-Identifier: GPL-2.0 */
/* "apfctl status" of the host. */
#ifndef APFCTL_STATUS_HOST_H
#define APFCTL_STATUS_HOST_H

#include "apfctl.h"
#include "vm.h"

/* Reads and prints the host and the sums of its VMs. Returns an exit status. */
int status_show_host(struct apfctl *ctl);

/* Prints what concerns a VM, too: swap devices, errors of the configuration, dry run. */
void status_print_host(const struct apfctl *ctl, const struct host *host);

#endif
