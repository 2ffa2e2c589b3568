/* SPDX-License-Identifier: GPL-2.0 */
/* Getters of properties with memory figures, for the tables of properties of VMs and the manager.
 */
#ifndef APFD_FIGURES_H
#define APFD_FIGURES_H

#include <systemd/sd-bus.h>

#define FIGURES_GETTER(name)                                                                 \
	int name(sd_bus *bus, const char *path, const char *interface, const char *property, \
		 sd_bus_message *reply, void *userdata, sd_bus_error *error)

/* Of a VM; the userdata is its struct vm. */
FIGURES_GETTER(figures_get_vm_pressure);
FIGURES_GETTER(figures_get_vm_memory);
FIGURES_GETTER(figures_get_vm_nodes);
FIGURES_GETTER(figures_get_peak_stall_ratio);
FIGURES_GETTER(figures_get_peak_latency);

/* Of a VM; the userdata is the field: a double, or a percentile of struct stats_figures. */
FIGURES_GETTER(figures_get_rate);
FIGURES_GETTER(figures_get_percentile);

/* Of the host; the userdata is the struct server. */
FIGURES_GETTER(figures_get_host_memory);
FIGURES_GETTER(figures_get_host_pressure);
FIGURES_GETTER(figures_get_host_state);
FIGURES_GETTER(figures_get_host_nodes);

#endif /* APFD_FIGURES_H */
