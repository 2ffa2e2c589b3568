/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module apf_guest of a guest reports, as apfd hands it on.
 */
#ifndef APFCTL_GUEST_H
#define APFCTL_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

/*
 * A page takes milliseconds. Half of the time after which apf_guest, as it is by
 * default, sends the task back to its page: who is sent back is not seen any more.
 */
#define GUEST_WAITER_OLD_MSEC 5000

/* Figures of apf_host(4), enum apf_guest_attr. */
enum guest_figure {
	GUEST_AGE_MSEC,
	GUEST_POOL_SIZE,
	GUEST_POOL_IN_USE,
	GUEST_POOL_TAKEN,
	GUEST_POOL_EXHAUSTED,
	GUEST_SLEEPERS,
	GUEST_EARLY_WAKES,
	GUEST_RESCUES,
	GUEST_UNKNOWN_TOKENS,
	GUEST_OLDEST_SLEEPER_MSEC,
	GUEST_WAITS,
	GUEST_WAKES,
	_GUEST_MAX,
};

/**
 * struct guest_figure_name - names of a figure
 * @bus: key of the D-Bus dictionary
 * @json: key in our JSON
 */
struct guest_figure_name {
	const char *bus;
	const char *json;
};

extern const struct guest_figure_name guest_figure_names[_GUEST_MAX];

/**
 * struct guest_report - a report, of one vCPU or as the sum of all
 * @present: there is one; without it all figures are 0
 * @aged: it is of one vCPU and GUEST_AGE_MSEC tells when it was last seen
 * @figures: the guest's own words: checked for sense, not for truth
 */
struct guest_report {
	bool present;
	bool aged;
	uint32_t figures[_GUEST_MAX];
};

/*
 * Read a{su} into a struct guest_report, for tables of struct prop: the sum of all
 * vCPUs, and the report of one. An empty dictionary is no report; in any other
 * all figures must be there, those of a newer apfd are skipped.
 */
int prop_read_guest_sum(sd_bus_message *m, void *field);
int prop_read_guest_report(sd_bus_message *m, void *field);

static inline bool guest_waiter_is_old(const struct guest_report *report)
{
	return report->figures[GUEST_SLEEPERS] > 0 &&
	       report->figures[GUEST_OLDEST_SLEEPER_MSEC] >= GUEST_WAITER_OLD_MSEC;
}

#endif
