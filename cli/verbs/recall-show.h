/* SPDX-License-Identifier: GPL-2.0 */
/* How "recall" shows its progress: a bar on a terminal, lines of JSON, or nothing. */
#ifndef APFCTL_RECALL_SHOW_H
#define APFCTL_RECALL_SHOW_H

#include <stdint.h>

#include "apfctl.h"
#include "recall.h"

/* Shows that the recall of @vm goes on. */
void recall_show_progress(const struct apfctl *ctl, const char *vm,
			  const struct recall_progress *progress);

/* Removes the bar. */
void recall_show_nothing(const struct apfctl *ctl);

/* Shows that it has ended, after @elapsed_usec. Returns an exit status. */
int recall_show_end(const struct apfctl *ctl, const char *vm,
		    const struct recall_progress *progress, const struct recall_end *end,
		    uint64_t elapsed_usec);

#endif
