// SPDX-License-Identifier: GPL-2.0
/*
 * No-wait swap-in: Linux 4.14 to 6.5 reads a swapped page synchronously if the
 * read-ahead window is one page, that is for every random access. It does this even
 * if KVM only tries whether the page is in memory (FOLL_NOWAIT). The vCPU's thread then
 * sleeps in the read, and KVM never starts an asynchronous page fault.
 *
 *   int swap_readpage(struct page *page, bool synchronous, ...)
 *
 * A kprobe at its entry clears "synchronous" for vCPU threads whose gate is open.
 * This is safe if the page is in the swap cache: the read then completes like a
 * read-ahead read, and the caller waits for the page lock only if it may sleep. If the
 * page is not in the swap cache (swap devices in memory), the caller does not wait
 * again, so the probe does not change the argument.
 *
 * Context: the handler runs in the faulting thread with preemption off. It stores no
 * state.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/mm.h>
#include <linux/page-flags.h>

#include "compat.h"
#include "nowait.h"
#include "symbol.h"
#include "vm.h"

enum nowait_setting { SETTING_OFF, SETTING_ON, SETTING_AUTO };

static const char * const setting_names[] = {
	[SETTING_OFF] = "0",
	[SETTING_ON] = "1",
	[SETTING_AUTO] = "auto",
};

/*
 * Guards the variables below: the requested setting, the resulting state, whether the
 * module has started once, whether VMs are watched, whether the probe is placed.
 */
static DEFINE_MUTEX(nowait_lock);
static enum nowait_setting nowait_setting = SETTING_AUTO;
static u32 nowait_state = APF_NOWAIT_NOT_NEEDED;
static bool nowait_loaded;
static bool nowait_started;
static bool nowait_placed;

static int swap_readpage_pre(struct kprobe *kp, struct pt_regs *regs)
{
	/* Since 6.7 the argument is a folio; a folio begins with its first page. */
	struct page *page = (struct page *)regs->di;
	struct kvm_vcpu *vcpu;
	struct apf_host_vcpu *v;
	struct apf_host_vm *vm;

	if (!(u8)regs->si || !folio_test_swapcache(page_folio(page)))
		return 0;
	vcpu = apf_host_running_vcpu();
	if (!vcpu)
		return 0;

	rcu_read_lock();
	v = apf_host_vm_find_vcpu(vcpu, &vm);
	if (v && READ_ONCE(v->state) != APF_STATE_OFF) {
		regs->si = false;
		apf_host_stats_count(&v->stats, APF_STAT_NOWAIT);
	}
	rcu_read_unlock();
	return 0;
}

static struct kprobe swap_readpage_probe;

static int probe_place(void)
{
	int ret;

	if (nowait_placed)
		return 0;
	if (!apf_host_running_vcpu_known())
		return -ENOENT;
	/* Initialize it each time: an earlier registration has changed fields. */
	swap_readpage_probe = (struct kprobe) {
		.symbol_name = "swap_readpage",
		.pre_handler = swap_readpage_pre,
	};
	ret = register_kprobe(&swap_readpage_probe);
	nowait_placed = !ret;
	return ret;
}

static void probe_remove(void)
{
	if (nowait_placed)
		unregister_kprobe(&swap_readpage_probe);
	nowait_placed = false;
}

/* Returns 0, or the error of placing the probe. */
static int nowait_apply(enum nowait_setting setting)
{
	bool want = setting == SETTING_ON || (setting == SETTING_AUTO && APF_SWAP_READ_WAITS);
	int ret;

	lockdep_assert_held(&nowait_lock);

	if (!want) {
		probe_remove();
		nowait_state = APF_SWAP_READ_WAITS ? APF_NOWAIT_OFF : APF_NOWAIT_NOT_NEEDED;
		return 0;
	}

	ret = probe_place();
	if (!ret) {
		nowait_state = APF_NOWAIT_ACTIVE;
		return 0;
	}
	nowait_state = APF_SWAP_READ_WAITS ? APF_NOWAIT_UNAVAILABLE : APF_NOWAIT_NOT_NEEDED;
	if (APF_SWAP_READ_WAITS)
		pr_warn_once("no-wait swap-in is needed but not possible: swap_readpage: %pe\n",
			     ERR_PTR(ret));
	return ret;
}

static int nowait_set(const char *val, const struct kernel_param *kp)
{
	int setting, ret;

	setting = sysfs_match_string(setting_names, val);
	if (setting < 0)
		return setting;

	mutex_lock(&nowait_lock);
	/*
	 * A parameter given at load time is only stored; the first start applies it.
	 * While no VM is watched, place the probe only to check that it is possible.
	 */
	ret = nowait_loaded ? nowait_apply(setting) : 0;
	if (!nowait_started)
		probe_remove();
	if (!ret || setting == SETTING_AUTO) {
		nowait_setting = setting;
		ret = 0;
	}
	mutex_unlock(&nowait_lock);

	return ret;
}

static int nowait_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", setting_names[READ_ONCE(nowait_setting)]);
}

static const struct kernel_param_ops nowait_ops = {
	.set = nowait_set,
	.get = nowait_get,
};

module_param_cb(nowait_swapin, &nowait_ops, NULL, 0644);
MODULE_PARM_DESC(nowait_swapin,
		 "Read swap for watched vCPUs without waiting: auto, 0, 1 (default: auto)");

u32 apf_host_nowait_state(void)
{
	return READ_ONCE(nowait_state);
}

/* Called together with placing the other hooks (hooks.c), for the first watched VM. */
void apf_host_nowait_start(void)
{
	mutex_lock(&nowait_lock);
	nowait_loaded = true;
	nowait_started = true;
	nowait_apply(nowait_setting);
	mutex_unlock(&nowait_lock);
}

/* Called when no VM is watched any more; does not change the reported state. */
void apf_host_nowait_stop(void)
{
	mutex_lock(&nowait_lock);
	nowait_started = false;
	probe_remove();
	mutex_unlock(&nowait_lock);
}
