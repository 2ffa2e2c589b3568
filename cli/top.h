/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of "top": the order of the VMs, tables and JSON line by line, and the
 * screen, which is a program of its own.
 */
#ifndef APFCTL_TOP_H
#define APFCTL_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "apfctl.h"
#include "table.h"
#include "vm.h"

/* Columns of the table of VMs. */
enum top_column {
	TOP_NAME,
	TOP_STATE,
	TOP_MODE,
	TOP_SWAPPED,
	TOP_ASYNC,
	TOP_SYNC,
	TOP_P50,
	TOP_P95,
	TOP_STALLED,
	TOP_PRESSURE,
	TOP_GUEST,
	_TOP_MAX,
};

/* Columns of the table of a VM's vCPUs. */
enum top_vcpu_column {
	TOP_VCPU_INDEX,
	TOP_VCPU_STATE,
	TOP_VCPU_APF,
	TOP_VCPU_WAITING,
	TOP_VCPU_ASYNC,
	TOP_VCPU_SYNC,
	TOP_VCPU_STALLED,
	TOP_VCPU_READY,
	TOP_VCPU_SYNC_TOTAL,
	_TOP_VCPU_MAX,
};

/**
 * struct top_vcpu - a vCPU between two looks; without a first one rates are 0
 * @stalled: share of the time in which it was stopped by synchronous swap-ins
 */
struct top_vcpu {
	const struct vcpu *vcpu;
	double async_per_sec;
	double sync_per_sec;
	double stalled;
};

/**
 * struct top_order - how a table can be ordered by a column
 * @key: that chooses it
 * @falling: the largest first, unless it is turned round
 * @compare: of two rows, the smaller first
 */
struct top_order {
	char key;
	bool falling;
	int (*compare)(const void *a, const void *b);
};

extern const struct table_column top_columns[_TOP_MAX];
extern const struct top_order top_orders[_TOP_MAX];
extern const struct table_column top_vcpu_columns[_TOP_VCPU_MAX];
extern const struct top_order top_vcpu_orders[_TOP_VCPU_MAX];

/* Equal rows are ordered by stall ratio, swap-ins per second and name. */
void top_sort(struct vm_list *vms, enum top_column column, bool reversed);
void top_sort_vcpus(struct top_vcpu *rows, size_t n, enum top_vcpu_column column, bool reversed);

/*
 * Fills @rows, one for each vCPU of @now; @before are the same vCPUs @nsec earlier,
 * or none.
 */
void top_vcpu_rows(struct top_vcpu *rows, const struct vcpu_array *now,
		   const struct vcpu_array *before, uint64_t nsec);

/* NULL without memory. */
struct table *top_vm_table(const struct vm_list *vms);
struct table *top_vcpu_table(const struct top_vcpu *rows, size_t n);

/**
 * struct top_sample - what one look saw
 * @now_usec: when, microseconds since the epoch
 * @vms: the most stalled first
 */
struct top_sample {
	uint64_t now_usec;
	struct vm_list vms;
};

/* Print a sample; return an exit status. */
int top_print_table(struct apfctl *ctl, const struct top_sample *sample);
int top_print_json(struct apfctl *ctl, const struct top_sample *sample);

/**
 * top_run_screen() - watches on the whole terminal until it is told to end
 * @vms: a first look; taken over
 * @ret_no_screen: true if nothing is known of this terminal: nothing was done then
 * Return: an exit status.
 */
int top_run_screen(struct apfctl *ctl, struct vm_list *vms, bool *ret_no_screen);

#endif
