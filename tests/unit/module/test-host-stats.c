/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counters of apf_host in user space: the self-test that the module runs when it is loaded, if
 * it was built with APF_HOST_DEBUG.
 */
#define APF_HOST_DEBUG
#include "../../../host-module/stats.c"

int main(void)
{
	return apf_host_stats_selftest() ? EXIT_FAILURE : EXIT_SUCCESS;
}
