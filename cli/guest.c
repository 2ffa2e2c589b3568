// SPDX-License-Identifier: GPL-2.0
#include "guest.h"

#include <errno.h>
#include <string.h>

#include "props.h"

const struct guest_figure_name guest_figure_names[_GUEST_MAX] = {
	[GUEST_AGE_MSEC] = { "AgeMSec", "age_msec" },
	[GUEST_POOL_SIZE] = { "PoolSize", "pool_size" },
	[GUEST_POOL_IN_USE] = { "PoolInUse", "pool_in_use" },
	[GUEST_POOL_TAKEN] = { "PoolTaken", "pool_taken" },
	[GUEST_POOL_EXHAUSTED] = { "PoolExhausted", "pool_exhausted" },
	[GUEST_SLEEPERS] = { "Sleepers", "sleepers" },
	[GUEST_EARLY_WAKES] = { "EarlyWakes", "early_wakes" },
	[GUEST_RESCUES] = { "Rescues", "rescues" },
	[GUEST_UNKNOWN_TOKENS] = { "UnknownTokens", "unknown_tokens" },
	[GUEST_OLDEST_SLEEPER_MSEC] = { "OldestSleeperMSec", "oldest_sleeper_msec" },
	[GUEST_WAITS] = { "Waits", "waits" },
	[GUEST_WAKES] = { "Wakes", "wakes" },
};

struct guest_reading {
	struct guest_report report;
	unsigned int seen;
};

static int read_figure(sd_bus_message *m, void *userdata)
{
	struct guest_reading *reading = userdata;
	const char *name;
	uint32_t figure;
	int r;

	reading->report.present = true;
	r = sd_bus_message_read(m, "su", &name, &figure);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < _GUEST_MAX; i++) {
		if (strcmp(guest_figure_names[i].bus, name) == 0) {
			reading->report.figures[i] = figure;
			reading->seen |= 1U << i;
		}
	}
	return 0;
}

/* @wanted: a bit for each figure that must be there. */
static int read_figures(sd_bus_message *m, struct guest_report *report, unsigned int wanted)
{
	struct guest_reading reading = {};
	int r;

	r = dict_read(m, "su", read_figure, &reading);
	if (r < 0)
		return r;
	if (reading.report.present && (reading.seen & wanted) != wanted)
		return -EBADMSG;
	reading.report.aged = reading.seen & (1U << GUEST_AGE_MSEC);
	*report = reading.report;
	return 0;
}

#define FIGURES_ALL ((1U << _GUEST_MAX) - 1)

int prop_read_guest_sum(sd_bus_message *m, void *field)
{
	return read_figures(m, field, FIGURES_ALL & ~(1U << GUEST_AGE_MSEC));
}

int prop_read_guest_report(sd_bus_message *m, void *field)
{
	return read_figures(m, field, FIGURES_ALL);
}
