/* SPDX-License-Identifier: GPL-2.0 */
#include "append.h"

#include <math.h>

#include "names.h"
#include "util.h"

int append_counters(sd_bus_message *m, const struct stats_totals *totals)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{st}");
	for (unsigned int i = 0; r >= 0 && i <= APF_STAT_MAX; i++)
		if (stats_count_names[i] && stats_counted(totals, i))
			r = sd_bus_message_append(m, "{st}", stats_count_names[i],
						  totals->counters[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int append_histogram(sd_bus_message *m, const struct stats_totals *totals, enum stats_count which)
{
	const uint64_t *hist = which == STATS_HIST_ASYNC ? totals->hist_async : totals->hist_sync;
	size_t n = stats_counted(totals, which) ? APF_HIST_BUCKETS : 0;

	return sd_bus_message_append_array(m, 't', hist, n * sizeof(hist[0]));
}

int append_guest(sd_bus_message *m, const uint32_t *value, bool with_age)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{su}");
	for (int i = 0; r >= 0 && value && i <= APF_GUEST_A_MAX; i++)
		if (guest_names[i] && (with_age || i != APF_GUEST_A_AGE_MSEC))
			r = sd_bus_message_append(m, "{su}", guest_names[i], value[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int append_known(sd_bus_message *m, const char *const *names, const double *values, size_t n)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{sd}");
	for (size_t i = 0; r >= 0 && i < n; i++)
		if (!isnan(values[i]))
			r = sd_bus_message_append(m, "{sd}", names[i], values[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

int append_figures(sd_bus_message *m, const struct policy_figures *f)
{
	return append_known(m, policy_figure_names, f->value, ELEMENTSOF(f->value));
}
