/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The report of a guest's module apf_guest, as apfd sends it.
 */
#ifndef APFCTL_GUEST_H
#define APFCTL_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include <uapi/apf_host.h>

#include "diagnosis.h"

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
	GUEST_STUCK,
	_GUEST_MAX,
};

/**
 * struct guest_key - keys of a figure
 * @attr: index into guest_names, which has the key on the bus
 * @json: key in our JSON
 */
struct guest_key {
	enum apf_guest_attr attr;
	const char *json;
};

extern const struct guest_key guest_keys[_GUEST_MAX];

/**
 * struct guest_report - the report of one vCPU, or the sum of all vCPUs
 * @present: there is a report; otherwise all figures are 0
 * @known: a bit for each figure that apfd sent; only the report of one vCPU has GUEST_AGE_MSEC
 * @figures: values from the guest: apf_host checked that they are possible, they may be wrong
 */
struct guest_report {
	bool present;
	unsigned int known;
	uint32_t figures[_GUEST_MAX];
};

static inline bool guest_figure_known(const struct guest_report *report, enum guest_figure figure)
{
	return report->known & (1U << figure);
}

/* "12", or "-" if the figure is not known. Returns @text. */
enum { GUEST_TEXT_MAX = 16 };
char *guest_text(const struct guest_report *report, enum guest_figure figure,
		 char text[static GUEST_TEXT_MAX]);

/*
 * Reads a{su} into a struct guest_report, for tables of struct prop. An empty dictionary means
 * that there is no report. A missing figure is not known; an unknown figure is skipped.
 */
int prop_read_guest_report(sd_bus_message *m, void *field);

static inline bool guest_waiter_is_old(const struct guest_report *report)
{
	return report->figures[GUEST_SLEEPERS] > 0 &&
	       report->figures[GUEST_OLDEST_SLEEPER_MSEC] >= DIAG_WAITER_OLD_MSEC;
}

#endif
