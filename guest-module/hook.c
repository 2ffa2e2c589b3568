// SPDX-License-Identifier: GPL-2.0
/*
 * The two functions of the kernel that the module stands in for.
 *
 * kvm_async_pf_task_wait_schedule() and kvm_async_pf_task_wake() are ordinary traceable functions
 * (not noinstr): their callers are inside instrumentation_begin()/_end(), with RCU watching. The
 * ftrace callback at their entry points the saved instruction pointer to ours; arguments and return
 * address are where they were. The trampoline saves only the registers that carry arguments, which
 * live patching makes do with as well; to save all of them (FTRACE_OPS_FL_SAVE_REGS) takes longer.
 *
 * No FTRACE_OPS_FL_RECURSION: its guard would skip the callback when it thinks it recurses, and one
 * skipped redirect is a task in the wrong table. The callback calls nothing that is traced.
 * FTRACE_OPS_FL_PERMANENT: while we are in, ftrace_enabled cannot be set to 0, for the same reason.
 *
 * The two do not go in at one instant; meanwhile APF is off everywhere (see cpu.c), so nobody can
 * be put to sleep by the one and waited for by the other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kvm_para.h>

#include "compat.h"
#include "guest.h"

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS

/* The entry of a function is at most an ENDBR away from its address. */
#define ENTRY_MAX 16

/*
 * One ftrace_ops for both: whatever the kernel waits for when it takes one away (every task leaves
 * the trampoline) is waited for once.
 */
static void notrace hook_enter(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			       struct ftrace_regs *fregs)
{
	if (ip - (unsigned long)kvm_async_pf_task_wait_schedule < ENTRY_MAX)
		apf_ftrace_redirect(fregs, apf_guest_wait_schedule);
	else
		apf_ftrace_redirect(fregs, apf_guest_task_wake);
}

static struct ftrace_ops hook_ops = {
	.func = hook_enter,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

static const struct {
	void (*from)(u32 token);
	const char *name;
} hooked[] = {
	{ kvm_async_pf_task_wait_schedule, "kvm_async_pf_task_wait_schedule" },
	{ kvm_async_pf_task_wake, "kvm_async_pf_task_wake" },
};

int apf_hook_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(hooked); i++) {
		ret = ftrace_set_filter_ip(&hook_ops, (unsigned long)hooked[i].from, 0, 0);
		if (ret) {
			pr_err("%s cannot be traced (%d), not loading\n", hooked[i].name, ret);
			goto err_filter;
		}
	}
	ret = register_ftrace_function(&hook_ops);
	if (ret) {
		pr_err("no ftrace with registers for %s and %s (%d%s), not loading\n",
		       hooked[0].name, hooked[1].name, ret,
		       ret == -EBUSY ? ": live-patched, or ftrace is disabled" : "");
		goto err_filter;
	}
	return 0;

err_filter:
	ftrace_free_filter(&hook_ops);
	return ret;
}

/* Returns when no task is in a trampoline any more; one may still be in ours. */
void apf_hook_uninit(void)
{
	WARN_ON(unregister_ftrace_function(&hook_ops));
	ftrace_free_filter(&hook_ops);
}

#else

int apf_hook_init(void)
{
	pr_err("this kernel has no ftrace with registers, not loading\n");
	return -EOPNOTSUPP;
}

void apf_hook_uninit(void)
{
}

#endif
