/* SPDX-License-Identifier: GPL-2.0 */
#include "cgroup-limits.h"

#include "file.h"
#include "number.h"

enum {
	/* "anon" and "shmem" are at the beginning; the whole file has 25 lines. */
	NUMA_MAX_BYTES = 16384,
};

/* ---- levels ---- */

struct cgroup_level cgroup_level_begin(int dir_fd, const char *path)
{
	return (struct cgroup_level){ .dir_fd = dir_fd, .path = path, .path_len = strlen(path) };
}

bool cgroup_level_valid(const struct cgroup_level *l)
{
	/* The root of the hierarchy has no limits. */
	return l->path_len > 1 && l->n < CGROUP_LEVELS_MAX;
}

void cgroup_level_up(struct cgroup_level *l)
{
	const char *slash = memrchr(l->path, '/', l->path_len);

	l->path_len = slash ? (size_t)(slash - l->path) : 0;
	strcpy(l->above + 3 * l->n++, "../");
}

int cgroup_level_read(const struct cgroup_level *l, const char *name, char *text, size_t size)
{
	char path[sizeof(l->above) + 32];

	snprintf(path, sizeof(path), "%s%s", l->above, name);
	return file_read_at(l->dir_fd, path, text, size);
}

bool cgroup_level_bytes(const struct cgroup_level *l, const char *name, uint64_t *ret)
{
	char text[32];

	return cgroup_level_read(l, name, text, sizeof(text)) >= 0 &&
	       cgroup_parse_bytes(text, ret) >= 0;
}

/* ---- limits ---- */

static void add_level(const struct cgroup_level *l, const char *limit_name,
		      const char *current_name, struct cgroup_limit *limit)
{
	uint64_t limit_bytes, current_bytes, room_bytes;

	if (!cgroup_level_bytes(l, limit_name, &limit_bytes) ||
	    !cgroup_level_bytes(l, current_name, &current_bytes))
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
	for (; *text; text = number_next_line(text))
		if (strncmp(text, "anon ", 5) == 0 || strncmp(text, "shmem ", 6) == 0)
			parse_numa_line(text, limits);
}

void cgroup_limits_read(const struct cgroup *c, struct cgroup_limits *ret)
{
	struct cgroup_level level = cgroup_level_begin(cgroup_dir(c), cgroup_path(c));
	char text[NUMA_MAX_BYTES];

	*ret = (struct cgroup_limits){};
	for (; cgroup_level_valid(&level); cgroup_level_up(&level)) {
		add_level(&level, "memory.max", "memory.current", &ret->max);
		add_level(&level, "memory.high", "memory.current", &ret->high);
		add_level(&level, "memory.swap.max", "memory.swap.current", &ret->swap);
	}
	if (file_read_at(cgroup_dir(c), "memory.numa_stat", text, sizeof(text)) >= 0)
		cgroup_parse_numa(text, ret);
}
