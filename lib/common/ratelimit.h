/* SPDX-License-Identifier: GPL-2.0 */
/* Limits how often something is logged in an interval. Pure functions. */
#ifndef APFD_RATELIMIT_H
#define APFD_RATELIMIT_H

#include <stdint.h>

enum ratelimit_verdict {
	RATELIMIT_PASS,
	RATELIMIT_FIRST_OVER, /* the first one over the limit: log that the limit is reached */
	RATELIMIT_OVER,
};

/**
 * struct ratelimit - all zero at first
 * @begin_usec: start of the interval
 * @n: number of calls in the interval
 */
struct ratelimit {
	uint64_t begin_usec;
	unsigned int n;
};

/*
 * ratelimit_check: returns RATELIMIT_PASS for the first @burst calls in @interval_usec.
 * @now_usec is CLOCK_MONOTONIC. The first call after an interval starts a new interval.
 */
enum ratelimit_verdict ratelimit_check(struct ratelimit *l, unsigned int burst,
				       uint64_t interval_usec, uint64_t now_usec);

#endif /* APFD_RATELIMIT_H */
