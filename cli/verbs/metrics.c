// SPDX-License-Identifier: GPL-2.0
#include "bus.h"
#include "openmetrics.h"
#include "verb.h"

int verb_metrics(struct apfctl *ctl)
{
	_cleanup_(vm_list_clear) struct vm_list list = {};
	_cleanup_(host_clear) struct host host = {};
	struct openmetrics data = {
		.host = &host,
		.vms = &list,
		.printable = ctl->term.tty,
	};
	int status;

	status = bus_read_host(&ctl->client, &host);
	if (status == STATUS_OK)
		status = bus_read_vms(&ctl->client, &list);
	if (status != STATUS_OK)
		return status;
	data.n_vms_shown = list.n;
	if (openmetrics_print(stdout, &data, OPENMETRICS_1_0) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}
