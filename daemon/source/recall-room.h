/* SPDX-License-Identifier: GPL-2.0 */
/* How much memory a recall may fill: of the host, and below the limits of control groups. */
#ifndef APFD_RECALL_ROOM_H
#define APFD_RECALL_ROOM_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "recall-plan.h"

/**
 * struct recall_room
 * @host_bytes: MemAvailable of the host, without its reserve, see recall_room()
 * @group_bytes: the same below memory.high or memory.max of the group @group, which has the least
 *	room of the VM's group and those above it; RECALL_UNLIMITED without a limit. Page cache
 *	that was not used lately counts as room
 */
struct recall_room {
	uint64_t host_bytes;
	uint64_t group_bytes;
	char group[PATH_MAX];
};

/*
 * recall_room_read: @group_fd, @group: directory and path of the VM's control group, "" for none.
 * A group that cannot be read has no limit. 0; -errno if /proc/meminfo cannot be read.
 */
int recall_room_read(const char *proc_root, int group_fd, const char *group,
		     enum recall_reserve reserve, struct recall_room *ret);

/* recall_room_bytes: the lesser of both. */
uint64_t recall_room_bytes(const struct recall_room *room);

/* recall_room_text: writes which room @needed_bytes exceed, with the figures, for people. */
void recall_room_text(const struct recall_room *room, uint64_t needed_bytes, char *text,
		      size_t size);

/* recall_room_parse_meminfo: MemTotal and MemAvailable. 0 or -EBADMSG. Pure function. */
int recall_room_parse_meminfo(const char *text, uint64_t *ret_total_bytes,
			      uint64_t *ret_available_bytes);

#endif /* APFD_RECALL_ROOM_H */
