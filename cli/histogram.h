/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_HISTOGRAM_H
#define APFCTL_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Microseconds in 64 bits have no more powers of two than this. */
#define HISTOGRAM_MAX 64

/**
 * struct histogram - latencies, as apf_host counts them
 * @n: buckets sent
 * @bucket: [0] counts those below 1 us, [i] those in [2^(i-1), 2^i) us, the
 *	last has no upper bound
 */
struct histogram {
	unsigned int n;
	uint64_t bucket[HISTOGRAM_MAX];
};

struct table;

/**
 * histogram_table() - both as bars of '#', from the first bucket in use to the last
 * @bar_columns: width of the longest
 * @ret_table: to be freed
 * Return: its rows, 0 if nothing was counted; -ENOMEM.
 */
int histogram_table(const struct histogram *async, const struct histogram *sync, size_t bar_columns,
		    struct table **ret_table);

#endif
