// SPDX-License-Identifier: GPL-2.0
#include "histogram-table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "format.h"
#include "table.h"

static const struct table_column columns[] = {
	{ "LATENCY", .right = true },
	{ "ASYNC", .right = true },
	{ "" },
	{ "SYNC", .right = true },
	{ "" },
};

static uint64_t bucket_of(const struct histogram *histogram, unsigned int i)
{
	return i < histogram->n ? histogram->bucket[i] : 0;
}

int histogram_table(const struct histogram *async, const struct histogram *sync, size_t bar_columns,
		    struct table **ret_table)
{
	_cleanup_(table_freep) struct table *table = table_new(columns, ELEMENTSOF(columns));
	_cleanup_free_ char *bar = malloc(bar_columns + 1);
	unsigned int n = async->n > sync->n ? async->n : sync->n;
	unsigned int first = n, end = 0;
	uint64_t max = 0;

	if (!table || !bar)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++) {
		uint64_t a = bucket_of(async, i), s = bucket_of(sync, i);

		if (a == 0 && s == 0)
			continue;
		if (first == n)
			first = i;
		end = i + 1;
		max = a > max ? a : max;
		max = s > max ? s : max;
	}
	for (unsigned int i = first; i < end; i++) {
		uint64_t a = bucket_of(async, i), s = bucket_of(sync, i);
		char range[FORMAT_MAX];

		table_add(table, format_bucket(range, i, n));
		table_addf(table, "%" PRIu64, a);
		table_add(table, format_bar(bar, a, max, bar_columns));
		table_addf(table, "%" PRIu64, s);
		table_add(table, format_bar(bar, s, max, bar_columns));
	}
	*ret_table = TAKE_PTR(table);
	return end > first ? (int)(end - first) : 0;
}
