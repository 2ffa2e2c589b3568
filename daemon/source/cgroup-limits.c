/* SPDX-License-Identifier: GPL-2.0 */
#include "cgroup-limits.h"

#include "file.h"
#include "number.h"

enum {
	/* "anon" and "shmem" are at the beginning; the whole file has 25 lines. */
	NUMA_MAX_BYTES = 16384,
	/* Deeper groups are read up to this level only. */
	LEVELS_MAX = 32,
};

/* Reads one number; false also for "max". */
static bool read_bytes(int dir_fd, const char *above, const char *name, uint64_t *ret)
{
	char path[3 * LEVELS_MAX + 32], text[32];

	snprintf(path, sizeof(path), "%s%s", above, name);
	return file_read_at(dir_fd, path, text, sizeof(text)) >= 0 &&
	       cgroup_parse_bytes(text, ret) >= 0;
}

static void add_level(int dir_fd, const char *above, const char *limit_name,
		      const char *current_name, struct cgroup_limit *limit)
{
	uint64_t limit_bytes, current_bytes, room_bytes;

	if (!read_bytes(dir_fd, above, limit_name, &limit_bytes) ||
	    !read_bytes(dir_fd, above, current_name, &current_bytes))
		return;
	/* A limit that was lowered may be below what is in use. */
	room_bytes = limit_bytes > current_bytes ? limit_bytes - current_bytes : 0;
	if (!limit->limited || limit_bytes < limit->limit_bytes)
		limit->limit_bytes = limit_bytes;
	if (!limit->limited || room_bytes < limit->room_bytes)
		limit->room_bytes = room_bytes;
	limit->limited = true;
}

static const char *next_word(const char *s)
{
	s += strcspn(s, " \n");
	return *s == ' ' ? s + 1 : s;
}

/* "anon N0=205000000 N1=0" */
static void parse_numa_line(const char *line, struct cgroup_limits *limits)
{
	for (const char *s = next_word(line); *s && *s != '\n'; s = next_word(s)) {
		uint64_t node, bytes;
		const char *at = s + 1;

		if (*s != 'N' || number_parse(&at, "=", &node) < 0 || *at != '=')
			continue;
		at++;
		if (number_parse(&at, " \n", &bytes) < 0 || node >= CGROUP_NODES_MAX)
			continue;
		limits->nodes |= UINT64_C(1) << node;
		limits->node_bytes[node] += bytes;
	}
}

void cgroup_parse_numa(const char *text, struct cgroup_limits *limits)
{
	while (*text) {
		if (strncmp(text, "anon ", 5) == 0 || strncmp(text, "shmem ", 6) == 0)
			parse_numa_line(text, limits);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

void cgroup_limits_read(const struct cgroup *c, struct cgroup_limits *ret)
{
	char above[3 * LEVELS_MAX + 1] = "", text[NUMA_MAX_BYTES];
	const char *path = cgroup_path(c);
	int dir_fd = cgroup_dir(c);

	*ret = (struct cgroup_limits){};
	/* The path has a slash for each level, and the root of the hierarchy has no limits. */
	for (size_t level = 0; level < LEVELS_MAX && path; level++) {
		add_level(dir_fd, above, "memory.max", "memory.current", &ret->max);
		add_level(dir_fd, above, "memory.high", "memory.current", &ret->high);
		add_level(dir_fd, above, "memory.swap.max", "memory.swap.current", &ret->swap);
		strcat(above, "../");
		path = strchr(path + 1, '/');
	}
	if (file_read_at(dir_fd, "memory.numa_stat", text, sizeof(text)) >= 0)
		cgroup_parse_numa(text, ret);
}
