// SPDX-License-Identifier: GPL-2.0
#include "pressure.h"

#include <string.h>

#include "props.h"

const char *const pressure_keys[PRESSURE_FIGURE_MAX + 1] = {
	[PRESSURE_MEMORY_BYTES] = "memory_bytes",
	[PRESSURE_SWAP_BYTES] = "swap_bytes",
	[PRESSURE_SWAPIN_RATE] = "swapin_pages_per_sec",
	[PRESSURE_REFAULT_RATE] = "refaults_per_sec",
	[PRESSURE_MAJOR_FAULT_RATE] = "major_faults_per_sec",
	[PRESSURE_SOME_AVG10] = "some_avg10_percent",
	[PRESSURE_FULL_AVG10] = "full_avg10_percent",
	[PRESSURE_STALL_RATIO] = "stall_ratio",
	[PRESSURE_TREND] = "trend_per_sec",
	[PRESSURE_SWAPOUT_RATE] = "swapout_pages_per_sec",
	[PRESSURE_SWAPIN_BYTES] = "swapin_bytes_per_sec",
	[PRESSURE_SWAPOUT_BYTES] = "swapout_bytes_per_sec",
};

static int read_figure(sd_bus_message *m, void *userdata)
{
	struct pressure *pressure = userdata;
	const char *name;
	double value;
	int r;

	r = sd_bus_message_read(m, "sd", &name, &value);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i <= PRESSURE_FIGURE_MAX; i++) {
		if (strcmp(pressure_figure_names[i], name) == 0) {
			pressure->known[i] = true;
			pressure->figures[i] = value;
		}
	}
	return 0;
}

int prop_read_pressure(sd_bus_message *m, void *field)
{
	struct pressure *pressure = field;

	*pressure = (struct pressure){};
	return dict_read(m, "sd", read_figure, pressure);
}
