// SPDX-License-Identifier: GPL-2.0
/*
 * No-wait swap-in: Linux 4.14 to 6.5 reads a swapped page synchronously when
 * the read-ahead window is one page, that is for every random access, and even
 * for the fault by which KVM only asks whether the page is there (FOLL_NOWAIT).
 * The vCPU's thread then sleeps in the read, and no asynchronous page fault is
 * ever started.
 *
 *   int swap_readpage(struct page *page, bool synchronous, ...)
 *
 * A kprobe at its entry clears "synchronous" for vCPU threads whose gate is
 * open. That is safe for every caller that has the page in the swap cache: the
 * read then completes like one of read-ahead, and the caller waits for the
 * page's lock if, and only if, it may. A page outside of the swap cache is read
 * straight into place by a caller that will not wait again (swap devices in
 * memory): it is left alone.
 *
 * Context: the handler runs in the thread that faults, preemption off. Nothing
 * is kept.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/mm.h>
#include <linux/page-flags.h>

#include "compat.h"
#include "nowait.h"
#include "probe.h"
#include "stats.h"

enum nowait_wish { WISH_OFF, WISH_ON, WISH_AUTO };

static const char * const wish_names[] = {
	[WISH_OFF] = "0",
	[WISH_ON] = "1",
	[WISH_AUTO] = "auto",
};

/* Guards the three below. */
static DEFINE_MUTEX(nowait_lock);
static enum nowait_wish nowait_wish = WISH_AUTO;
static u32 nowait_state = APF_NOWAIT_NOT_NEEDED;
static bool nowait_running;

static int swap_readpage_pre(struct kprobe *kp, struct pt_regs *regs)
{
	/* A folio from 6.7 on, which begins with its first page. */
	struct page *page = (struct page *)regs->di;
	struct apf_host_vcpu *vcpu;

	if (!(u8)regs->si || !folio_test_swapcache(page_folio(page)))
		return 0;

	rcu_read_lock();
	vcpu = apf_host_probe_running();
	if (vcpu && READ_ONCE(vcpu->state) != APF_STATE_OFF) {
		regs->si = false;
		apf_host_stats_count(&vcpu->stats, APF_STAT_NOWAIT);
	}
	rcu_read_unlock();
	return 0;
}

static struct kprobe swap_readpage_probe;

static int probe_attach(void)
{
	/* A struct kprobe that was registered before is not clean any more. */
	swap_readpage_probe = (struct kprobe) {
		.symbol_name = "swap_readpage",
		.pre_handler = swap_readpage_pre,
	};
	return register_kprobe(&swap_readpage_probe);
}

/* Returns 0, or the error of placing a probe that was asked for by name. */
static int nowait_apply(enum nowait_wish wish)
{
	bool want = wish == WISH_ON || (wish == WISH_AUTO && APF_SWAP_READ_WAITS);
	int ret = 0;

	lockdep_assert_held(&nowait_lock);

	if (!want) {
		if (nowait_state == APF_NOWAIT_ACTIVE)
			unregister_kprobe(&swap_readpage_probe);
		nowait_state = APF_SWAP_READ_WAITS ? APF_NOWAIT_OFF : APF_NOWAIT_NOT_NEEDED;
		return 0;
	}

	if (nowait_state == APF_NOWAIT_ACTIVE)
		return 0;

	ret = probe_attach();
	if (!ret) {
		nowait_state = APF_NOWAIT_ACTIVE;
		return 0;
	}
	nowait_state = APF_SWAP_READ_WAITS ? APF_NOWAIT_UNAVAILABLE : APF_NOWAIT_NOT_NEEDED;
	if (APF_SWAP_READ_WAITS)
		pr_warn("no-wait swap-in is needed but not possible: swap_readpage: %pe\n",
			ERR_PTR(ret));
	return ret;
}

static int nowait_set(const char *val, const struct kernel_param *kp)
{
	int wish, ret;

	wish = sysfs_match_string(wish_names, val);
	if (wish < 0)
		return wish;

	mutex_lock(&nowait_lock);
	/* Before init the wish is only noted. */
	ret = nowait_running ? nowait_apply(wish) : 0;
	if (!ret || wish == WISH_AUTO) {
		nowait_wish = wish;
		ret = 0;
	}
	mutex_unlock(&nowait_lock);

	return ret;
}

static int nowait_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", wish_names[READ_ONCE(nowait_wish)]);
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

void apf_host_nowait_init(void)
{
	mutex_lock(&nowait_lock);
	nowait_running = true;
	nowait_apply(nowait_wish);
	mutex_unlock(&nowait_lock);
}

void apf_host_nowait_uninit(void)
{
	mutex_lock(&nowait_lock);
	nowait_apply(WISH_OFF);
	nowait_running = false;
	mutex_unlock(&nowait_lock);
}
