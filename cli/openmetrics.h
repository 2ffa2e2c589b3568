/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What apfd tells, as text for Prometheus. No calls here: the callers have read it
 * from the bus. A new figure is one more row of the table in openmetrics.c.
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

/* Longest name of a VM that is told, bytes; the UUID beside it tells the rest apart. */
#define OPENMETRICS_NAME_MAX 255

/**
 * struct openmetrics - what is to be told
 * @host: NULL if apfd did not answer: then only that is told
 * @vms: of the host
 * @n_vms_shown: the first so many of them are told one by one
 * @vcpus: of each VM that is shown, in their order, or NULL: nothing of vCPUs
 * @collect_usec: how long it took to ask for all this, 0 if it is not to be told
 * @printable: names are for a terminal: what could steer it is shown in digits
 */
struct openmetrics {
	const struct host *host;
	const struct vm_list *vms;
	size_t n_vms_shown;
	const struct vcpu_array *vcpus;
	uint64_t collect_usec;
	bool printable;
};

/* openmetrics_print() - writes all of it; 0 or -ENOMEM. The caller looks after errors of @file. */
int openmetrics_print(FILE *file, const struct openmetrics *data, enum openmetrics_format format);

#endif
