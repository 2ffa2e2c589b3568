/* SPDX-License-Identifier: GPL-2.0 */
/* Latency histograms as a table with bars. */
#ifndef APFCTL_HISTOGRAM_TABLE_H
#define APFCTL_HISTOGRAM_TABLE_H

#include "histogram.h"

struct table;

/**
 * histogram_table() - both histograms as bars of '#', from the first used bucket to the last
 * @bar_columns: width of the longest bar
 * @ret_table: the caller frees it
 * Return: number of rows, 0 if nothing was counted; -ENOMEM.
 */
int histogram_table(const struct histogram *async, const struct histogram *sync, size_t bar_columns,
		    struct table **ret_table);

#endif
