/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control group of a VM, version 2: what its memory controller knows. Every
 * root directory is an argument. What cannot be read is not known; nothing here
 * fails because a file is missing.
 */
#ifndef APFD_CGROUP_H
#define APFD_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "util.h"

struct cgroup;

/* What struct cgroup_facts has. */
enum {
	CGROUP_CURRENT = 1 << 0,
	CGROUP_SWAP = 1 << 1,
	CGROUP_MAJOR_FAULTS = 1 << 2,
	CGROUP_REFAULTS = 1 << 3,
	CGROUP_SWAPINS = 1 << 4,
	CGROUP_SOME = 1 << 5,
	CGROUP_FULL = 1 << 6,
};

/**
 * struct cgroup_facts - all zero at first
 * @known: CGROUP_* of the fields that are set
 * @major_faults: total of the group and those below it
 * @refaults: total of anonymous pages that came back soon after they were taken
 * @swapins: total of pages read from swap; Linux 6.12 and later
 * @some_avg10: percent of time in which some task of the group waited for memory
 * @full_avg10: all of them
 */
struct cgroup_facts {
	unsigned int known;
	uint64_t current_bytes;
	uint64_t swap_bytes;
	uint64_t major_faults;
	uint64_t refaults;
	uint64_t swapins;
	double some_avg10;
	double full_avg10;
};

/*
 * cgroup_new: finds the group that accounts the memory of @pid. Threads and the
 * process itself may be in groups below it that only distribute CPU time, as
 * libvirt has them. 0; -ENOENT if there is none (not version 2, or the root);
 * -ESRCH if there is no such process; other errors of open(2).
 */
int cgroup_new(const char *proc_root, const char *cgroup_root, pid_t pid, struct cgroup **ret);
struct cgroup *cgroup_free(struct cgroup *c);
APF_DEFINE_CLEANUP(struct cgroup *, cgroup_free);

/* cgroup_path: below the root of the hierarchy, begins with "/". */
const char *cgroup_path(const struct cgroup *c);

/* cgroup_read: renews everything; what cannot be read becomes unknown. */
void cgroup_read(struct cgroup *c, struct cgroup_facts *ret);

/*
 * cgroup_trigger: has the kernel tell when tasks of the group waited for memory
 * for @stall_usec within @window_usec: the descriptor returned, which stays the
 * group's, is then ready for EPOLLPRI, at most once for each window. Linux allows
 * that with CAP_SYS_RESOURCE, since 6.5 also without if the window is a multiple of
 * two seconds. -EOPNOTSUPP without PSI; other errors of open(2) and write(2).
 */
int cgroup_trigger(struct cgroup *c, unsigned int stall_usec, unsigned int window_usec);

/* Parsers, of text that ends with NUL. Pure functions. */

/* cgroup_parse_membership: the path in /proc/PID/cgroup. 0; -ENOENT; -EBADMSG. */
int cgroup_parse_membership(const char *text, char *ret_path, size_t size);
void cgroup_parse_stat(const char *text, struct cgroup_facts *facts);
void cgroup_parse_pressure(const char *text, struct cgroup_facts *facts);
int cgroup_parse_bytes(const char *text, uint64_t *ret); /* 0 or -EBADMSG */

#endif /* APFD_CGROUP_H */
