/* SPDX-License-Identifier: GPL-2.0 */
/* The memory of the host, as "status" and "top" print it. */
#ifndef APFCTL_HOST_SUMMARY_H
#define APFCTL_HOST_SUMMARY_H

#include <stdbool.h>

#include "term.h"
#include "vm.h"

enum { HOST_SUMMARY_MAX = 256 };

/* host_summary: one line with the figures that apfd sent; "" from an apfd that has none. */
char *host_summary(char buffer[static HOST_SUMMARY_MAX], const struct host *host);

/* host_summary_style: STYLE_WARN if the host is thrashing. */
enum style host_summary_style(const struct host *host);

/* host_print_memory: the same figures and more, one field a line. */
void host_print_memory(const struct term *term, const struct host *host);

#endif
