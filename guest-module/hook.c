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
 * The two go in one after the other; between them APF is off everywhere (see cpu.c), so nobody can
 * be put to sleep by the one and waited for by the other.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kvm_para.h>

#include "compat.h"
#include "guest.h"

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS

struct hook {
	struct ftrace_ops ops;
	void (*from)(u32 token);
	void (*to)(u32 token);
	const char *name;
};

static void notrace hook_enter(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			       struct ftrace_regs *fregs)
{
	struct hook *h = container_of(ops, struct hook, ops);

	apf_ftrace_redirect(fregs, h->to);
}

#define HOOK(orig, handler)                                                                        \
	{                                                                                          \
		.ops = {                                                                           \
			.func = hook_enter,                                                        \
			.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,                 \
		},                                                                                 \
		.from = orig, .to = handler, .name = #orig                                         \
	}

static struct hook hooks[] = {
	HOOK(kvm_async_pf_task_wait_schedule, apf_guest_wait_schedule),
	HOOK(kvm_async_pf_task_wake, apf_guest_task_wake),
};

static void hook_del(struct hook *h)
{
	WARN_ON(unregister_ftrace_function(&h->ops));
	ftrace_free_filter(&h->ops);
}

static int hook_add(struct hook *h)
{
	int ret;

	ret = ftrace_set_filter_ip(&h->ops, (unsigned long)h->from, 0, 0);
	if (ret) {
		pr_err("%s cannot be traced (%d), not loading\n", h->name, ret);
		return ret;
	}
	ret = register_ftrace_function(&h->ops);
	if (ret) {
		pr_err("no ftrace with registers for %s (%d%s), not loading\n", h->name, ret,
		       ret == -EBUSY ? ": live-patched, or ftrace is disabled" : "");
		ftrace_free_filter(&h->ops);
	}
	return ret;
}

int apf_hook_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		ret = hook_add(&hooks[i]);
		if (ret)
			goto err_hook;
	}
	return 0;

err_hook:
	while (i--)
		hook_del(&hooks[i]);
	return ret;
}

/* Returns when no task is in a trampoline any more; one may still be in ours. */
void apf_hook_uninit(void)
{
	unsigned int i = ARRAY_SIZE(hooks);

	while (i--)
		hook_del(&hooks[i]);
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
