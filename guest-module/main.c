// SPDX-License-Identifier: GPL-2.0
/*
 * apf_guest: a sleep/wake table for asynchronous page faults in a KVM guest, which replaces the
 * kernel's own table. This file: parameters, conditions for loading, order of load and unload.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/kvm_para.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "guest.h"

/* A longer limit would be useless; jiffies_to_msecs() is exact for much longer times. */
enum { APF_MS_MAX = 24 * 60 * 60 * 1000 };

static unsigned int apf_rescue_ms = 10000;
static unsigned int apf_age_ms = 10000;
/* The table exists, so changes of parameters must be applied to it. Under the parameter lock. */
static bool apf_table_ready;
/* Our table is in use; false again after apf_guest_give_up(). */
static bool apf_active;
static bool apf_stopped;
static DEFINE_MUTEX(apf_active_lock); /* guards both */
/* Faults do not arrive in our hook: tasks sleep in the kernel's table. */
static bool apf_useless;

static void apf_ms_apply(void)
{
	WRITE_ONCE(apf_table.rescue, msecs_to_jiffies(apf_rescue_ms));
	WRITE_ONCE(apf_table.age, msecs_to_jiffies(apf_age_ms));
}

/*
 * With less than 100 ms, a busy host alone could cause rescues, or early wakes that are dropped
 * before their fault.
 */
static int apf_ms_set(const char *val, const struct kernel_param *kp)
{
	unsigned int ms;
	int ret = kstrtouint(val, 0, &ms);

	if (ret)
		return ret;
	if (ms > APF_MS_MAX || (kp->arg == &apf_age_ms && ms < 100) || (ms && ms < 100)) {
		pr_err("%s is in milliseconds, %s100 to %d\n", kp->name,
		       kp->arg == &apf_age_ms ? "" : "0 or ", APF_MS_MAX);
		return -ERANGE;
	}
	WRITE_ONCE(*(unsigned int *)kp->arg, ms);
	if (apf_table_ready)
		apf_ms_apply();
	return 0;
}

static const struct kernel_param_ops apf_ms_ops = { .set = apf_ms_set, .get = param_get_uint };

module_param_cb(rescue_ms, &apf_ms_ops, &apf_rescue_ms, 0644);
MODULE_PARM_DESC(rescue_ms, "longest sleep in milliseconds, 0 for no limit (default 10000)");
module_param_cb(age_ms, &apf_ms_ops, &apf_age_ms, 0644);
MODULE_PARM_DESC(age_ms, "how long an early wake is kept, milliseconds (default 10000)");
/*
 * kvm_para_has_feature() needs a function that is not exported, and the function that searches for
 * the signature has two names, depending on the kernel.
 */
static bool apf_has_feature(unsigned int feature)
{
	u32 base, max, sig[3];

	for (base = 0x40000000; base < 0x40010000; base += 0x100) {
		cpuid(base, &max, &sig[0], &sig[1], &sig[2]);
		if (!memcmp(sig, KVM_SIGNATURE, sizeof(sig)))
			return cpuid_eax(base | KVM_CPUID_FEATURES) & BIT(feature);
	}
	return false;
}

static int __init apf_check_platform(void)
{
	if (!kvm_para_available()) {
		pr_err("this is not a KVM guest, not loading\n");
		return -ENODEV;
	}
	if (!apf_has_feature(KVM_FEATURE_ASYNC_PF_INT)) {
		pr_err("the host does not offer kvm-asyncpf-int, not loading\n");
		return -ENODEV;
	}
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT)) {
		pr_err("the memory of this guest is encrypted, not loading\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * Switches back to the kernel's table; the module may stay loaded. Returns 0 or the error of
 * ftrace: then the hooks are still in place, and APF is off.
 */
static int apf_restore_kernel_table(void)
{
	int ret = 0;

	mutex_lock(&apf_active_lock);
	if (apf_active) {
		if (!apf_stopped)
			apf_switch_stop();
		apf_stopped = true;
		ret = apf_hook_uninit();
		if (!ret) {
			apf_switch_end(READ_ONCE(apf_useless));
			WRITE_ONCE(apf_active, false);
		}
	}
	mutex_unlock(&apf_active_lock);
	return ret;
}

static void apf_give_up_work(struct work_struct *work)
{
	int ret = apf_restore_kernel_table();

	if (ret)
		pr_err("ftrace does not remove the hooks (%d): APF stays off in this guest\n", ret);
	else
		pr_err("page-ready events arrive, faults do not: the kernel's own table is in use again\n");
}

static DECLARE_WORK(apf_give_up, apf_give_up_work);

/* Any context. */
static void apf_guest_give_up(void)
{
	WRITE_ONCE(apf_useless, true);
	schedule_work(&apf_give_up);
}

static int __init apf_guest_init(void)
{
	int ret, err;

	ret = apf_check_platform();
	if (ret)
		return ret;
	ret = apf_sleep_init(apf_guest_give_up);
	if (ret)
		return ret;
	ret = apf_cpu_init(apf_rescue_ms, apf_age_ms);
	if (ret)
		goto err_cpu;
	kernel_param_lock(THIS_MODULE);
	apf_table_ready = true;
	apf_ms_apply();
	kernel_param_unlock(THIS_MODULE);
	apf_slot_init();
	ret = apf_sysfs_init(&apf_active);
	if (ret)
		goto err_sysfs;
	ret = apf_switch_takeover();
	if (ret)
		goto err_takeover;
	ret = apf_hook_init();
	if (ret)
		goto err_hook;
	apf_active = true;
	ret = apf_switch_prove();
	if (ret)
		goto err_prove;
	apf_switch_go();
	pr_info("in place of the kernel's table on %u CPUs, rescue after %u ms\n",
		num_online_cpus(), apf_rescue_ms);
	return 0;

err_prove:
	/* As in apf_guest_exit(): this loop may not end. */
	while ((err = apf_hook_uninit()) != 0) {
		pr_err_once("ftrace does not remove the hooks (%d): the load cannot end, APF is off\n", err);
		ssleep(1);
	}
err_hook:
	apf_switch_end(false);
err_takeover:
	apf_sysfs_uninit();
err_sysfs:
	apf_cpu_uninit();
err_cpu:
	apf_sleep_uninit();
	return ret;
}

static void __exit apf_guest_exit(void)
{
	struct apf_figures f;
	int ret;

	/* Our code must stay while ftrace calls it; therefore this loop may not end. */
	while ((ret = apf_restore_kernel_table()) != 0) {
		pr_err_once("ftrace does not remove the hooks (%d): the module cannot be unloaded, APF is off\n",
			    ret);
		ssleep(1);
	}
	cancel_work_sync(&apf_give_up);
	apf_sysfs_uninit();

	/* All waits have ended. */
	apf_table_total(&apf_table, &f);
	WARN_ON(f.sleepers);
	pr_info("unloaded: waits %u = wakes %u + rescues %u + broadcasts %u; refused %u, early %u, unknown %u\n",
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
