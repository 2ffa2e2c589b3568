/* SPDX-License-Identifier: GPL-2.0 */
#include "host-state.h"

#include <math.h>

#include "util.h"

#define NUMA_USEC (10 * USEC_PER_SEC)

/* Comparisons with NAN are false: what is not known is not high. */
enum memory_state host_state_decide(const double pressure[static _HOST_PRESSURE_MAX])
{
	double in = pressure[HOST_PRESSURE_SWAP_IN_RATE];
	double out = pressure[HOST_PRESSURE_SWAP_OUT_RATE];
	bool reads = in >= HOST_STATE_SWAP_BYTES_RATE, writes = out >= HOST_STATE_SWAP_BYTES_RATE;

	if (isnan(in) && isnan(out) && isnan(pressure[HOST_PRESSURE_SCAN_RATE]))
		return MEMORY_STATE_UNKNOWN;
	if (reads && writes &&
	    (pressure[HOST_PRESSURE_SOME_AVG10] >= HOST_STATE_SOME_PERCENT ||
	     pressure[HOST_PRESSURE_FULL_AVG10] >= HOST_STATE_FULL_PERCENT))
		return MEMORY_STATE_THRASHING;
	if (reads || writes)
		return MEMORY_STATE_SWAPPING;
	if (pressure[HOST_PRESSURE_SCAN_RATE] >= HOST_STATE_SCAN_RATE)
		return MEMORY_STATE_RECLAIMING;
	return MEMORY_STATE_CALM;
}

/* Growth per second since the oldest reading; NAN if it is not known. */
static double rate(const struct host_state *h, const struct memory_figures *now, uint64_t now_usec,
		   enum host_memory_figure figure)
{
	const struct memory_figures *then = &h->past[h->past_begin].figures;
	uint64_t dt_usec;

	if (h->n_past == 0 || !memory_figure_known(then, figure) ||
	    !memory_figure_known(now, figure) || now->value[figure] < then->value[figure])
		return NAN;
	dt_usec = now_usec - h->past[h->past_begin].at_usec;
	return (double)(now->value[figure] - then->value[figure]) * (double)USEC_PER_SEC /
	       (double)dt_usec;
}

/* VMs that read back what was evicted before do not make a host short of memory. */
static bool is_calm_but_for_reads(const double pressure[static _HOST_PRESSURE_MAX])
{
	double others[_HOST_PRESSURE_MAX];

	memcpy(others, pressure, sizeof(others));
	others[HOST_PRESSURE_SWAP_IN_RATE] = NAN;
	return host_state_decide(others) == MEMORY_STATE_CALM;
}

static void drop_oldest(struct host_state *h)
{
	h->past_begin = (h->past_begin + 1) % HOST_STATE_READINGS;
	h->n_past--;
}

void host_state_update(struct host_state *h, const struct host_memory *reading, uint64_t now_usec)
{
	size_t at;

	/* Keep one reading that is at least as old as the window: without VMs, readings are rare.
	 */
	while (h->n_past > 1 &&
	       now_usec - h->past[(h->past_begin + 1) % HOST_STATE_READINGS].at_usec >=
		       HOST_STATE_WINDOW_SEC * USEC_PER_SEC)
		drop_oldest(h);
	if (h->n_past == HOST_STATE_READINGS)
		drop_oldest(h);
	/* A second reading in the same moment, or the clock's begin. */
	if (h->n_past > 0 && now_usec <= h->past[h->past_begin].at_usec)
		return;
	h->memory = *reading;
	h->pressure[HOST_PRESSURE_SOME_AVG10] = reading->some_avg10;
	h->pressure[HOST_PRESSURE_FULL_AVG10] = reading->full_avg10;
	h->pressure[HOST_PRESSURE_SWAP_IN_RATE] =
		rate(h, &reading->figures, now_usec, HOST_MEMORY_SWAPPED_IN);
	h->pressure[HOST_PRESSURE_SWAP_OUT_RATE] =
		rate(h, &reading->figures, now_usec, HOST_MEMORY_SWAPPED_OUT);
	h->pressure[HOST_PRESSURE_SCAN_RATE] =
		rate(h, &reading->figures, now_usec, HOST_MEMORY_SCANNED);
	h->pressure[HOST_PRESSURE_REFAULT_RATE] =
		rate(h, &reading->figures, now_usec, HOST_MEMORY_REFAULTS);
	h->state = host_state_decide(h->pressure);
	if (!is_calm_but_for_reads(h->pressure))
		h->calm_usec = 0;
	else if (h->calm_usec == 0)
		h->calm_usec = now_usec;
	at = (h->past_begin + h->n_past++) % HOST_STATE_READINGS;
	h->past[at].at_usec = now_usec;
	h->past[at].figures = reading->figures;
}

void host_state_read(struct host_state *h, const char *proc_root, const char *sys_root,
		     uint64_t now_usec)
{
	struct host_memory reading;

	host_memory_read(proc_root, &reading);
	host_state_update(h, &reading, now_usec);
	if (h->numa_usec && now_usec - h->numa_usec < NUMA_USEC)
		return;
	numa_read(sys_root, &h->numa);
	h->numa_usec = now_usec;
}
