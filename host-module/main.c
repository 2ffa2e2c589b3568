// SPDX-License-Identifier: GPL-2.0
/*
 * apf_host: a gate, counters and latency histograms for KVM's asynchronous
 * page faults, for each vCPU.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include "hooks.h"
#include "netlink.h"
#include "report.h"
#include "stats.h"
#include "symbol.h"
#include "vm.h"

static const struct apf_host_vm_calls vm_calls = {
	.gone = apf_host_netlink_vm_gone,
	.report = apf_host_netlink_report,
	.lease_ended = apf_host_netlink_lease_ended,
	.released = apf_host_hooks_put,
};

static int __init apf_host_init(void)
{
	int ret;

	ret = apf_host_stats_selftest();
	if (ret)
		return ret;
	ret = apf_host_report_selftest();
	if (ret)
		return ret;

	ret = apf_host_vm_init(&vm_calls);
	if (ret)
		return ret;
	ret = apf_host_symbol_init();
	if (ret)
		goto err_symbol;
	ret = apf_host_hooks_init();
	if (ret)
		goto err_hooks;
	ret = apf_host_netlink_init();
	if (ret)
		goto err_hooks;
	return 0;

err_hooks:
	/* Also if some hooks could not be placed: ftrace may have kept the others. */
	apf_host_hooks_uninit();
err_symbol:
	apf_host_vm_uninit();
	return ret;
}

static void __exit apf_host_exit(void)
{
	apf_host_netlink_uninit();
	apf_host_vm_del_all();
	apf_host_vm_uninit();
	apf_host_hooks_uninit();
}

module_init(apf_host_init);
module_exit(apf_host_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Gate and counters for KVM's asynchronous page faults");
MODULE_AUTHOR("The apf developers");
MODULE_VERSION(APF_HOST_VERSION);
