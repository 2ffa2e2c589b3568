/* SPDX-License-Identifier: GPL-2.0 */
#include "recall-pause.h"

void recall_pause_begin(struct recall_pause *p, uint64_t now_usec)
{
	bool soon = p->length_usec && now_usec < p->ended_usec + 2 * p->length_usec;

	p->length_usec =
		soon ? MIN_OF(2 * p->length_usec, RECALL_PAUSE_MAX_USEC) : RECALL_PAUSE_MIN_USEC;
	p->why = RECALL_PAUSE_RECALLED;
	recall_pause_move(p, now_usec);
}

void recall_pause_move(struct recall_pause *p, uint64_t now_usec)
{
	p->ended_usec = now_usec;
	if (p->why == RECALL_PAUSE_RECALLED)
		p->until_usec = now_usec + p->length_usec;
}

void recall_pause_add(struct recall_pause *p, enum recall_pause_why why, uint64_t now_usec)
{
	static const uint64_t usec[] = {
		[RECALL_PAUSE_CANCELLED] = RECALL_PAUSE_CANCELLED_USEC,
		[RECALL_PAUSE_NO_ROOM] = RECALL_PAUSE_REFUSED_USEC,
		[RECALL_PAUSE_FAILED] = RECALL_PAUSE_REFUSED_USEC,
	};

	if (now_usec + usec[why] <= p->until_usec)
		return;
	p->why = why;
	p->until_usec = now_usec + usec[why];
}

uint64_t recall_pause_left(const struct recall_pause *p, uint64_t now_usec)
{
	return p->until_usec > now_usec ? p->until_usec - now_usec : 0;
}
