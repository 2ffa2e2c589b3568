/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_HISTOGRAM_H
#define APFCTL_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Number of powers of two in a 64-bit number of microseconds. */
#define HISTOGRAM_MAX 64

/**
 * struct histogram - latencies, as apf_host counts them
 * @n: number of buckets that apfd sent
 * @bucket: [0] counts latencies below 1 us, [i] latencies in [2^(i-1), 2^i) us; the
 *	last bucket has no upper bound
 */
struct histogram {
	unsigned int n;
	uint64_t bucket[HISTOGRAM_MAX];
};

#endif
