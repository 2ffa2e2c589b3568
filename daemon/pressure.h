/* SPDX-License-Identifier: GPL-2.0 */
/* How short of memory a VM is: figures from readings of its files. Pure functions. */
#ifndef APFD_PRESSURE_H
#define APFD_PRESSURE_H

#include <stdint.h>

#include "cgroup.h"

/* Names on the bus: pressure_figure_names. NAN is what is not known. */
enum pressure_figure {
	PRESSURE_MEMORY_BYTES,
	PRESSURE_SWAP_BYTES,
	PRESSURE_SWAPIN_RATE,	   /* pages per second */
	PRESSURE_REFAULT_RATE,	   /* likewise, of those taken not long ago */
	PRESSURE_MAJOR_FAULT_RATE, /* per second */
	PRESSURE_SOME_AVG10,	   /* percent */
	PRESSURE_FULL_AVG10,
	PRESSURE_STALL_RATIO, /* of vCPU time */
	PRESSURE_TREND,	      /* change of the waiting, share of time per second */
	PRESSURE_FIGURE_MAX = PRESSURE_TREND
};

extern const char *const pressure_figure_names[PRESSURE_FIGURE_MAX + 1];

/* The trend is over so many readings, of a second each as a rule. */
enum { PRESSURE_TREND_N = 10 };

/**
 * struct pressure - all zero at first
 * @facts: the last reading of the control group
 * @at_usec: when, CLOCK_MONOTONIC; 0 before the first
 * @past: share of time spent waiting, a ring; @past_begin the oldest of @n_past
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
 * struct pressure_reading - of one time
 * @facts: of the control group; without one, what /proc knows
 * @stall_ratio: of the module, NAN if it does not watch
 * @waiting: share of time in which pages were waited for; NAN likewise: then
 *	memory.pressure stands for it
 * @swapin_rate: of the module, NAN likewise; used where the group does not say
 */
struct pressure_reading {
	struct cgroup_facts facts;
	double stall_ratio;
	double waiting;
	double swapin_rate;
};

/* pressure_none: nothing is known. */
void pressure_none(double figures[static PRESSURE_FIGURE_MAX + 1]);

/* pressure_update: takes a reading at @now_usec, which is later than the last. */
void pressure_update(struct pressure *p, const struct pressure_reading *reading, uint64_t now_usec,
		     double figures[static PRESSURE_FIGURE_MAX + 1]);

#endif /* APFD_PRESSURE_H */
