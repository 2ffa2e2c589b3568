/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of "top": sorting, printing of tables and JSON, and the full-screen
 * program.
 */
#ifndef APFCTL_TOP_H
#define APFCTL_TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "apfctl.h"
#include "select.h"
#include "sort.h"
#include "table.h"
#include "vm.h"

/* Columns of the table of VMs. */
enum top_column {
	TOP_NAME,
	TOP_STATE,
	TOP_MODE,
	TOP_SWAPPED,
	TOP_OUT,
	TOP_ASYNC,
	TOP_SYNC,
	TOP_P50,
	TOP_P95,
	TOP_STALLED,
	TOP_PEAK,
	TOP_SAVED,
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
	TOP_VCPU_SAVED,
	TOP_VCPU_READY,
	TOP_VCPU_SYNC_TOTAL,
	_TOP_VCPU_MAX,
};

/**
 * struct top_vcpu - a row of the vCPU table
 *
 * Rates are for the time between the last two reads; 0 after the first read.
 *
 * @stalled: share of time in which synchronous swap-ins stopped the vCPU
 * @saved: share of time in which the vCPU ran although pages were outstanding
 */
struct top_vcpu {
	const struct vcpu *vcpu;
	double async_per_sec;
	double sync_per_sec;
	double stalled;
	double saved;
};

/**
 * struct top_order - how to sort a table by a column
 * @key: key that sorts by this column
 * @falling: the largest value first, unless the order is reversed
 * @compare: compares two rows, as for qsort()
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

/*
 * Sort the rows. VMs with equal values are sorted by stall ratio, swap-ins per second
 * and name, vCPUs by number.
 */
void top_sort(struct vm_list *vms, struct ordering by);
void top_sort_vcpus(struct top_vcpu *rows, size_t n, struct ordering by);

/*
 * Fills @rows, one for each vCPU of @now. @before: the vCPUs @nsec earlier; may be
 * empty.
 */
void top_vcpu_rows(struct top_vcpu *rows, const struct vcpu_array *now,
		   const struct vcpu_array *before, uint64_t nsec);

/* The tables of VMs and vCPUs; NULL if out of memory. */
struct table *top_vm_table(const struct vm_list *vms);
struct table *top_vcpu_table(const struct top_vcpu *rows, size_t n);

/**
 * struct top_view - which VMs are shown, and in which order
 * @by: its column is an &enum top_column
 */
struct top_view {
	struct vm_filter filter;
	struct ordering by;
};

/**
 * struct top_sample - the shown VMs at one time
 * @now_usec: time of the sample, microseconds since the epoch
 * @host: the host of the VMs
 * @vms: in the order of the view
 */
struct top_sample {
	uint64_t now_usec;
	struct host host;
	struct vm_list vms;
};

/* Print a sample; return an exit status. */
int top_print_table(struct apfctl *ctl, const struct top_sample *sample);
int top_print_json(struct apfctl *ctl, const struct top_sample *sample);
int top_print_csv(struct apfctl *ctl, const struct top_sample *sample);

/* Prints the line with the names of the columns of top_print_csv(). */
void top_print_csv_header(void);

/**
 * top_run_screen() - runs the full-screen program until the user ends it
 * @view: must outlive the call
 * @first: what to show first; the function frees the VMs and the host
 * @ret_no_screen: true if the terminal type is unknown: nothing was done
 * Return: an exit status.
 */
int top_run_screen(struct apfctl *ctl, const struct top_view *view, struct top_sample *first,
		   bool *ret_no_screen);

#endif
