// SPDX-License-Identifier: GPL-2.0
#include "guest.h"

#include <stdio.h>
#include <string.h>

#include "names.h"
#include "props.h"

const struct guest_key guest_keys[_GUEST_MAX] = {
	[GUEST_AGE_MSEC] = { APF_GUEST_A_AGE_MSEC, "age_msec" },
	[GUEST_POOL_SIZE] = { APF_GUEST_A_POOL_SIZE, "pool_size" },
	[GUEST_POOL_IN_USE] = { APF_GUEST_A_POOL_IN_USE, "pool_in_use" },
	[GUEST_POOL_TAKEN] = { APF_GUEST_A_POOL_TAKEN, "pool_taken" },
	[GUEST_POOL_EXHAUSTED] = { APF_GUEST_A_POOL_EXHAUSTED, "pool_exhausted" },
	[GUEST_SLEEPERS] = { APF_GUEST_A_SLEEPERS, "sleepers" },
	[GUEST_EARLY_WAKES] = { APF_GUEST_A_EARLY_WAKES, "early_wakes" },
	[GUEST_RESCUES] = { APF_GUEST_A_RESCUES, "rescues" },
	[GUEST_UNKNOWN_TOKENS] = { APF_GUEST_A_UNKNOWN_TOKENS, "unknown_tokens" },
	[GUEST_OLDEST_SLEEPER_MSEC] = { APF_GUEST_A_OLDEST_SLEEPER_MSEC, "oldest_sleeper_msec" },
	[GUEST_WAITS] = { APF_GUEST_A_WAITS, "waits" },
	[GUEST_WAKES] = { APF_GUEST_A_WAKES, "wakes" },
	[GUEST_STUCK] = { APF_GUEST_A_STUCK, "stuck" },
};

static int read_figure(sd_bus_message *m, void *userdata)
{
	struct guest_report *report = userdata;
	const char *name;
	uint32_t figure;
	int r;

	report->present = true;
	r = sd_bus_message_read(m, "su", &name, &figure);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < _GUEST_MAX; i++) {
		if (strcmp(guest_names[guest_keys[i].attr], name) == 0) {
			report->figures[i] = figure;
			report->known |= 1U << i;
		}
	}
	return 0;
}

int prop_read_guest_report(sd_bus_message *m, void *field)
{
	struct guest_report *report = field;

	*report = (struct guest_report){};
	return dict_read(m, "su", read_figure, report);
}

char *guest_text(const struct guest_report *report, enum guest_figure figure,
		 char text[static GUEST_TEXT_MAX])
{
	if (guest_figure_known(report, figure))
		snprintf(text, GUEST_TEXT_MAX, "%u", report->figures[figure]);
	else
		strcpy(text, "-");
	return text;
}
