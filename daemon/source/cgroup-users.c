/* SPDX-License-Identifier: GPL-2.0 */
#include "cgroup-users.h"

#include <errno.h>

#include "util.h"

/**
 * struct cgroup_user_count - one group with VMs in it or below it
 * @n: number of these VMs, at least 1
 */
struct cgroup_user_count {
	LIST_ENTRY(cgroup_user_count) same_hash;
	size_t n;
	size_t len;
	char path[];
};

/* @len: the path may be the begin of a longer one. */
static struct cgroup_users_bucket *bucket_of(struct cgroup_users *u, const char *path, size_t len)
{
	uint32_t hash = UINT32_C(2166136261);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)path[i]) * UINT32_C(16777619);
	return &u->buckets[hash % CGROUP_USERS_BUCKETS];
}

static struct cgroup_user_count *find(struct cgroup_users *u, const char *path, size_t len)
{
	struct cgroup_user_count *count;

	LIST_FOREACH(count, bucket_of(u, path, len), same_hash)
		if (count->len == len && memcmp(count->path, path, len) == 0)
			return count;
	return NULL;
}

/* Length of the path of the group above, 0 if there is none. */
static size_t parent_len(const char *path, size_t len)
{
	while (len > 0 && path[--len] != '/')
		;
	return len;
}

/* Removes one VM from the group of the first @len bytes and from the groups above, down to @end. */
static void remove_from(struct cgroup_users *u, const char *path, size_t len, size_t end)
{
	for (; len > end; len = parent_len(path, len)) {
		struct cgroup_user_count *count = find(u, path, len);

		if (!count || --count->n > 0)
			continue;
		LIST_REMOVE(count, same_hash);
		free(count);
	}
}

int cgroup_users_add(struct cgroup_users *u, const char *path)
{
	size_t whole = strlen(path);

	for (size_t len = whole; len > 0; len = parent_len(path, len)) {
		struct cgroup_user_count *count = find(u, path, len);

		if (!count) {
			count = malloc(sizeof(*count) + len);
			if (!count) {
				remove_from(u, path, whole, len);
				return -ENOMEM;
			}
			count->n = 0;
			count->len = len;
			memcpy(count->path, path, len);
			LIST_INSERT_HEAD(bucket_of(u, path, len), count, same_hash);
		}
		count->n++;
	}
	return 0;
}

void cgroup_users_remove(struct cgroup_users *u, const char *path)
{
	remove_from(u, path, strlen(path), 0);
}

size_t cgroup_users_count(struct cgroup_users *u, const char *path)
{
	const struct cgroup_user_count *count = find(u, path, strlen(path));

	return count ? count->n : 0;
}
