/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How short of memory a VM is, as apfd hands it on.
 */
#ifndef APFCTL_PRESSURE_H
#define APFCTL_PRESSURE_H

#include <stdbool.h>

#include <systemd/sd-bus.h>

/* Figures of the property Pressure, org.apfd(5). */
enum pressure_figure {
	PRESSURE_MEMORY_BYTES,
	PRESSURE_SWAP_BYTES,
	PRESSURE_SWAP_IN_RATE,
	PRESSURE_REFAULT_RATE,
	PRESSURE_MAJOR_FAULT_RATE,
	PRESSURE_SOME_AVG10,
	PRESSURE_FULL_AVG10,
	PRESSURE_STALL_RATIO,
	PRESSURE_TREND,
	_PRESSURE_MAX,
};

/**
 * struct pressure_name - names of a figure
 * @bus: key of the D-Bus dictionary
 * @json: key in our JSON
 */
struct pressure_name {
	const char *bus;
	const char *json;
};

extern const struct pressure_name pressure_names[_PRESSURE_MAX];

/**
 * struct pressure - what is known of it
 * @known: whether apfd tells the figure
 */
struct pressure {
	bool known[_PRESSURE_MAX];
	double figures[_PRESSURE_MAX];
};

/* Reads a{sd} into a struct pressure; figures of a newer apfd are skipped. */
int prop_read_pressure(sd_bus_message *m, void *field);

#endif
