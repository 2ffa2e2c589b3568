/* SPDX-License-Identifier: GPL-2.0 */
/* Memory figures of the host, from /proc/meminfo, /proc/vmstat and /proc/pressure/memory. */
#ifndef APFD_HOST_MEMORY_H
#define APFD_HOST_MEMORY_H

#include "memory-figures.h"

/**
 * struct host_memory - one reading
 * @figures: by &enum host_memory_figure
 * @some_avg10, @full_avg10: percent of time in which some task, or all tasks, waited for memory;
 *	NAN without PSI
 */
struct host_memory {
	struct memory_figures figures;
	double some_avg10;
	double full_avg10;
};

/* host_memory_read: what cannot be read is not known. */
void host_memory_read(const char *proc_root, struct host_memory *ret);

/* Parsers of NUL-terminated text. Pure functions. */
void host_memory_parse_meminfo(const char *text, struct memory_figures *figures);
void host_memory_parse_vmstat(const char *text, struct memory_figures *figures);

#endif /* APFD_HOST_MEMORY_H */
