// SPDX-License-Identifier: GPL-2.0
#include "host-summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "field.h"
#include "format.h"

static bool known(const struct host *host, enum host_memory_figure figure)
{
	return memory_figure_known(&host->memory, figure);
}

static bool pressure_known(const struct host *host, enum host_pressure figure)
{
	return host->pressure.known & (1U << figure);
}

static const char *bytes(char buffer[static FORMAT_MAX], const struct host *host,
			 enum host_memory_figure figure)
{
	return known(host, figure) ? format_bytes(buffer, host->memory.value[figure]) : "-";
}

/* The kinds of the devices in use, of all devices if none is in use: "disk", "zram+disk". */
static void swap_kinds(char *buffer, size_t size, const struct swap_devices *swap)
{
	bool any_used = false;

	buffer[0] = '\0';
	for (size_t i = 0; i < swap->n; i++)
		any_used |= swap->all[i].used_bytes > 0;
	for (size_t i = 0; i < swap->n; i++) {
		const struct swap_device *device = &swap->all[i];
		size_t len = strlen(buffer);

		if ((any_used && device->used_bytes == 0) || strstr(buffer, device->kind))
			continue;
		snprintf(buffer + len, size - len, "%s%s", len ? "+" : "", device->kind);
	}
}

/* Of the slowest device in use; 0 if not known. */
static uint64_t swap_latency_usec(const struct swap_devices *swap)
{
	uint64_t usec = 0;

	for (size_t i = 0; i < swap->n; i++)
		if (swap->all[i].used_bytes > 0 && swap->all[i].read_latency_usec > usec)
			usec = swap->all[i].read_latency_usec;
	return usec;
}

/* "1.0 GiB of 8.0 GiB swap used (disk, 5.2 ms)" */
static void swap_text(char *buffer, size_t size, const struct host *host)
{
	uint64_t usec = swap_latency_usec(&host->swap);
	char used[FORMAT_MAX], total[FORMAT_MAX], latency[FORMAT_MAX], kinds[64];
	uint64_t total_bytes = host->memory.value[HOST_MEMORY_SWAP_TOTAL];
	uint64_t free_bytes = host->memory.value[HOST_MEMORY_SWAP_FREE];

	if (!known(host, HOST_MEMORY_SWAP_TOTAL) || !known(host, HOST_MEMORY_SWAP_FREE)) {
		snprintf(buffer, size, "swap not known");
		return;
	}
	if (total_bytes == 0) {
		snprintf(buffer, size, "no swap");
		return;
	}
	swap_kinds(kinds, sizeof(kinds), &host->swap);
	snprintf(buffer, size, "%s of %s swap used (%s%s%s)",
		 format_bytes(used,
			      total_bytes - (free_bytes < total_bytes ? free_bytes : total_bytes)),
		 format_bytes(total, total_bytes), kinds, usec > 0 ? ", " : "",
		 usec > 0 ? format_usec(latency, usec) : "");
}

char *host_summary(char buffer[static HOST_SUMMARY_MAX], const struct host *host)
{
	char free_text[FORMAT_MAX], reclaimable[FORMAT_MAX], some[FORMAT_MAX], full[FORMAT_MAX];
	char swap[128];
	int len;

	buffer[0] = '\0';
	if (!host->memory_state)
		return buffer;
	swap_text(swap, sizeof(swap), host);
	len = snprintf(buffer, HOST_SUMMARY_MAX, "host %s: %s free, %s reclaimable, %s",
		       host->memory_state, bytes(free_text, host, HOST_MEMORY_FREE),
		       bytes(reclaimable, host, HOST_MEMORY_RECLAIMABLE), swap);
	if (len > 0 && len < HOST_SUMMARY_MAX && pressure_known(host, HOST_PRESSURE_SOME_AVG10) &&
	    pressure_known(host, HOST_PRESSURE_FULL_AVG10))
		snprintf(buffer + len, (size_t)(HOST_SUMMARY_MAX - len), ", some %s, full %s",
			 format_share(some, host->pressure.value[HOST_PRESSURE_SOME_AVG10] / 100),
			 format_share(full, host->pressure.value[HOST_PRESSURE_FULL_AVG10] / 100));
	return buffer;
}

enum style host_summary_style(const struct host *host)
{
	return host->memory_state && strcmp(host->memory_state,
					    memory_state_names[MEMORY_STATE_THRASHING]) == 0
		       ? STYLE_WARN
		       : STYLE_NONE;
}

static void print_rates(const struct term *term, const struct host *host)
{
	const double *value = host->pressure.value;
	char in[FORMAT_MAX], out[FORMAT_MAX], scan[FORMAT_MAX];

	if (!pressure_known(host, HOST_PRESSURE_SWAP_IN_RATE) ||
	    !pressure_known(host, HOST_PRESSURE_SWAP_OUT_RATE))
		return;
	field_printf(term, "Host I/O", "%s/s from swap, %s/s to swap, %s pages/s scanned",
		     format_bytes(in, (uint64_t)value[HOST_PRESSURE_SWAP_IN_RATE]),
		     format_bytes(out, (uint64_t)value[HOST_PRESSURE_SWAP_OUT_RATE]),
		     pressure_known(host, HOST_PRESSURE_SCAN_RATE)
			     ? format_rate(scan, value[HOST_PRESSURE_SCAN_RATE])
			     : "-");
}

void host_print_memory(const struct term *term, const struct host *host)
{
	char a[FORMAT_MAX], b[FORMAT_MAX], line[HOST_SUMMARY_MAX];

	if (!host->memory_state)
		return;
	/* Without "host ". */
	field_print(term, "Host memory", host_summary_style(host), host_summary(line, host) + 5);
	print_rates(term, host);
	if (known(host, HOST_MEMORY_ZSWAPPED) && host->memory.value[HOST_MEMORY_ZSWAPPED] > 0)
		field_printf(term, "Host zswap", "%s in %s", bytes(a, host, HOST_MEMORY_ZSWAPPED),
			     bytes(b, host, HOST_MEMORY_ZSWAP));
	/* One node has what the host has. */
	for (size_t i = 0; host->nodes.n > 1 && i < host->nodes.n; i++)
		field_printf(term, "Host node", "%u: %s free of %s", host->nodes.all[i].node,
			     format_bytes(a, host->nodes.all[i].free_bytes),
			     format_bytes(b, host->nodes.all[i].bytes));
}
