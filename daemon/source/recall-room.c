/* SPDX-License-Identifier: GPL-2.0 */
#include "recall-room.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "cgroup-limits.h"
#include "file.h"
#include "host-memory.h"
#include "number.h"
#include "util.h"

enum { FILE_MAX_BYTES = 16384 };

int recall_room_parse_meminfo(const char *text, uint64_t *ret_total_bytes,
			      uint64_t *ret_available_bytes)
{
	struct memory_figures figures = {};

	host_memory_parse_meminfo(text, &figures);
	if (!memory_figure_known(&figures, HOST_MEMORY_TOTAL) ||
	    !memory_figure_known(&figures, HOST_MEMORY_AVAILABLE))
		return -EBADMSG;
	*ret_total_bytes = figures.value[HOST_MEMORY_TOTAL];
	*ret_available_bytes = figures.value[HOST_MEMORY_AVAILABLE];
	return 0;
}

static uint64_t read_group(const struct cgroup_level *l, enum recall_reserve reserve)
{
	uint64_t max_bytes = RECALL_UNLIMITED, high_bytes = RECALL_UNLIMITED;
	uint64_t limit_bytes, current_bytes, cache_bytes;
	char text[FILE_MAX_BYTES];

	(void)cgroup_level_bytes(l, "memory.max", &max_bytes);
	(void)cgroup_level_bytes(l, "memory.high", &high_bytes);
	limit_bytes = MIN_OF(max_bytes, high_bytes);
	if (limit_bytes == RECALL_UNLIMITED ||
	    !cgroup_level_bytes(l, "memory.current", &current_bytes))
		return RECALL_UNLIMITED;
	if (cgroup_level_read(l, "memory.stat", text, sizeof(text)) < 0 ||
	    number_find(text, "inactive_file ", &cache_bytes) < 0)
		cache_bytes = 0;
	current_bytes -= MIN_OF(cache_bytes, current_bytes);
	return recall_room(limit_bytes > current_bytes ? limit_bytes - current_bytes : 0,
			   limit_bytes, reserve);
}

int recall_room_read(const char *proc_root, int group_fd, const char *group,
		     enum recall_reserve reserve, struct recall_room *ret)
{
	struct cgroup_level level = cgroup_level_begin(group_fd, group);
	char name[PATH_MAX], text[FILE_MAX_BYTES];
	uint64_t total_bytes, available_bytes;
	int r;

	*ret = (struct recall_room){ .group_bytes = RECALL_UNLIMITED };
	if ((size_t)snprintf(name, sizeof(name), "%s/meminfo", proc_root) >= sizeof(name))
		return -ENAMETOOLONG;
	for (; cgroup_level_valid(&level); cgroup_level_up(&level)) {
		uint64_t bytes = read_group(&level, reserve);

		if (bytes >= ret->group_bytes)
			continue;
		ret->group_bytes = bytes;
		snprintf(ret->group, sizeof(ret->group), "%.*s",
			 (int)MIN_OF(level.path_len, sizeof(ret->group) - 1), level.path);
	}
	r = file_read_at(AT_FDCWD, name, text, sizeof(text));
	if (r >= 0)
		r = recall_room_parse_meminfo(text, &total_bytes, &available_bytes);
	if (r >= 0)
		ret->host_bytes = recall_room(available_bytes, total_bytes, reserve);
	return r;
}

uint64_t recall_room_bytes(const struct recall_room *room)
{
	return MIN_OF(room->host_bytes, room->group_bytes);
}

void recall_room_text(const struct recall_room *room, uint64_t needed_bytes, char *text,
		      size_t size)
{
	const uint64_t needed_mib = needed_bytes >> 20;

	if (room->host_bytes <= room->group_bytes)
		snprintf(text, size,
			 "%" PRIu64 " MiB do not fit into the %" PRIu64
			 " MiB that the host has available",
			 needed_mib, room->host_bytes >> 20);
	else
		snprintf(text, size,
			 "%" PRIu64 " MiB do not fit into the %" PRIu64
			 " MiB below the limit of the control group %s",
			 needed_mib, room->group_bytes >> 20, room->group);
}
