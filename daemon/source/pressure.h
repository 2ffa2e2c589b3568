/* SPDX-License-Identifier: GPL-2.0 */
/* How short of memory a VM is: figures computed from readings. Pure functions. */
#ifndef APFD_PRESSURE_H
#define APFD_PRESSURE_H

#include <stdint.h>

#include "cgroup.h"
#include "names.h"

/* Number of readings in the trend; usually there is one reading a second. */
enum { PRESSURE_TREND_N = 10 };

/**
 * struct pressure - all zero at first
 * @facts: the last reading of the control group
 * @at_usec: time of that reading, CLOCK_MONOTONIC; 0 before the first one
 * @past: ring of @n_past earlier shares of time spent waiting; @past_begin is the oldest
 */
struct pressure {
	struct cgroup_facts facts;
	uint64_t at_usec;
	struct {
		uint64_t at_usec;
		double waiting;
	} past[PRESSURE_TREND_N];
	unsigned int past_begin;
	unsigned int n_past;
};

/**
 * struct pressure_reading - figures read at one time
 * @facts: from the control group, or from /proc if there is no group
 * @stall_ratio: from the module, NAN if the module does not watch the VM
 * @waiting: share of time spent waiting for pages, from the module; if it is NAN,
 *	memory.pressure is used instead
 * @swapin_rate: from the module, or NAN; used if the group has no such figure
 */
struct pressure_reading {
	struct cgroup_facts facts;
	double stall_ratio;
	double waiting;
	double swapin_rate;
};

/* pressure_none: marks all figures as unknown. */
void pressure_none(double figures[static PRESSURE_FIGURE_MAX + 1]);

/* pressure_update: adds a reading of @now_usec, which must be later than the last reading. */
void pressure_update(struct pressure *p, const struct pressure_reading *reading, uint64_t now_usec,
		     double figures[static PRESSURE_FIGURE_MAX + 1]);

#endif /* APFD_PRESSURE_H */
