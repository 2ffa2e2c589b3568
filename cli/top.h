/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The views of "top". The verb looks, a view shows; a new way to show is one
 * more struct top_view.
 */
#ifndef APFCTL_TOP_H
#define APFCTL_TOP_H

#include <stdint.h>

#include "apfctl.h"
#include "vm.h"

/**
 * struct top_sample - what one look saw
 * @now_usec: when, microseconds since the epoch
 * @vms: the most stalled first
 */
struct top_sample {
	uint64_t now_usec;
	struct vm_list vms;
};

/**
 * struct top_view - a way to show samples
 * @begin: once before the first; may be NULL
 * @show: each sample; returns an exit status
 * @end: once after the last, whatever the reason; may be NULL
 */
struct top_view {
	void (*begin)(struct apfctl *ctl);
	int (*show)(struct apfctl *ctl, const struct top_sample *sample);
	void (*end)(struct apfctl *ctl);
};

extern const struct top_view top_view_screen;
extern const struct top_view top_view_table;
extern const struct top_view top_view_json;

/* Orders by stall ratio, then swap-ins per second, then name. */
void top_sort(struct vm_list *vms);

#endif
