// SPDX-License-Identifier: GPL-2.0
/*
 * apf_guest: the sleep/wake table for asynchronous page faults in a KVM guest, in place of the
 * kernel's own. Parameters, the conditions for a load, and the order of coming and going.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/kvm_para.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>

#include <asm/processor.h>

#include "guest.h"

/* A longer sleep than this is no bound; jiffies_to_msecs() is exact far beyond it. */
enum { MS_MAX = 24 * 60 * 60 * 1000 };

unsigned int apf_pool = 1;
unsigned int apf_rescue_ms = 10000;
unsigned int apf_age_ms = 10000;
bool apf_fault_injection;
static bool live; /* the table is there: parameters have to be handed on to it */
static bool selftest_wanted;

/*
 * Below 100 ms a busy host alone could make a task too late for its wake, or a wake for its task.
 */
static int ms_set(const char *val, const struct kernel_param *kp)
{
	unsigned int ms;
	int ret = kstrtouint(val, 0, &ms);

	if (ret)
		return ret;
	if (ms > MS_MAX || (kp->arg == &apf_age_ms && ms < 100) || (ms && ms < 100)) {
		pr_err("%s is in milliseconds, %s100 to %d\n", kp->name,
		       kp->arg == &apf_age_ms ? "" : "0 or ", MS_MAX);
		return -ERANGE;
	}
	WRITE_ONCE(*(unsigned int *)kp->arg, ms);
	if (live) {
		WRITE_ONCE(apf_table.rescue, msecs_to_jiffies(apf_rescue_ms));
		WRITE_ONCE(apf_table.age, msecs_to_jiffies(apf_age_ms));
	}
	return 0;
}

static const struct kernel_param_ops ms_ops = { .set = ms_set, .get = param_get_uint };

static int pool_set(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_uint_minmax(val, kp, 1, APF_POOL_MAX);

	if (ret)
		pr_err("pool is 1 to %d emergency nodes per CPU\n", APF_POOL_MAX);
	return ret;
}

static const struct kernel_param_ops pool_ops = { .set = pool_set, .get = param_get_uint };

static int selftest_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret = kstrtobool(val, &on);

	if (ret || !on)
		return ret;
	if (live)
		return apf_selftest_run();
	selftest_wanted = true;
	return 0;
}

static int selftest_get(char *buf, const struct kernel_param *kp)
{
	return apf_selftest_result(buf);
}

static const struct kernel_param_ops selftest_ops = { .set = selftest_set, .get = selftest_get };

module_param_cb(pool, &pool_ops, &apf_pool, 0444);
MODULE_PARM_DESC(pool, "emergency nodes per CPU, 1 to 64 (default 1)");
module_param_cb(rescue_ms, &ms_ops, &apf_rescue_ms, 0644);
MODULE_PARM_DESC(rescue_ms, "longest sleep in milliseconds, 0 for no limit (default 10000)");
module_param_cb(age_ms, &ms_ops, &apf_age_ms, 0644);
MODULE_PARM_DESC(age_ms, "how long an early wake is kept, milliseconds (default 10000)");
module_param_cb(selftest, &selftest_ops, NULL, 0600);
MODULE_PARM_DESC(selftest, "write 1 to run the self-tests (KTAP on the kernel log)");
module_param_named(fault_injection, apf_fault_injection, bool, 0444);
MODULE_PARM_DESC(fault_injection, "test only: enable the inject_* parameters; taints the kernel");

/* kvm_para_has_feature() needs a function that is not exported. */
static bool has_feature(unsigned int feature)
{
	u32 base = hypervisor_cpuid_base(KVM_SIGNATURE, 0);

	return base && (cpuid_eax(base | KVM_CPUID_FEATURES) & BIT(feature));
}

static int __init check_platform(void)
{
	if (!kvm_para_available()) {
		pr_err("this is not a KVM guest, not loading\n");
		return -ENODEV;
	}
	if (!has_feature(KVM_FEATURE_ASYNC_PF_INT)) {
		pr_err("the host does not offer kvm-asyncpf-int, not loading\n");
		return -ENODEV;
	}
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT)) {
		pr_err("the memory of this guest is encrypted, not loading\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int __init apf_guest_init(void)
{
	int ret;

	ret = check_platform();
	if (ret)
		return ret;
	ret = apf_sleep_init();
	if (ret)
		return ret;
	ret = apf_cpu_init();
	if (ret)
		goto err_cpu;
	ret = apf_inject_init();
	if (ret)
		goto err_inject;
	ret = apf_sysfs_init();
	if (ret)
		goto err_sysfs;
	ret = apf_cpu_takeover();
	if (ret)
		goto err_takeover;
	ret = apf_hook_init();
	if (ret)
		goto err_hook;
	apf_cpu_go();

	WRITE_ONCE(live, true);
	pr_info("in place of the kernel's table on %u CPUs, %u emergency node%s each, rescue after %u ms\n",
		num_online_cpus(), apf_pool, apf_pool == 1 ? "" : "s", apf_rescue_ms);
	if (selftest_wanted)
		apf_selftest_run();
	return 0;

err_hook:
	apf_cpu_abort();
err_takeover:
	apf_sysfs_uninit();
err_sysfs:
	apf_inject_uninit();
err_inject:
	apf_cpu_uninit();
err_cpu:
	apf_sleep_uninit();
	return ret;
}

static void __exit apf_guest_exit(void)
{
	struct apf_figures f;

	apf_cpu_handback_begin();
	apf_hook_uninit();
	apf_inject_uninit();
	apf_cpu_handback_end();
	apf_sysfs_uninit();

	/* After the last wait: the books have to balance. */
	apf_table_total(&apf_table, &f);
	WARN_ON(f.sleepers);
	pr_info("gone: waits %u = wakes %u + rescues %u + broadcasts %u; refused %u, early %u, unknown %u\n",
		f.waits, f.wakes, f.rescues, f.broadcasts, f.refused, f.early_wakes,
		f.unknown_tokens);
	apf_cpu_uninit();
	apf_sleep_uninit();
}

module_init(apf_guest_init);
module_exit(apf_guest_exit);

MODULE_DESCRIPTION("Sleep/wake table for asynchronous page faults of KVM guests");
MODULE_LICENSE("GPL");
MODULE_VERSION(APF_VERSION);
