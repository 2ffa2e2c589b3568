// SPDX-License-Identifier: GPL-2.0
#include "apfctl.h"

#include <stdio.h>

#include "apf/cleanup.h"
#include "args.h"
#include "polkit-agent.h"
#include "verb.h"

static int run(int argc, char **argv)
{
	struct apfctl ctl = {};
	bool done;
	int status;

	term_init(&ctl.term);
	status = args_parse(argc, argv, &ctl, &done);
	if (status == STATUS_OK && !done)
		status = ctl.verb->run(&ctl);
	polkit_agent_stop(&ctl.client);
	sd_bus_flush_close_unref(ctl.client.bus);

	/* A write error, a full disk for example, must not end with status 0. */
	if (fflush(stdout) != 0 && status == STATUS_OK)
		status = status_fail(STATUS_FAILED, "cannot write: %m");
	return status;
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	apfctl_fail_report();
	return status;
}
