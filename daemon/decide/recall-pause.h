/* SPDX-License-Identifier: GPL-2.0 */
/* When apfd leaves a VM alone that it could recall by itself. Pure functions. */
#ifndef APFD_RECALL_PAUSE_H
#define APFD_RECALL_PAUSE_H

#include <stdint.h>

#include "util.h"

/* After an automatic recall: doubled each time, so that a VM that swaps again does so for long. */
#define RECALL_PAUSE_MIN_USEC (10 * 60 * USEC_PER_SEC)
#define RECALL_PAUSE_MAX_USEC (24 * 3600 * USEC_PER_SEC)

/* After a person has cancelled a recall of the VM. */
#define RECALL_PAUSE_CANCELLED_USEC (3600 * USEC_PER_SEC)

/* After a recall could not be started. */
#define RECALL_PAUSE_REFUSED_USEC (60 * USEC_PER_SEC)

enum recall_pause_why {
	RECALL_PAUSE_NONE,
	RECALL_PAUSE_RECALLED,
	RECALL_PAUSE_CANCELLED,
	RECALL_PAUSE_NO_ROOM,
	RECALL_PAUSE_FAILED, /* to start */
};

/**
 * struct recall_pause - of a VM; all zero at first
 * @why: the reason of the present pause
 * @until_usec: no automatic recall before, CLOCK_MONOTONIC
 * @length_usec: of the last pause after an automatic recall; 0: there was none
 * @ended_usec: end of that recall
 */
struct recall_pause {
	enum recall_pause_why why;
	uint64_t until_usec;
	uint64_t length_usec;
	uint64_t ended_usec;
};

/*
 * recall_pause_begin: an automatic recall begins. The pause after it is twice as long as the last
 * one; but if the last recall was longer ago than two such pauses, the VM's memory was not evicted
 * again soon, and the pause is the shortest again.
 */
void recall_pause_begin(struct recall_pause *p, uint64_t now_usec);

/* recall_pause_move: the automatic recall still runs: its pause begins now. */
void recall_pause_move(struct recall_pause *p, uint64_t now_usec);

/* recall_pause_add: a pause for another reason; a longer one stays. */
void recall_pause_add(struct recall_pause *p, enum recall_pause_why why, uint64_t now_usec);

/* recall_pause_left: 0: there is no pause now. */
uint64_t recall_pause_left(const struct recall_pause *p, uint64_t now_usec);

#endif /* APFD_RECALL_PAUSE_H */
