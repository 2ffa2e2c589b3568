// SPDX-License-Identifier: GPL-2.0
/*
 * Comma-separated values of "top", as RFC 4180 describes them, with line feeds alone. The names of
 * the columns are those of the JSON output. New columns are added at the end.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format.h"
#include "top.h"

/**
 * struct csv_column - a column
 * @write: writes the value; nothing if the value is not known
 */
struct csv_column {
	const char *name;
	void (*write)(const struct vm *vm);
};

static void write_uint(bool known, uint64_t value)
{
	if (known)
		printf("%" PRIu64, value);
}

static void write_double(bool known, double value)
{
	if (known && !isnan(value))
		printf(value == rint(value) && fabs(value) < 1e15 ? "%.0f" : "%.6g", value);
}

/* A text with a comma, a quote or a line break is put in quotes, and its quotes are doubled. */
static void write_text(const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

#define UINT(name, known, value)              \
	static void name(const struct vm *vm) \
	{                                     \
		write_uint(known, value);     \
	}
#define DOUBLE(name, known, value)            \
	static void name(const struct vm *vm) \
	{                                     \
		write_double(known, value);   \
	}
#define TEXT(name, value)                     \
	static void name(const struct vm *vm) \
	{                                     \
		write_text(value);            \
	}
#define COUNT(name, counter) \
	UINT(name, vm->watched &&counter_known(&vm->counters, counter), vm->counters.value[counter])
#define PRESSURE(name, figure) \
	DOUBLE(name, vm->pressure.known[figure], vm->pressure.figures[figure])
#define MEMORY(name, figure) \
	UINT(name, memory_figure_known(&vm->memory, figure), vm->memory.value[figure])
#define GUEST(name, figure)                                                    \
	UINT(name, vm->guest.present &&guest_figure_known(&vm->guest, figure), \
	     vm->guest.figures[figure])

TEXT(write_uuid, vm->uuid)
TEXT(write_state, vm->state)
TEXT(write_mode, vm->mode ?: "")
UINT(write_swapped, vm_swapped_known(vm), vm->swapped_bytes)
UINT(write_outstanding, vm->watched && vm->outstanding.known, vm->outstanding.pages)
DOUBLE(write_async, vm->watched, vm->async_per_sec)
DOUBLE(write_sync, vm->watched, vm->sync_per_sec)
UINT(write_p50, vm->watched && vm->latency_known, vm->p50_usec)
UINT(write_p95, vm->watched && vm->latency_known, vm->p95_usec)
DOUBLE(write_stall_ratio, vm->watched, vm->stall_ratio)
DOUBLE(write_saved_ratio, vm->watched, vm->saved_ratio)
PRESSURE(write_some, PRESSURE_SOME_AVG10)
PRESSURE(write_full, PRESSURE_FULL_AVG10)
PRESSURE(write_swapin_bytes, PRESSURE_SWAPIN_BYTES)
PRESSURE(write_swapout_bytes, PRESSURE_SWAPOUT_BYTES)
DOUBLE(write_peak_stall_ratio, vm->watched, vm->peak_stall_ratio)
UINT(write_peak_latency, vm->watched &&vm->peak_latency_usec != UINT64_MAX, vm->peak_latency_usec)
MEMORY(write_room, VM_MEMORY_ROOM)
MEMORY(write_swap_room, VM_MEMORY_SWAP_ROOM)
MEMORY(write_refaults, VM_MEMORY_REFAULTS)
MEMORY(write_zswapped, VM_MEMORY_ZSWAPPED)
MEMORY(write_zram, VM_MEMORY_ZRAM)
COUNT(write_ready, COUNTER_READY)
COUNT(write_async_nsec, COUNTER_ASYNC_NSEC)
COUNT(write_sync_stalls, COUNTER_SYNC_STALLS)
COUNT(write_sync_stall_nsec, COUNTER_SYNC_STALL_NSEC)
COUNT(write_saved_nsec, COUNTER_SAVED_NSEC)
GUEST(write_pool_in_use, GUEST_POOL_IN_USE)
GUEST(write_oldest_sleeper, GUEST_OLDEST_SLEEPER_MSEC)

/* After the time and the name. */
static const struct csv_column csv_columns[] = {
	{ "uuid", write_uuid },
	{ "state", write_state },
	{ "mode", write_mode },
	{ "swapped_bytes", write_swapped },
	{ "outstanding_pages", write_outstanding },
	{ "async_swapins_per_sec", write_async },
	{ "sync_swapins_per_sec", write_sync },
	{ "latency_p50_usec", write_p50 },
	{ "latency_p95_usec", write_p95 },
	{ "stall_ratio", write_stall_ratio },
	{ "some_avg10_percent", write_some },
	{ "full_avg10_percent", write_full },
	{ "ready", write_ready },
	{ "async_nsec", write_async_nsec },
	{ "sync_stalls", write_sync_stalls },
	{ "sync_stall_nsec", write_sync_stall_nsec },
	{ "pool_in_use", write_pool_in_use },
	{ "oldest_sleeper_msec", write_oldest_sleeper },
	{ "swapin_bytes_per_sec", write_swapin_bytes },
	{ "swapout_bytes_per_sec", write_swapout_bytes },
	{ "peak_stall_ratio", write_peak_stall_ratio },
	{ "peak_latency_usec", write_peak_latency },
	{ "room_bytes", write_room },
	{ "swap_room_bytes", write_swap_room },
	{ "refault_pages", write_refaults },
	{ "zswapped_bytes", write_zswapped },
	{ "zram_bytes", write_zram },
	{ "saved_ratio", write_saved_ratio },
	{ "saved_nsec", write_saved_nsec },
};

void top_print_csv_header(void)
{
	fputs("time,name", stdout);
	for (size_t i = 0; i < ELEMENTSOF(csv_columns); i++)
		printf(",%s", csv_columns[i].name);
	putchar('\n');
}

int top_print_csv(struct apfctl *ctl, const struct top_sample *sample)
{
	time_t now_sec = (time_t)(sample->now_usec / 1000000);
	struct tm tm = {};
	char date[64];

	gmtime_r(&now_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	for (size_t i = 0; i < sample->vms.n; i++) {
		const struct vm *vm = &sample->vms.vms[i];
		/* A file has the exact name; on a terminal the name must not control it. */
		_cleanup_free_ char *name =
			ctl->term.tty ? text_printable(vm->name) : strdup(vm->name);

		if (!name)
			return status_fail(STATUS_FAILED, "out of memory");
		printf("%s.%03uZ,", date, (unsigned int)(sample->now_usec / 1000 % 1000));
		write_text(name);
		for (size_t k = 0; k < ELEMENTSOF(csv_columns); k++) {
			putchar(',');
			csv_columns[k].write(vm);
		}
		putchar('\n');
	}
	return STATUS_OK;
}
