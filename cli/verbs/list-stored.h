/* SPDX-License-Identifier: GPL-2.0 */
/* "list --stored": the settings that apfd has stored, instead of the VMs. */
#ifndef APFCTL_LIST_STORED_H
#define APFCTL_LIST_STORED_H

#include "apfctl.h"

/* Prints the settings in the order of --sort, else in the order of apfd. Returns an exit status. */
int list_stored(struct apfctl *ctl);

#endif
