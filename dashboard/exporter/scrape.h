/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads all figures from apfd over D-Bus. Every wait, including that for the bus
 * itself, ends at a deadline. A scrape does not start apfd.
 */
#ifndef APF_EXPORTER_SCRAPE_H
#define APF_EXPORTER_SCRAPE_H

#include "vm.h"

/**
 * struct scrape_options - what to read
 * @vcpus: also read the figures of each vCPU
 * @max_vms: maximum number of VMs
 * @current_only: leave out deprecated metrics
 * @timeout_usec: time limit of the whole scrape
 */
struct scrape_options {
	bool vcpus;
	bool current_only;
	size_t max_vms;
	uint64_t timeout_usec;
};

/**
 * struct scrape - the figures read
 * @vcpus: vCPUs of the first @n_vms_shown VMs, NULL if not requested; empty for a VM
 *	that is not watched, or that ended meanwhile
 */
struct scrape {
	struct host host;
	struct vm_list vms;
	size_t n_vms_shown;
	struct vcpu_array *vcpus;
	uint64_t took_usec;
};

/**
 * scrape_read() - reads all figures from apfd
 * @ret: empty before the call; the caller clears it, also after a failure
 * @ret_why: after a failure, an error text; static
 * Return: 0, -ETIMEDOUT, -EBADMSG or an error of sd-bus.
 */
int scrape_read(const struct scrape_options *options, struct scrape *ret, const char **ret_why);

void scrape_clear(struct scrape *scrape);

#endif
