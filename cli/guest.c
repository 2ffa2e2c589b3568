// SPDX-License-Identifier: GPL-2.0
#include "guest.h"

#include <errno.h>
#include <string.h>

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

/* @wanted: a bit for each figure that must be there. */
static int read_figures(sd_bus_message *m, struct guest_report *report, unsigned int wanted)
{
	struct guest_report value = {};
	unsigned int seen = 0;
	bool empty = true;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{su}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "su")) > 0) {
		const char *name;
		uint32_t figure;

		empty = false;
		r = sd_bus_message_read(m, "su", &name, &figure);
		if (r < 0)
			return r;
		for (unsigned int i = 0; i < _GUEST_MAX; i++) {
			if (strcmp(guest_figure_names[i].bus, name) == 0) {
				value.figures[i] = figure;
				seen |= 1U << i;
			}
		}
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	if (!empty && (seen & wanted) != wanted)
		return -EBADMSG;
	value.present = !empty;
	value.aged = seen & (1U << GUEST_AGE_MSEC);
	*report = value;
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
