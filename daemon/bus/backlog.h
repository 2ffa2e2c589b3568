/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Limits the memory that apfd uses for clients of the bus that do not read.
 *
 * dbus-daemon stores the messages of such a client up to a limit, and then reads nothing from
 * apfd any more. From then on, sd-bus stores all that apfd sends. Above a limit, apfd therefore
 * sends no signal:
 *
 * - The state is announced later, when the queue has become shorter: InterfacesAdded,
 *   InterfacesRemoved, and PropertiesChanged with all that changed meanwhile. So no client that
 *   reads keeps an old state.
 * - Events (Decided, GateChanging, GateChanged, GuestEvent) are lost; the log and History()
 *   still have them.
 * - Method calls are refused if their replies would need too much memory.
 */
#ifndef APFD_BACKLOG_H
#define APFD_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "ratelimit.h"

struct server;
struct vm;

/**
 * struct backlog_ops - send announcements at once. 0 or -errno
 * @send_added: InterfacesAdded of @vm
 * @send_removed: InterfacesRemoved of the VM that had @path
 * @send_groups: PropertiesChanged of the manager, for @groups
 */
struct backlog_ops {
	int (*send_added)(struct server *s, struct vm *vm);
	int (*send_removed)(struct server *s, const char *path);
	int (*send_groups)(struct server *s, unsigned int groups);
};

/**
 * struct backlog - announcements that wait for a shorter queue. All zero at first.
 * @timer: tries again to send them
 * @removed: object paths of VMs that ended; at most the number of VMs that were announced
 * @added: VMs wait that are not announced (struct vm has the flag)
 * @groups: a bit for each group of properties of the manager, see manager-bus.h
 * @full_usec: since when the queue is full, CLOCK_MONOTONIC; 0 if it has room
 * @reply_bytes: estimated size of the replies since the queue was empty
 * @closing: apfd ends, no call is served any more
 * @n_lost: events lost since the last entry in the log about them
 * @warnings, @notices: rate limits of entries in the log; separate, so that the end of a
 *	blockade is logged like its begin
 */
struct backlog {
	const struct backlog_ops *ops;
	sd_bus_slot *filter;
	sd_event_source *timer;
	char **removed;
	size_t n_removed;
	bool added;
	unsigned int groups;
	uint64_t full_usec;
	uint64_t reply_bytes;
	bool closing;
	uint64_t n_lost;
	struct ratelimit warnings;
	struct ratelimit notices;
};

/* backlog_open: from now on, calls with too large replies are refused. 0 or -errno. */
int backlog_open(struct server *s, const struct backlog_ops *ops);
void backlog_done(struct backlog *b);

/* backlog_drain: sends the queue before apfd ends; takes a second at most. */
void backlog_drain(struct server *s);

/*
 * backlog_has_room: whether a signal may be sent now. Sends waiting announcements first, so that
 * the order of signals is right.
 */
bool backlog_has_room(struct server *s);

/* backlog_has_room_for_event: the same, for a signal that is lost if the result is false. */
bool backlog_has_room_for_event(struct server *s);

/* The announcement waits: of VMs that are not announced, of the end of a VM, of @groups. */
void backlog_add_vms(struct server *s);
void backlog_add_removed(struct server *s, const char *path);
void backlog_add_groups(struct server *s, unsigned int groups);

#endif /* APFD_BACKLOG_H */
