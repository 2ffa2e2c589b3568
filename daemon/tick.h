/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tick: reads all sources, runs the governor, publishes changes. With many VMs, or while the
 * module answers late, a tick takes several turns of the event loop.
 */
#ifndef APFD_TICK_H
#define APFD_TICK_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct manager;
struct vm;

enum tick_phase {
	TICK_IDLE,
	TICK_READING, /* the module's counters, see module_read() */
	TICK_DECIDING,
	TICK_PUBLISHING_LATE, /* the VMs for which the bus had no room last time */
	TICK_PUBLISHING,
};

/**
 * struct tick
 * @source: timer of the tick, usually once a second while there are VMs
 * @turn_source: continues the tick in the next turn of the loop
 * @begin_usec: begin of the last tick, CLOCK_MONOTONIC
 * @phase_usec: begin of TICK_DECIDING
 * @now_usec: time of the decisions of this tick
 * @wait_usec: from this tick to the next
 * @pass: number of the present pass over the VMs; VMs with this number had their turn
 * @turn: decides which VMs' memory is read
 * @wanted: an early tick was requested during this one
 * @publish_usec: time of the last PropertiesChanged signals
 * @n: number of ticks
 */
struct tick {
	enum tick_phase phase;
	sd_event_source *source;
	sd_event_source *turn_source;
	uint64_t begin_usec;
	uint64_t phase_usec;
	uint64_t now_usec;
	uint64_t wait_usec;
	unsigned int pass;
	unsigned int turn;
	bool wanted;
	uint64_t publish_usec;
	unsigned int n;
};

/*
 * tick_start: starts the timer; or, when there is a VM, ends the long pause that the timer makes
 * without VMs. 0 or -errno.
 */
int tick_start(struct manager *m);

/* tick_stop: no tick any more; apfd ends. */
void tick_stop(struct manager *m);

/* tick_soon: schedules an early tick, because a decision may be necessary. */
void tick_soon(struct manager *m);

/* tick_now: the next tick is due. */
void tick_now(struct manager *m);

/* tick_read_host: reads the figures of the host: its memory and its swap devices. */
void tick_read_host(struct manager *m);

#endif /* APFD_TICK_H */
