/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_HISTOGRAM_H
#define APFCTL_HISTOGRAM_H

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

#endif
