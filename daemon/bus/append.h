/* SPDX-License-Identifier: GPL-2.0 */
/* Parts that are common to several messages about VMs; each function appends one D-Bus value. */
#ifndef APFD_APPEND_H
#define APFD_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#include "policy.h"
#include "stats.h"

/* append_counters: a{st}, without counters that the module does not have. */
int append_counters(sd_bus_message *m, const struct stats_totals *totals);

/* append_histogram: at; empty if the module does not have the histogram. */
int append_histogram(sd_bus_message *m, const struct stats_totals *totals, enum stats_count which);

/* append_guest: a{su} of @value, indexed by &enum apf_guest_attr; empty if @value is NULL. */
int append_guest(sd_bus_message *m, const uint32_t *value, bool with_age);

/* append_known: a{sd} of @n @values, without unknown values (NAN). */
int append_known(sd_bus_message *m, const char *const *names, const double *values, size_t n);

/* append_figures: a{sd} of the policy's figures. */
int append_figures(sd_bus_message *m, const struct policy_figures *f);

#endif /* APFD_APPEND_H */
