/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory pressure of a VM, as apfd sends it.
 */
#ifndef APFCTL_PRESSURE_H
#define APFCTL_PRESSURE_H

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "names.h"

/* Keys in the JSON output. */
extern const char *const pressure_keys[PRESSURE_FIGURE_MAX + 1];

/**
 * struct pressure - memory pressure figures
 * @known: whether apfd sent the figure
 */
struct pressure {
	bool known[PRESSURE_FIGURE_MAX + 1];
	double figures[PRESSURE_FIGURE_MAX + 1];
};

/* Reads a{sd} into a struct pressure; figures of a newer apfd are skipped. */
int prop_read_pressure(sd_bus_message *m, void *field);

#endif
