// SPDX-License-Identifier: GPL-2.0
#include "pressure.h"

#include <string.h>

#include "props.h"

const struct pressure_name pressure_names[_PRESSURE_MAX] = {
	[PRESSURE_MEMORY_BYTES] = { "MemoryBytes", "memory_bytes" },
	[PRESSURE_SWAP_BYTES] = { "SwapBytes", "swap_bytes" },
	[PRESSURE_SWAP_IN_RATE] = { "SwapInRate", "swapin_pages_per_sec" },
	[PRESSURE_REFAULT_RATE] = { "RefaultRate", "refaults_per_sec" },
	[PRESSURE_MAJOR_FAULT_RATE] = { "MajorFaultRate", "major_faults_per_sec" },
	[PRESSURE_SOME_AVG10] = { "SomeAvg10", "some_avg10_percent" },
	[PRESSURE_FULL_AVG10] = { "FullAvg10", "full_avg10_percent" },
	[PRESSURE_STALL_RATIO] = { "StallRatio", "stall_ratio" },
	[PRESSURE_TREND] = { "Trend", "trend_per_sec" },
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
	for (unsigned int i = 0; i < _PRESSURE_MAX; i++) {
		if (strcmp(pressure_names[i].bus, name) == 0) {
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
