// SPDX-License-Identifier: GPL-2.0
/*
 * apf_host: a gate, counters and latency histograms for KVM's asynchronous
 * page faults, for each vCPU.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "netlink.h"
#include "nowait.h"
#include "probe.h"
#include "report.h"
#include "stats.h"
#include "vm.h"

static int __init apf_host_init(void)
{
	int ret;

	ret = apf_host_stats_selftest();
	if (ret)
		return ret;
	ret = apf_host_report_selftest();
	if (ret)
		return ret;

	ret = apf_host_vm_init();
	if (ret)
		return ret;

	/* Before anybody can add a VM: without them a dead one would stay. */
	ret = apf_host_probe_init();
	if (ret)
		goto err_probe;

	apf_host_nowait_init();

	ret = apf_host_netlink_init();
	if (ret)
		goto err_netlink;

	return 0;

err_netlink:
	apf_host_nowait_uninit();
	apf_host_probe_uninit();
err_probe:
	apf_host_vm_uninit();
	return ret;
}

static void __exit apf_host_exit(void)
{
	apf_host_netlink_uninit();
	apf_host_vm_forget();
	apf_host_nowait_uninit();
	apf_host_probe_uninit();
	apf_host_vm_uninit();
}

module_init(apf_host_init);
module_exit(apf_host_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Gate and counters for KVM's asynchronous page faults");
MODULE_AUTHOR("The apf developers");
MODULE_VERSION(APF_HOST_VERSION);
