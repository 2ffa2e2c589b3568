/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One look at apfd over D-Bus. Every wait, that for the bus itself included, ends at
 * a deadline, and apfd is not started by being looked at.
 */
#ifndef APF_EXPORTER_SCRAPE_H
#define APF_EXPORTER_SCRAPE_H

#include "vm.h"

/**
 * struct scrape_options - what to ask for
 * @vcpus: of each vCPU, too
 * @max_vms: how many VMs at most
 * @timeout_usec: for all of it
 */
struct scrape_options {
	bool vcpus;
	size_t max_vms;
	uint64_t timeout_usec;
};

/**
 * struct scrape - what was seen
 * @vcpus: of each of the first @n_vms_shown VMs, NULL if not asked for; empty for
 *	a VM that is not watched, or that ended in between
 */
struct scrape {
	struct host host;
	struct vm_list vms;
	size_t n_vms_shown;
	struct vcpu_array *vcpus;
	uint64_t took_usec;
};

/**
 * scrape_read() - asks apfd
 * @ret: empty; to be cleared also after a failure
 * @ret_why: after a failure, a sentence about it; not to be freed
 * Return: 0, -ETIMEDOUT, -EBADMSG or what sd-bus says.
 */
int scrape_read(const struct scrape_options *options, struct scrape *ret, const char **ret_why);

void scrape_clear(struct scrape *scrape);

#endif
