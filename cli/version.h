/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_VERSION_H
#define APFCTL_VERSION_H

#include "apfctl.h"

/* Prints the versions of apfctl, apfd and apf_host, or why one of them has none. Never fails. */
void version_print(struct apfctl *ctl);

#endif
