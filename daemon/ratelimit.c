/* SPDX-License-Identifier: GPL-2.0 */
#include "ratelimit.h"

enum ratelimit_verdict ratelimit_ask(struct ratelimit *l, unsigned int burst,
				     uint64_t interval_usec, uint64_t now_usec)
{
	if (l->n == 0 || now_usec - l->begin_usec >= interval_usec) {
		l->begin_usec = now_usec;
		l->n = 0;
	}
	/* Stops counting where it makes no difference any more: no overflow. */
	if (l->n > burst)
		return RATELIMIT_OVER;
	return l->n++ < burst ? RATELIMIT_PASS : RATELIMIT_FIRST_OVER;
}
