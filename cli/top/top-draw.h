/* SPDX-License-Identifier: GPL-2.0 */
/* Draws the screen of "top". */
#ifndef APFCTL_TOP_DRAW_H
#define APFCTL_TOP_DRAW_H

#include <stddef.h>

struct top;

/* How many table rows fit on the screen. */
size_t top_lines_for_rows(const struct top *top);

/* Draws the whole screen again. */
void top_draw(struct top *top);

#endif
