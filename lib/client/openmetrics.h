/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Formats the data of apfd as text for Prometheus. The callers read the data from the
 * bus. A new figure needs one more row in the table in openmetrics.c or openmetrics-memory.c.
 */
#ifndef APFCTL_OPENMETRICS_H
#define APFCTL_OPENMETRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "vm.h"

enum openmetrics_format {
	OPENMETRICS_1_0, /* application/openmetrics-text; version=1.0.0 */
	PROMETHEUS_TEXT, /* text/plain; version=0.0.4 */
};

/* A longer VM name is cut to this many bytes; the UUID identifies the VM. */
#define OPENMETRICS_NAME_MAX 255

/**
 * struct openmetrics - data to print
 * @host: NULL if apfd did not answer: then only apf_up is printed
 * @vms: all VMs of the host
 * @n_vms_shown: metrics are printed for the first @n_vms_shown VMs
 * @vcpus: vCPUs of each of these VMs, in the same order; NULL: no metrics of vCPUs
 * @collect_usec: how long reading the data took; 0: do not print it
 * @current_only: leave out deprecated metrics
 * @print_more: prints metrics of the program itself at the end; NULL: none
 * @printable: output is a terminal: replace control characters in names
 */
struct openmetrics {
	const struct host *host;
	const struct vm_list *vms;
	size_t n_vms_shown;
	const struct vcpu_array *vcpus;
	uint64_t collect_usec;
	bool current_only;
	void (*print_more)(FILE *file, enum openmetrics_format format);
	bool printable;
};

/* openmetrics_print() - prints all metrics; 0 or -ENOMEM. The caller checks @file for errors. */
int openmetrics_print(FILE *file, const struct openmetrics *data, enum openmetrics_format format);

#endif
