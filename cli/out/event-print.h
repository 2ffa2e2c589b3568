/* SPDX-License-Identifier: GPL-2.0 */
/* Output of "monitor": one line for each event. A new kind of event needs one more table row. */
#ifndef APFCTL_EVENT_PRINT_H
#define APFCTL_EVENT_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "event.h"
#include "term.h"

/* Names of all events that are known here, the words of --event. */
extern const char *const event_names[];
extern const size_t n_event_names;

/* Whether @mask has the bit of the event's name, bit 0 for event_names[0]. */
bool event_is_in(const struct event *event, uint64_t mask);

/* Writes one line to standard output and flushes it. Returns an exit status. */
int event_print(const struct term *term, bool json, const struct event *event);

#endif
