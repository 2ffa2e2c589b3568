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

	status = bus_read_host(ctl, &host);
	if (status == APFCTL_OK)
		status = bus_read_vms(ctl, &list);
	if (status != APFCTL_OK)
		return status;
	data.n_vms_shown = list.n;
	if (openmetrics_print(stdout, &data, OPENMETRICS_1_0) < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	return APFCTL_OK;
}
