// SPDX-License-Identifier: GPL-2.0
#include "process.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "apf/cleanup.h"
#include "util.h"

static struct timespec started;

void process_begin(void)
{
	clock_gettime(CLOCK_REALTIME, &started);
}

/* @unit: last word of @name, "" if there is none. A counter's name is without "_total" here. */
static void print(FILE *file, enum openmetrics_format format, const char *name, const char *unit,
		  bool counter, const char *help, double value)
{
	const char *total = counter ? "_total" : "";
	const char *head = format == PROMETHEUS_TEXT ? total : "";

	fprintf(file, "# TYPE process_%s%s %s\n", name, head, counter ? "counter" : "gauge");
	if (unit[0] && format == OPENMETRICS_1_0)
		fprintf(file, "# UNIT process_%s %s\n", name, unit);
	fprintf(file, "# HELP process_%s%s %s\n", name, head, help);
	fprintf(file, "process_%s%s %.15g\n", name, total, value);
}

static void print_cpu(FILE *file, enum openmetrics_format format)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return;
	print(file, format, "cpu_seconds", "seconds", true, "CPU time of the exporter.",
	      (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void print_memory(FILE *file, enum openmetrics_format format)
{
	_cleanup_fclose_ FILE *statm = fopen("/proc/self/statm", "re");
	double page_bytes = (double)sysconf(_SC_PAGESIZE);
	uint64_t size_pages, resident_pages;

	if (!statm || fscanf(statm, "%" SCNu64 " %" SCNu64, &size_pages, &resident_pages) != 2)
		return;
	print(file, format, "virtual_memory_bytes", "bytes", false,
	      "Virtual memory of the exporter.", (double)size_pages * page_bytes);
	print(file, format, "resident_memory_bytes", "bytes", false,
	      "Resident memory of the exporter.", (double)resident_pages * page_bytes);
}

static void print_descriptors(FILE *file, enum openmetrics_format format)
{
	_cleanup_(closedirp) DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	struct rlimit limit;
	unsigned int n = 0;

	while (dir && (entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	/* Not the descriptor of the folder itself. */
	if (n > 0)
		print(file, format, "open_fds", "", false, "Open descriptors of the exporter.",
		      n - 1);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		print(file, format, "max_fds", "", false,
		      "Largest number of descriptors of the exporter.", (double)limit.rlim_cur);
}

void process_print(FILE *file, enum openmetrics_format format)
{
	print_cpu(file, format);
	print_memory(file, format);
	print_descriptors(file, format);
	print(file, format, "start_time_seconds", "seconds", false,
	      "When the exporter started, since the epoch.",
	      (double)started.tv_sec + (double)started.tv_nsec / 1e9);
}
