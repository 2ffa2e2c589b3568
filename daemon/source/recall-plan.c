/* SPDX-License-Identifier: GPL-2.0 */
#include "recall-plan.h"

#include "util.h"

enum {
	WINDOWS_PER_SEC = 10,
	WINDOW_PAGES_MIN = 16,
};

#define FACTOR_BEGIN 0.25
#define FACTOR_MIN   (1.0 / 64)
#define FACTOR_STEP  (1.0 / 8)

#define WAITING_RISE 0.05
/* Percentiles come from a histogram of powers of two: one more is no clear sign. */
#define P95_RISE_USEC (2 * USEC_PER_MSEC)

/* What "unlimited" is when it is slowed down: more than most swap devices deliver. */
#define FULL_RATE_BYTES (UINT64_C(1) << 30)

size_t recall_window_pages(uint64_t rate_bytes, uint64_t page_bytes)
{
	uint64_t pages = rate_bytes / WINDOWS_PER_SEC / page_bytes;

	return (size_t)MAX_OF(WINDOW_PAGES_MIN, MIN_OF(pages, RECALL_WINDOW_PAGES_MAX));
}

uint64_t recall_pace_delay(struct recall_pace *p, uint64_t bytes, uint64_t rate_bytes,
			   uint64_t now_usec)
{
	uint64_t begin_usec = MAX_OF(p->due_usec, now_usec);

	if (rate_bytes == RECALL_UNLIMITED) {
		p->due_usec = now_usec;
		return 0;
	}
	/* @bytes is a window, so this cannot overflow. */
	p->due_usec = begin_usec + bytes * USEC_PER_SEC / MAX_OF(rate_bytes, 1);
	return begin_usec - now_usec;
}

static bool suffers(const struct recall_others *before, const struct recall_others *now)
{
	return now->waiting > before->waiting + WAITING_RISE ||
	       now->p95_usec > MAX_OF(2 * before->p95_usec, before->p95_usec + P95_RISE_USEC);
}

bool recall_brake_update(struct recall_brake *b, struct recall_others now)
{
	if (!b->begun) {
		*b = (struct recall_brake){ .begun = true, .before = now, .factor = FACTOR_BEGIN };
		return false;
	}
	if (suffers(&b->before, &now)) {
		b->factor = MAX_OF(b->factor / 2, FACTOR_MIN);
		return true;
	}
	b->factor = MIN_OF(b->factor + FACTOR_STEP, 1.0);
	return false;
}

uint64_t recall_rate(uint64_t rate_bytes, double factor)
{
	if (factor >= 1)
		return rate_bytes;
	return (uint64_t)((double)MIN_OF(rate_bytes, FULL_RATE_BYTES) * factor);
}

uint64_t recall_room(uint64_t available_bytes, uint64_t total_bytes, enum recall_reserve reserve)
{
	uint64_t reserve_bytes = total_bytes / reserve;

	return available_bytes > reserve_bytes ? available_bytes - reserve_bytes : 0;
}
