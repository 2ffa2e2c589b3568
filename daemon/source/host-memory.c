/* SPDX-License-Identifier: GPL-2.0 */
#include "host-memory.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>

#include "cgroup.h"
#include "file.h"
#include "number.h"
#include "util.h"

/* /proc/vmstat of Linux 6.12 has 4 KB. Only this much of a longer file is read. */
enum { FILE_MAX_BYTES = 16384 };

/* A line "KEY NUMBER"; its number, multiplied, is added to a figure. */
struct row {
	const char *key;
	unsigned int figure;
	uint64_t unit;
};

static void parse(const char *text, const struct row *rows, size_t n, struct memory_figures *ret)
{
	for (; *text; text = number_next_line(text))
		for (size_t i = 0; i < n; i++) {
			uint64_t value;

			if (number_after_key(text, rows[i].key, &value) < 0 ||
			    value > UINT64_MAX / rows[i].unit)
				continue;
			if (memory_figure_known(ret, rows[i].figure))
				value += ret->value[rows[i].figure] / rows[i].unit;
			memory_figure_set(ret, rows[i].figure, value * rows[i].unit);
		}
}

void host_memory_parse_meminfo(const char *text, struct memory_figures *figures)
{
	static const struct row rows[] = {
		{ "MemTotal:", HOST_MEMORY_TOTAL, 1024 },
		{ "MemFree:", HOST_MEMORY_FREE, 1024 },
		{ "MemAvailable:", HOST_MEMORY_AVAILABLE, 1024 },
		{ "SwapTotal:", HOST_MEMORY_SWAP_TOTAL, 1024 },
		{ "SwapFree:", HOST_MEMORY_SWAP_FREE, 1024 },
		{ "Zswap:", HOST_MEMORY_ZSWAP, 1024 },
		{ "Zswapped:", HOST_MEMORY_ZSWAPPED, 1024 },
	};
	const uint64_t *value = figures->value;

	parse(text, rows, ELEMENTSOF(rows), figures);
	if (!memory_figure_known(figures, HOST_MEMORY_FREE) ||
	    !memory_figure_known(figures, HOST_MEMORY_AVAILABLE))
		return;
	/* The kernel keeps a reserve free, so on a full host less is available than free. */
	memory_figure_set(figures, HOST_MEMORY_RECLAIMABLE,
			  value[HOST_MEMORY_AVAILABLE] > value[HOST_MEMORY_FREE]
				  ? value[HOST_MEMORY_AVAILABLE] - value[HOST_MEMORY_FREE]
				  : 0);
}

void host_memory_parse_vmstat(const char *text, struct memory_figures *figures)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	/* With the blank: "pgscan_direct" is also the beginning of "pgscan_direct_throttle". */
	const struct row rows[] = {
		{ "pswpin ", HOST_MEMORY_SWAPPED_IN, page },
		{ "pswpout ", HOST_MEMORY_SWAPPED_OUT, page },
		{ "pgscan_kswapd ", HOST_MEMORY_SCANNED, 1 },
		{ "pgscan_direct ", HOST_MEMORY_SCANNED, 1 },
		{ "pgscan_direct ", HOST_MEMORY_DIRECT_SCANNED, 1 },
		{ "workingset_refault_anon ", HOST_MEMORY_REFAULTS, 1 },
	};

	parse(text, rows, ELEMENTSOF(rows), figures);
}

static bool read_file(const char *proc_root, const char *name, char text[static FILE_MAX_BYTES])
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", proc_root, name) < sizeof(path) &&
	       file_read_at(AT_FDCWD, path, text, FILE_MAX_BYTES) >= 0;
}

void host_memory_read(const char *proc_root, struct host_memory *ret)
{
	struct cgroup_facts facts = {};
	char text[FILE_MAX_BYTES];

	*ret = (struct host_memory){ .some_avg10 = NAN, .full_avg10 = NAN };
	if (read_file(proc_root, "meminfo", text))
		host_memory_parse_meminfo(text, &ret->figures);
	if (read_file(proc_root, "vmstat", text))
		host_memory_parse_vmstat(text, &ret->figures);
	/* The format is that of memory.pressure of a control group. */
	if (read_file(proc_root, "pressure/memory", text))
		cgroup_parse_pressure(text, &facts);
	if (facts.known & CGROUP_SOME)
		ret->some_avg10 = facts.some_avg10;
	if (facts.known & CGROUP_FULL)
		ret->full_avg10 = facts.full_avg10;
	if (facts.known & CGROUP_SOME_TOTAL)
		memory_figure_set(&ret->figures, HOST_MEMORY_SOME, facts.some_usec);
	if (facts.known & CGROUP_FULL_TOTAL)
		memory_figure_set(&ret->figures, HOST_MEMORY_FULL, facts.full_usec);
}
