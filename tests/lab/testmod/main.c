// SPDX-License-Identifier: GPL-2.0
/*
 * apf_test: for the lab's guests alone, and not part of what is installed anywhere. It taints the
 * kernel (TAINT_TEST) and says so. It does to a guest's asynchronous page faults what neither the
 * kernel's own table nor apf_guest can be asked for, with or without apf_guest in charge. The
 * parameters by file:
 *
 *	event.c		page-ready events lost, dropped, or late
 *	fault.c		faults held back, memory refused, hooks that stay
 *	slot.c		a page-ready slot that stays in use, events for nobody
 *	bench.c		the time of one wait and wake
 *	selftest.c	the table core of apf_guest in the kernel
 *
 * Those that are a number of events still to be spoiled count down to 0.
 *
 * Probes are kprobes at a function's entry, called with the interrupts of their caller: off. They
 * have no post handler, so they do not ask to be the only one to change the instruction pointer and
 * get on with apf_guest's hooks in either order of coming.
 *
 * Tokens. KVM's are a serial number above 12 bits of vCPU number. Ours have numbers no guest of the
 * lab has, so they meet nobody's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/sysfs.h>

#include "test.h"

unsigned int test_ms = 500;

/* Never 0 and never ~0: the serial number has 19 of its 20 bits. */
u32 test_token(unsigned int vcpu)
{
	static atomic_t serial;

	return ((u32)atomic_inc_return(&serial) & 0x7ffff) << 12 | vcpu;
}

/*
 * Once is enough, but for one in a module that has gone meanwhile. Set up anew each time: a probe
 * that was taken out keeps its address and flags.
 */
int test_probe(struct kprobe *kp, const char *name, kprobe_pre_handler_t handler,
	       kprobe_post_handler_t after)
{
	int ret;

	if (kp->pre_handler && !(kp->flags & KPROBE_FLAG_GONE))
		return 0;
	test_unprobe(kp);
	*kp = (struct kprobe){
		.symbol_name = name, .pre_handler = handler, .post_handler = after,
	};
	ret = register_kprobe(kp);
	if (ret) {
		pr_err("no probe at %s (%d)\n", name, ret);
		kp->pre_handler = NULL;
	}
	return ret;
}

void test_unprobe(struct kprobe *kp)
{
	if (!kp->pre_handler)
		return;
	unregister_kprobe(kp);
	kp->pre_handler = NULL;
}

/*
 * kvm_async_pf_task_wait_schedule(), which from 6.18 on is exported to KVM alone. It may be called:
 * an exported function keeps its ENDBR, and the probe is at most that far behind its entry.
 */
int test_find_wait(void (**ret_fn)(u32 token))
{
	struct kprobe kp = {
		.symbol_name = "kvm_async_pf_task_wait_schedule",
		.flags = KPROBE_FLAG_DISABLED,
	};
	int ret = register_kprobe(&kp);

	if (ret)
		return ret;
	*ret_fn = (void *)((unsigned long)kp.addr & ~0xfUL);
	unregister_kprobe(&kp);
	return 0;
}

/* One of those still to be spoiled? Any context. */
bool test_spoil(atomic_t *left)
{
	return atomic_read(left) && atomic_add_unless(left, -1, 0);
}

static int count_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read((atomic_t *)kp->arg));
}

/* For reading; each has a setter of its own. */
const struct kernel_param_ops test_count_ops = { .get = count_get };

static int ms_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 1, 10 * 60 * 1000);
}

static const struct kernel_param_ops ms_ops = { .set = ms_set, .get = param_get_uint };
module_param_cb(ms, &ms_ops, &test_ms, 0600);
MODULE_PARM_DESC(ms, "how long hold and delay take, milliseconds (default 500)");

static int __init apf_test_init(void)
{
	add_taint(TAINT_TEST, LOCKDEP_STILL_OK);
	pr_warn("loaded: this kernel is for tests\n");
	return 0;
}

static void __exit apf_test_exit(void)
{
	test_event_uninit();
	test_fault_uninit();
	test_slot_uninit();
}

module_init(apf_test_init);
module_exit(apf_test_exit);

MODULE_DESCRIPTION("Test-only: spoil asynchronous page faults, measure them, test apf_guest's table");
MODULE_LICENSE("GPL");
