/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How short of memory the host is. host_state_decide() is a pure function; the rates come from
 * readings over about ten seconds.
 */
#ifndef APFD_HOST_STATE_H
#define APFD_HOST_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "host-memory.h"
#include "numa.h"

/* Rates are over this time; at one reading a second, one reading more than seconds. */
#define HOST_STATE_WINDOW_SEC 10
enum { HOST_STATE_READINGS = HOST_STATE_WINDOW_SEC + 1 };

/*
 * Limits of the states. 256 KiB a second are 64 pages: a disk that needs 5 ms for a read is busy
 * for a third of the time. A few pages are scanned for other reasons, for example if one control
 * group has reached its limit: 100 a second are more than that. The shares are far above those of
 * a host that swaps and gets on: there tasks wait, but not most of the time.
 */
#define HOST_STATE_SWAP_BYTES_RATE (256.0 * 1024)
#define HOST_STATE_SCAN_RATE	   100.0
#define HOST_STATE_SOME_PERCENT	   40.0
#define HOST_STATE_FULL_PERCENT	   10.0

/*
 * host_state_decide: the first that applies:
 *  unknown: /proc/vmstat was not read twice yet
 *  thrashing: pages are written to swap and read from it, each at HOST_STATE_SWAP_BYTES_RATE or
 *	more, and some task waited for memory in HOST_STATE_SOME_PERCENT of the last ten seconds
 *	or all tasks in HOST_STATE_FULL_PERCENT
 *  swapping: pages are written to swap or read from it at that rate
 *  reclaiming: the kernel scans HOST_STATE_SCAN_RATE pages a second to reclaim memory
 *  calm: none of these
 * @pressure: by &enum host_pressure, NAN if not known
 */
enum memory_state host_state_decide(const double pressure[static _HOST_PRESSURE_MAX]);

/**
 * struct host_state - all zero at first
 * @memory: the last reading
 * @pressure: by &enum host_pressure; NAN if not known
 * @calm_usec: since when the state would be calm if reads from swap did not count,
 *	CLOCK_MONOTONIC; 0 if it would not
 * @numa: read every ten seconds at most, at @numa_usec
 * @past: ring of readings of the totals, the oldest at @past_begin
 */
struct host_state {
	struct host_memory memory;
	double pressure[_HOST_PRESSURE_MAX];
	enum memory_state state;
	uint64_t calm_usec;
	struct numa numa;
	uint64_t numa_usec;
	struct {
		uint64_t at_usec;
		struct memory_figures figures;
	} past[HOST_STATE_READINGS];
	size_t past_begin;
	size_t n_past;
};

/* host_state_update: adds a reading of @now_usec (CLOCK_MONOTONIC). Pure function. */
void host_state_update(struct host_state *h, const struct host_memory *reading, uint64_t now_usec);

/* host_state_read: reads the files and updates @h. */
void host_state_read(struct host_state *h, const char *proc_root, const char *sys_root,
		     uint64_t now_usec);

#endif /* APFD_HOST_STATE_H */
