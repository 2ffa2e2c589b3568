/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The maximum of a figure over the last minute. It is not cleared by reading, so that any number
 * of readers see it, also those that read every 30 s. Pure functions.
 */
#ifndef APFD_PEAK_H
#define APFD_PEAK_H

#include <stdint.h>

#include "util.h"

/* Slots of 5 s: the maximum is that of the last 60 to 65 s. */
#define PEAK_SLOT_USEC (5 * USEC_PER_SEC)
enum { PEAK_SLOTS = 13 };

/**
 * struct peak - all zero at first
 * @slots: ring, indexed by the number of the slot since the clock's begin
 */
struct peak {
	struct {
		uint64_t number; /* plus 1; 0 if the slot was never used */
		double max;
	} slots[PEAK_SLOTS];
};

/* peak_add: @value was seen at @now_usec; NAN and values up to 0 have no effect. */
void peak_add(struct peak *p, double value, uint64_t now_usec);

/* peak_get: the maximum; 0 if no value was added in the last minute. */
double peak_get(const struct peak *p, uint64_t now_usec);

#endif /* APFD_PEAK_H */
