/* SPDX-License-Identifier: GPL-2.0 */
/* What the keys of "top" do. */
#ifndef APFCTL_TOP_KEYS_H
#define APFCTL_TOP_KEYS_H

struct top;

/* Handles @key; the caller redraws the screen. */
void top_on_key(struct top *top, int key);

#endif
