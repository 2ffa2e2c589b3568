/* SPDX-License-Identifier: GPL-2.0 */
#include "figures.h"

#include <math.h>

#include "append.h"
#include "context.h"
#include "host-state.h"
#include "peak.h"
#include "server.h"
#include "vm.h"

/* Appends a{st}, without figures that are not known. */
static int append_memory(sd_bus_message *m, const struct memory_figures *figures,
			 const struct figure_name *names, size_t n)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{st}");
	for (unsigned int i = 0; r >= 0 && i < n; i++)
		if (memory_figure_known(figures, i))
			r = sd_bus_message_append(m, "{st}", names[i].bus, figures->value[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

FIGURES_GETTER(figures_get_vm_pressure)
{
	const struct vm *vm = userdata;

	return append_known(reply, pressure_figure_names, vm->view.pressure,
			    ELEMENTSOF(vm->view.pressure));
}

/* NaN becomes 0: many clients use JSON, which has no NaN. */
FIGURES_GETTER(figures_get_rate)
{
	const double *rate = userdata;

	return sd_bus_message_append(reply, "d", isnan(*rate) ? 0.0 : *rate);
}

FIGURES_GETTER(figures_get_percentile)
{
	const uint64_t *usec = userdata;

	return sd_bus_message_append(reply, "t", *usec == STATS_USEC_UNKNOWN ? 0 : *usec);
}

FIGURES_GETTER(figures_get_vm_memory)
{
	const struct vm *vm = userdata;

	return append_memory(reply, &vm->memory_figures, vm_memory_names, _VM_MEMORY_MAX);
}

FIGURES_GETTER(figures_get_vm_nodes)
{
	const struct vm *vm = userdata;
	const struct cgroup_limits *limits = &vm->memory.limits;
	char key[16];
	int r;

	/* JSON has no numbers as keys, and busctl --json fails with them. */
	r = sd_bus_message_open_container(reply, 'a', "{st}");
	for (unsigned int i = 0; r >= 0 && i < CGROUP_NODES_MAX; i++) {
		if (!(limits->nodes & (UINT64_C(1) << i)))
			continue;
		snprintf(key, sizeof(key), "%u", i);
		r = sd_bus_message_append(reply, "{st}", key, limits->node_bytes[i]);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

FIGURES_GETTER(figures_get_peak_stall_ratio)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "d",
				     peak_get(&vm->peak_stall_ratio, clock_usec(CLOCK_MONOTONIC)));
}

FIGURES_GETTER(figures_get_peak_latency)
{
	const struct vm *vm = userdata;
	double usec = peak_get(&vm->peak_latency_usec, clock_usec(CLOCK_MONOTONIC));

	return sd_bus_message_append(reply, "t", (uint64_t)usec);
}

static const struct host_state *host_of(const struct server *s)
{
	return &s->context->host;
}

FIGURES_GETTER(figures_get_host_memory)
{
	return append_memory(reply, &host_of(userdata)->memory.figures, host_memory_names,
			     _HOST_MEMORY_MAX);
}

FIGURES_GETTER(figures_get_host_pressure)
{
	const struct host_state *h = host_of(userdata);
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{sd}");
	for (unsigned int i = 0; r >= 0 && i < _HOST_PRESSURE_MAX; i++)
		if (!isnan(h->pressure[i]))
			r = sd_bus_message_append(reply, "{sd}", host_pressure_names[i].bus,
						  h->pressure[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

FIGURES_GETTER(figures_get_host_state)
{
	return sd_bus_message_append(reply, "s", memory_state_names[host_of(userdata)->state]);
}

FIGURES_GETTER(figures_get_host_nodes)
{
	const struct numa *numa = &host_of(userdata)->numa;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < numa->n; i++)
		r = sd_bus_message_append(reply, "a{sv}", 3, "Node", "u", numa->nodes[i].id,
					  "TotalBytes", "t", numa->nodes[i].total_bytes,
					  "FreeBytes", "t", numa->nodes[i].free_bytes);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}
