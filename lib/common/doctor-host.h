/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why APF works or does not work on this host, by files that every user can read, mostly
 * in /proc and /sys. Part of apfd and of apfctl.
 */
#ifndef APFD_DOCTOR_HOST_H
#define APFD_DOCTOR_HOST_H

#include "diagnosis.h"
#include "hook.h"
#include "host-kernel.h"

/**
 * struct doctor_host - directories to read, and facts that only apfd knows
 * @roots: directories of the running system
 * @nowait: &enum apf_nowait from the module, -1 if the module was not queried
 * @module_version: from the module, NULL if the module was not queried
 * @hooks: from the module, NULL if the module was not queried
 * @units: units of systemd that VMs are in, NULL at the end; NULL: not known
 * @why_not_asked: negative errno of a failed query; 0 if there was no query
 */
struct doctor_host {
	struct host_roots roots;
	int nowait;
	const char *module_version;
	const struct hooks *hooks;
	const char *const *units;
	int why_not_asked;
};

/* The usual directories; tests use others. */
#define HOST_ROOTS_USUAL                                                                    \
	{                                                                                   \
		.proc = "/proc", .sys = "/sys", .modules = "/lib/modules", .boot = "/boot", \
		.var = "/var/lib", .log = "/var/log", .cgroup = "/sys/fs/cgroup",           \
		.root = "",                                                                 \
	}

/* doctor_host: runs all checks of the host except those about apfd; adds their findings to @d. */
void doctor_host(const struct doctor_host *h, struct diagnosis *d);

#endif /* APFD_DOCTOR_HOST_H */
