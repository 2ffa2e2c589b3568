/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a control group (version 2) may use, and where its memory is. These files change seldom
 * and some of them are expensive to read: read them much less often than the group's figures.
 */
#ifndef APFD_CGROUP_LIMITS_H
#define APFD_CGROUP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup.h"

/* Of deeper groups, only so many levels are read. */
enum { CGROUP_LEVELS_MAX = 32 };

/**
 * struct cgroup_level - a group, and one after the other those above it
 * @dir_fd: directory of the first group
 * @path, @path_len: below the root of the hierarchy; @path is that of the first group
 * @above: leads from @dir_fd to this level, "" or "../../"
 * @n: levels above the first group
 */
struct cgroup_level {
	int dir_fd;
	const char *path;
	size_t path_len;
	char above[3 * CGROUP_LEVELS_MAX + 1];
	size_t n;
};

/*
 * cgroup_level_begin: for (l = cgroup_level_begin(); cgroup_level_valid(&l); cgroup_level_up(&l))
 * visits @path and the groups above it, except for the root, which has no limit. @path: "" visits
 * none.
 */
struct cgroup_level cgroup_level_begin(int dir_fd, const char *path);
bool cgroup_level_valid(const struct cgroup_level *l);
void cgroup_level_up(struct cgroup_level *l);

/* cgroup_level_read: as file_read_at(), a file of the group. */
int cgroup_level_read(const struct cgroup_level *l, const char *name, char *text, size_t size);

/* cgroup_level_bytes: a file with one number; false also for "max". */
bool cgroup_level_bytes(const struct cgroup_level *l, const char *name, uint64_t *ret);

/* More nodes than a host with VMs has; memory of further nodes is not counted. */
enum { CGROUP_NODES_MAX = 64 };

/**
 * struct cgroup_limit - of the group and the groups above it, the lowest limit
 * @limited: some of these groups has a limit
 * @limit_bytes: the lowest limit
 * @room_bytes: how much can be added before any of these limits is reached. Page cache counts as
 *	used, as in memory.current; see recall-room.h for room in which the kernel drops cache
 */
struct cgroup_limit {
	bool limited;
	uint64_t limit_bytes;
	uint64_t room_bytes;
};

/**
 * struct cgroup_limits - all zero at first
 * @max: of memory.max and memory.current
 * @high: of memory.high, above which the kernel reclaims and slows the group down
 * @swap: of memory.swap.max and memory.swap.current
 * @nodes: a bit for each node in memory.numa_stat; Linux 5.10 and later
 * @node_bytes: anonymous and shared memory on each node
 */
struct cgroup_limits {
	struct cgroup_limit max;
	struct cgroup_limit high;
	struct cgroup_limit swap;
	uint64_t nodes;
	uint64_t node_bytes[CGROUP_NODES_MAX];
};

/* cgroup_limits_read: what cannot be read is without limit, or without nodes. */
void cgroup_limits_read(const struct cgroup *c, struct cgroup_limits *ret);

/* cgroup_parse_numa: adds up the lines "anon" and "shmem" of memory.numa_stat. Pure function. */
void cgroup_parse_numa(const char *text, struct cgroup_limits *limits);

#endif /* APFD_CGROUP_LIMITS_H */
