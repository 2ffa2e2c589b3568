/* SPDX-License-Identifier: GPL-2.0 */
#include "pressure.h"

#include <math.h>
#include <unistd.h>

/* A longer gap between two readings starts a new trend. */
#define TREND_GAP_USEC (15 * USEC_PER_SEC)

void pressure_none(double figures[static PRESSURE_FIGURE_MAX + 1])
{
	for (size_t i = 0; i <= PRESSURE_FIGURE_MAX; i++)
		figures[i] = NAN;
}

/* Growth per second of a total; NAN if it shrank or one of the readings lacks it. */
static double rate(const struct pressure *p, const struct cgroup_facts *now, unsigned int bit,
		   uint64_t then_total, uint64_t now_total, uint64_t dt_usec)
{
	if (!(p->facts.known & now->known & bit) || dt_usec == 0 || now_total < then_total)
		return NAN;
	return (double)(now_total - then_total) * (double)USEC_PER_SEC / (double)dt_usec;
}

/* Slope per second of the best-fit line (least squares) through the past readings. */
static double slope(const struct pressure *p)
{
	double n = p->n_past, sum_t = 0, sum_w = 0, sum_tt = 0, sum_tw = 0, divisor;
	uint64_t begin_usec = p->past[p->past_begin].at_usec;

	if (p->n_past < 2)
		return NAN;
	for (unsigned int i = 0; i < p->n_past; i++) {
		unsigned int at = (p->past_begin + i) % PRESSURE_TREND_N;
		double t = (double)(p->past[at].at_usec - begin_usec) / (double)USEC_PER_SEC;

		sum_t += t;
		sum_w += p->past[at].waiting;
		sum_tt += t * t;
		sum_tw += t * p->past[at].waiting;
	}
	divisor = n * sum_tt - sum_t * sum_t;
	return divisor > 0 ? (n * sum_tw - sum_t * sum_w) / divisor : NAN;
}

static double trend(struct pressure *p, double waiting, uint64_t now_usec)
{
	unsigned int at;

	if (isnan(waiting) || (p->n_past > 0 && now_usec - p->at_usec > TREND_GAP_USEC))
		p->n_past = 0;
	if (isnan(waiting))
		return NAN;
	at = (p->past_begin + p->n_past) % PRESSURE_TREND_N;
	if (p->n_past < PRESSURE_TREND_N)
		p->n_past++;
	else
		p->past_begin = (p->past_begin + 1) % PRESSURE_TREND_N;
	p->past[at].at_usec = now_usec;
	p->past[at].waiting = waiting;
	return slope(p);
}

void pressure_update(struct pressure *p, const struct pressure_reading *reading, uint64_t now_usec,
		     double figures[static PRESSURE_FIGURE_MAX + 1])
{
	const struct cgroup_facts *now = &reading->facts;
	uint64_t dt_usec = p->at_usec && now_usec > p->at_usec ? now_usec - p->at_usec : 0;
	double waiting = reading->waiting, swapins, page_bytes = (double)sysconf(_SC_PAGESIZE);

	pressure_none(figures);
	if (now->known & CGROUP_CURRENT)
		figures[PRESSURE_MEMORY_BYTES] = (double)now->current_bytes;
	if (now->known & CGROUP_SWAP)
		figures[PRESSURE_SWAP_BYTES] = (double)now->swap_bytes;
	if (now->known & CGROUP_SOME)
		figures[PRESSURE_SOME_AVG10] = now->some_avg10;
	if (now->known & CGROUP_FULL)
		figures[PRESSURE_FULL_AVG10] = now->full_avg10;
	figures[PRESSURE_MAJOR_FAULT_RATE] = rate(
		p, now, CGROUP_MAJOR_FAULTS, p->facts.major_faults, now->major_faults, dt_usec);
	figures[PRESSURE_REFAULT_RATE] =
		rate(p, now, CGROUP_REFAULTS, p->facts.refaults, now->refaults, dt_usec);
	swapins = rate(p, now, CGROUP_SWAPINS, p->facts.swapins, now->swapins, dt_usec);
	figures[PRESSURE_SWAPIN_RATE] = isnan(swapins) ? reading->swapin_rate : swapins;
	figures[PRESSURE_SWAPOUT_RATE] =
		rate(p, now, CGROUP_SWAPOUTS, p->facts.swapouts, now->swapouts, dt_usec);
	figures[PRESSURE_SWAPIN_BYTES] = figures[PRESSURE_SWAPIN_RATE] * page_bytes;
	figures[PRESSURE_SWAPOUT_BYTES] = figures[PRESSURE_SWAPOUT_RATE] * page_bytes;
	figures[PRESSURE_STALL_RATIO] = reading->stall_ratio;
	if (isnan(waiting) && (now->known & CGROUP_SOME))
		waiting = now->some_avg10 / 100;
	figures[PRESSURE_TREND] = trend(p, waiting, now_usec);
	p->facts = *now;
	p->at_usec = now_usec;
}
