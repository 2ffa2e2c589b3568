/* SPDX-License-Identifier: GPL-2.0 */
#include "recall-room.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "cgroup.h"
#include "file.h"
#include "host-memory.h"
#include "number.h"
#include "recall-plan.h"
#include "util.h"

enum { FILE_MAX_BYTES = 16384 };

/* The number after @key at the begin of a line. 0 or -EBADMSG. */
static int find_number(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	while (*text) {
		if (strncmp(text, key, len) == 0) {
			text += len;
			text += strspn(text, " ");
			return number_parse(&text, " \n", ret);
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return -EBADMSG;
}

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

/* A file with one number; "max" or no such file: no limit. */
static uint64_t read_limit(int dir_fd, const char *name)
{
	char text[64];
	uint64_t bytes;

	if (file_read_at(dir_fd, name, text, sizeof(text)) < 0 ||
	    cgroup_parse_bytes(text, &bytes) < 0)
		return RECALL_UNLIMITED;
	return bytes;
}

static uint64_t read_group(const char *cgroup_root, const char *path)
{
	uint64_t limit_bytes, current_bytes, cache_bytes;
	_cleanup_close_ int fd = -1;
	char text[FILE_MAX_BYTES];

	if ((size_t)snprintf(text, sizeof(text), "%s%s", cgroup_root, path) >= sizeof(text))
		return RECALL_UNLIMITED;
	fd = open(text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return RECALL_UNLIMITED;
	limit_bytes = MIN_OF(read_limit(fd, "memory.max"), read_limit(fd, "memory.high"));
	current_bytes = read_limit(fd, "memory.current");
	if (limit_bytes == RECALL_UNLIMITED || current_bytes == RECALL_UNLIMITED)
		return RECALL_UNLIMITED;
	if (file_read_at(fd, "memory.stat", text, sizeof(text)) < 0 ||
	    find_number(text, "inactive_file ", &cache_bytes) < 0)
		cache_bytes = 0;
	current_bytes -= MIN_OF(cache_bytes, current_bytes);
	return recall_room(limit_bytes > current_bytes ? limit_bytes - current_bytes : 0,
			   limit_bytes);
}

int recall_room_read(const char *proc_root, const char *cgroup_root, const char *group,
		     struct recall_room *ret)
{
	char name[PATH_MAX], text[FILE_MAX_BYTES];
	uint64_t total_bytes, available_bytes;
	int r;

	*ret = (struct recall_room){ .group_bytes = RECALL_UNLIMITED };
	if ((size_t)snprintf(name, sizeof(name), "%s/meminfo", proc_root) >= sizeof(name) ||
	    (size_t)snprintf(text, sizeof(text), "%s", group) >= PATH_MAX)
		return -ENAMETOOLONG;
	/* The group and those above it, except for the root, which has no limit. */
	while (text[0] == '/' && text[1]) {
		uint64_t bytes = read_group(cgroup_root, text);

		if (bytes < ret->group_bytes) {
			ret->group_bytes = bytes;
			snprintf(ret->group, sizeof(ret->group), "%.*s", PATH_MAX - 1, text);
		}
		*strrchr(text, '/') = '\0';
	}
	r = file_read_at(AT_FDCWD, name, text, sizeof(text));
	if (r >= 0)
		r = recall_room_parse_meminfo(text, &total_bytes, &available_bytes);
	if (r >= 0)
		ret->host_bytes = recall_room(available_bytes, total_bytes);
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
