/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decisions that "monitor" holds back for a moment. apfd announces an automatic change three times:
 * it decides, it is about to change the gate, the gate has changed. The last has the rule and the
 * reason, too, so for people it is the only line. A decision is printed only if no change follows:
 * the gate has the state already, or the module refused the change.
 */
#ifndef APFCTL_MONITOR_HELD_H
#define APFCTL_MONITOR_HELD_H

#include <stdbool.h>
#include <stddef.h>

#include "event.h"

/* How long a decision waits for its change; apfd sends both within milliseconds. */
#define HELD_USEC 1000000ULL

/**
 * struct held - decisions, the oldest first
 * @all: their strings are allocated
 */
struct held {
	struct event *all;
	size_t n;
};

/* Copies a decision; 0 or -ENOMEM. */
int held_add(struct held *held, const struct event *decision);

/* Removes the decision whose change @changed is. */
void held_remove(struct held *held, const struct event *changed);

/* Removes the oldest decision, if it was received until @until_usec, for the caller to free. */
bool held_take(struct held *held, uint64_t until_usec, struct event *ret_decision);

/* Whether @changed only repeats, for the whole VM, a change that all its vCPUs have had. */
bool held_is_repetition(const struct event *changed);

/* Frees the strings of a decision; frees all decisions. */
void held_free_event(struct event *decision);
void held_clear(struct held *held);

#endif
