/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why APF does or does not work on this host, as far as everybody may see it in
 * /proc and /sys. Part of apfd and of apfctl.
 */
#ifndef APFD_DOCTOR_HOST_H
#define APFD_DOCTOR_HOST_H

#include "diagnosis.h"

/**
 * struct doctor_host - where to look, and what only apfd knows
 * @proc_root: usually /proc
 * @sys_root: usually /sys
 * @modules_root: usually /lib/modules
 * @nowait: &enum apf_nowait as the module says, -1 if it was not asked
 * @module_version: as the module says, NULL if it was not asked
 */
struct doctor_host {
	const char *proc_root;
	const char *sys_root;
	const char *modules_root;
	int nowait;
	const char *module_version;
};

/* doctor_host: looks, now, and adds a finding or more of each check of the host but apfd's. */
void doctor_host(const struct doctor_host *h, struct diagnosis *d);

#endif /* APFD_DOCTOR_HOST_H */
