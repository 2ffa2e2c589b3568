/* SPDX-License-Identifier: GPL-2.0 */
/* How often something may be said: so many times per interval. Pure functions. */
#ifndef APFD_RATELIMIT_H
#define APFD_RATELIMIT_H

#include <stdint.h>

enum ratelimit_verdict {
	RATELIMIT_PASS,
	RATELIMIT_FIRST_OVER, /* too many now: to be said once */
	RATELIMIT_OVER,
};

/**
 * struct ratelimit - all zero at first
 * @begin_usec: when the interval began
 * @n: how often asked in it
 */
struct ratelimit {
	uint64_t begin_usec;
	unsigned int n;
};

/*
 * ratelimit_ask: may it be said at @now_usec (CLOCK_MONOTONIC), for the first
 * @burst times of each @interval_usec? An interval begins with a question.
 */
enum ratelimit_verdict ratelimit_ask(struct ratelimit *l, unsigned int burst,
				     uint64_t interval_usec, uint64_t now_usec);

#endif /* APFD_RATELIMIT_H */
