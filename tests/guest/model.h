/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A second implementation of what table.h promises, as simple as it can be (flat arrays, no lists,
 * no bits), run in step with the core on a sequence of operations read from bytes. Any difference
 * in a return value, in who sleeps, in APF's state or in any figure of any CPU ends the program.
 */
#ifndef APF_TEST_MODEL_H
#define APF_TEST_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* What the run has been through, so that a caller can see that it was worth it. */
struct model_seen {
	unsigned long ops;
	unsigned long slept, woken, early, taken, exhausted, rescued, late, aged, refused;
	unsigned long duplicates, broadcasts, capped, stopped, forgotten, honest;
};

void model_run(const uint8_t *data, size_t len, struct model_seen *seen);

#endif
