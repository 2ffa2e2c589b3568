/* SPDX-License-Identifier: GPL-2.0 */
#include "ratelimit.h"

enum ratelimit_verdict ratelimit_check(struct ratelimit *l, unsigned int burst,
				       uint64_t interval_usec, uint64_t now_usec)
{
	if (l->n == 0 || now_usec - l->begin_usec >= interval_usec) {
		l->begin_usec = now_usec;
		l->n = 0;
	}
	/* Do not count further, so that @n cannot overflow. */
	if (l->n > burst)
		return RATELIMIT_OVER;
	return l->n++ < burst ? RATELIMIT_PASS : RATELIMIT_FIRST_OVER;
}
