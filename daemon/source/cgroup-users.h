/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many VMs use a control group. The figures of a group are the sums over all processes in it
 * and in the groups below it, so they are the figures of one VM only if no other VM is there.
 */
#ifndef APFD_CGROUP_USERS_H
#define APFD_CGROUP_USERS_H

#include <stddef.h>
#include <sys/queue.h>

struct cgroup_user_count;

LIST_HEAD(cgroup_users_bucket, cgroup_user_count);

enum { CGROUP_USERS_BUCKETS = 1024 };

/**
 * struct cgroup_users - all zero at first; without VMs it holds no memory
 * @buckets: counts by the hash of their group's path
 */
struct cgroup_users {
	struct cgroup_users_bucket buckets[CGROUP_USERS_BUCKETS];
};

/* cgroup_users_add: one more VM is in the group @path. 0; -ENOMEM: nothing was added. */
int cgroup_users_add(struct cgroup_users *u, const char *path);

/* cgroup_users_remove: the VM that was added with @path is not there any more. */
void cgroup_users_remove(struct cgroup_users *u, const char *path);

/* cgroup_users_count: number of VMs in the group @path and in the groups below it. */
size_t cgroup_users_count(struct cgroup_users *u, const char *path);

#endif /* APFD_CGROUP_USERS_H */
