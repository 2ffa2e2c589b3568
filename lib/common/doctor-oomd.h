/* SPDX-License-Identifier: GPL-2.0 */
/* Whether systemd-oomd ends VMs: by its control group, and by the unit files of systemd. */
#ifndef APFD_DOCTOR_OOMD_H
#define APFD_DOCTOR_OOMD_H

#include "diagnosis.h"
#include "host-kernel.h"

/*
 * doctor_oomd: adds the findings of CHECK_OOMD: one for each unit that lets systemd-oomd end what
 * is in it. The units are the root slice, machine.slice and @units.
 * @units: other units that VMs are in, NULL at the end; NULL: none is known
 */
void doctor_oomd(const struct host_roots *roots, const char *const *units, struct diagnosis *d);

#endif /* APFD_DOCTOR_OOMD_H */
