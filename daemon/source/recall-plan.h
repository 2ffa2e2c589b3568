/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How fast, and how much, a recall may bring back: windows, rate, consideration for other VMs,
 * room in memory. Pure functions.
 */
#ifndef APFD_RECALL_PLAN_H
#define APFD_RECALL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A window is not larger: so many ranges a system call takes (IOV_MAX of the kernel). */
enum { RECALL_WINDOW_PAGES_MAX = 1024 };

/* No limit, for a rate and for the room of a control group. */
#define RECALL_UNLIMITED UINT64_MAX

/* recall_window_pages: the pages to request at once: a tenth of a second's at @rate_bytes. */
size_t recall_window_pages(uint64_t rate_bytes, uint64_t page_bytes);

/**
 * struct recall_pace - spaces the windows out; all zero at first
 * @due_usec: when the next window may begin, CLOCK_MONOTONIC
 */
struct recall_pace {
	uint64_t due_usec;
};

/*
 * recall_pace_delay: how long to wait before @bytes are requested. Time in which nothing was
 * requested does not count, so that there is no burst after a pause.
 */
uint64_t recall_pace_delay(struct recall_pace *p, uint64_t bytes, uint64_t rate_bytes,
			   uint64_t now_usec);

/**
 * struct recall_others - how the VM suffers that suffers most, of all other VMs
 * @waiting: share of time spent waiting for pages, 0.0 to 1.0
 * @p95_usec: latency of its swap-ins; 0 if it has none
 */
struct recall_others {
	double waiting;
	uint64_t p95_usec;
};

/**
 * struct recall_brake - slows a recall down; all zero at first
 * @before: the other VMs when the recall began
 * @factor: the recall may use this part of its rate
 */
struct recall_brake {
	bool begun;
	struct recall_others before;
	double factor;
};

/*
 * recall_brake_update: to be called once a second with the figures of the other VMs. The factor
 * begins with a quarter. It is halved, down to a 64th, while another VM waits by 5 percent points
 * more than before the recall, or its swap-ins take more than twice as long and 2 ms more; else it
 * grows by an eighth, up to 1. Returns true while other VMs suffer.
 */
bool recall_brake_update(struct recall_brake *b, struct recall_others now);

/* recall_rate: @rate_bytes slowed down by @factor; RECALL_UNLIMITED becomes a finite rate if < 1.
 */
uint64_t recall_rate(uint64_t rate_bytes, double factor);

/* The memory that must stay available, as a part of the whole: one divided by this. */
enum recall_reserve {
	RECALL_RESERVE_REQUESTED = 32, /* of recalls that a person asks for */
	RECALL_RESERVE_AUTOMATIC = 8,
};

/* recall_room: how much of @available_bytes may be used: all but the reserve of @total_bytes. */
uint64_t recall_room(uint64_t available_bytes, uint64_t total_bytes, enum recall_reserve reserve);

#endif /* APFD_RECALL_PLAN_H */
