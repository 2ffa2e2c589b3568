/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control group (version 2) of a VM: figures of its memory controller. Every
 * root directory is an argument. A value that cannot be read counts as unknown; no
 * function fails because a file of the group is missing.
 */
#ifndef APFD_CGROUP_H
#define APFD_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util.h"

struct cgroup;

/* Which fields of struct cgroup_facts are set. */
enum {
	CGROUP_CURRENT = 1 << 0,
	CGROUP_SWAP = 1 << 1,
	CGROUP_MAJOR_FAULTS = 1 << 2,
	CGROUP_REFAULTS = 1 << 3,
	CGROUP_SWAPINS = 1 << 4,
	CGROUP_SOME = 1 << 5,
	CGROUP_FULL = 1 << 6,
	CGROUP_SWAPCACHED = 1 << 7,
	CGROUP_SWAPOUTS = 1 << 8,
	CGROUP_ACTIVATIONS = 1 << 9,
	CGROUP_ZSWAP = 1 << 10,
	CGROUP_ZSWAPPED = 1 << 11,
	CGROUP_ACTIVE = 1 << 12,
	CGROUP_SOME_TOTAL = 1 << 13,
	CGROUP_FULL_TOTAL = 1 << 14,
};

/**
 * struct cgroup_facts - all zero at first
 * @known: CGROUP_* of the fields that are set
 * @swap_bytes: swap space of the group, also of pages that are back in memory and still have
 *	their place on swap
 * @swapcached_bytes: these pages: part of @swap_bytes that is in memory, too; Linux 5.12 and
 *	later
 * @major_faults: total of the group and the groups below it
 * @refaults: total of anonymous pages that were read again soon after they were evicted
 * @swapins, @swapouts: totals of pages read from and written to swap; Linux 6.13 and later
 * @activations: total of those @refaults that the kernel took for a part of the working set;
 *	Linux 5.9 and later
 * @zswap_bytes, @zswapped_bytes: memory that zswap uses for the group, and the size of these
 *	pages before they were compressed; Linux 5.19 and later, with zswap
 * @active_anon_bytes: anonymous memory on the kernel's active list
 * @some_avg10: percent of time in which some task of the group waited for memory
 * @full_avg10: percent of time in which all tasks of the group waited for memory
 * @some_usec, @full_usec: totals of such time
 */
struct cgroup_facts {
	unsigned int known;
	uint64_t current_bytes;
	uint64_t swap_bytes;
	uint64_t major_faults;
	uint64_t refaults;
	uint64_t swapins;
	uint64_t swapouts;
	uint64_t activations;
	uint64_t swapcached_bytes;
	uint64_t zswap_bytes;
	uint64_t zswapped_bytes;
	uint64_t active_anon_bytes;
	double some_avg10;
	double full_avg10;
	uint64_t some_usec;
	uint64_t full_usec;
};

/*
 * cgroup_new: finds the group that accounts the memory of @pid. The process and its
 * threads may be in groups below that one which only distribute CPU time; libvirt
 * creates such groups. 0; -ENOENT if no group accounts the memory (no version 2, or
 * only the root group does); -ESRCH if there is no such process; other errors of open(2).
 */
int cgroup_new(const char *proc_root, const char *cgroup_root, pid_t pid, struct cgroup **ret);
struct cgroup *cgroup_free(struct cgroup *c);
APF_DEFINE_CLEANUP(struct cgroup *, cgroup_free);

/*
 * cgroup_renew: finds the group again: the process may have moved, or the memory controller may
 * have been enabled for a group below. 1: *ret is the group that now accounts the memory instead
 * of @now, each NULL if none does; the caller owns both. 0: @now is right, or this cannot be
 * known now. Without @thorough, only a process that moved is noticed; that costs one small read.
 */
int cgroup_renew(const char *proc_root, const char *cgroup_root, pid_t pid, bool thorough,
		 struct cgroup *now, struct cgroup **ret);

/* cgroup_path: path below the root of the hierarchy, begins with "/". */
const char *cgroup_path(const struct cgroup *c);

/* cgroup_dir: the directory of the group, opened with O_PATH; @c owns the descriptor. */
int cgroup_dir(const struct cgroup *c);

/* cgroup_read: reads all values; a value that cannot be read becomes unknown. */
void cgroup_read(struct cgroup *c, struct cgroup_facts *ret);

/*
 * cgroup_trigger: asks the kernel to notify when tasks of the group waited for memory
 * for @stall_usec within @window_usec. Returns a descriptor that then becomes ready for
 * EPOLLPRI, at most once in each window; @c owns the descriptor. Since Linux 6.5, a window that
 * is no multiple of two seconds needs CAP_SYS_RESOURCE.
 * -EOPNOTSUPP without PSI; other errors of open(2) and write(2).
 */
int cgroup_trigger(struct cgroup *c, unsigned int stall_usec, unsigned int window_usec);

/* cgroup_untrigger: ends the notification. The descriptor must not be in use any more. */
void cgroup_untrigger(struct cgroup *c);

/* Parsers of NUL-terminated text. Pure functions. */

/* cgroup_parse_membership: the version 2 path in /proc/PID/cgroup. 0; -ENOENT; -EBADMSG. */
int cgroup_parse_membership(const char *text, char *ret_path, size_t size);

/* A line of /proc/PID/cgroup with a hierarchy of each version; no string ends with NUL. */
enum { CGROUP_LINES_MAX_BYTES = 16384 };

/**
 * struct cgroup_line
 * @unified: of version 2
 * @controllers: a list with commas, "memory,pids" or "name=systemd"; empty for version 2
 * @path: begins with "/"
 */
struct cgroup_line {
	bool unified;
	const char *controllers;
	size_t controllers_len;
	const char *path;
	size_t path_len;
};

/* cgroup_next_line: reads the line at *text, skips others, and moves *text. False: the end. */
bool cgroup_next_line(const char **text, struct cgroup_line *ret);
bool cgroup_line_has(const struct cgroup_line *line, const char *controller);
void cgroup_parse_stat(const char *text, struct cgroup_facts *facts);
void cgroup_parse_pressure(const char *text, struct cgroup_facts *facts);
int cgroup_parse_bytes(const char *text, uint64_t *ret); /* 0 or -EBADMSG */

#endif /* APFD_CGROUP_H */
