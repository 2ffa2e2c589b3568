// SPDX-License-Identifier: GPL-2.0
/*
 * The two functions of the kernel that the module replaces:
 *
 *	kvm_async_pf_task_wait_schedule()	a task must sleep for a page
 *	kvm_async_pf_task_wake()		the page is ready
 *
 * Since 6.18 the second function is static and inlined into the interrupt handler. There the module
 * replaces the whole body of the handler, __sysvec_kvm_asyncpf_interrupt(); see slot.c.
 *
 * All of these are ordinary traceable functions (not noinstr): their callers are inside
 * instrumentation_begin()/_end(), with RCU watching. The ftrace callback at their entry sets the
 * saved instruction pointer to our function and does not change arguments or return address. The
 * trampoline saves only the registers with arguments, which is enough for live patching, too;
 * saving all registers (FTRACE_OPS_FL_SAVE_REGS) would take longer.
 *
 * No FTRACE_OPS_FL_RECURSION: its guard skips the callback if it detects a recursion, and with a
 * skipped redirect a task would sleep in the wrong table. The callback calls no traced function.
 * FTRACE_OPS_FL_PERMANENT: for the same reason, ftrace_enabled cannot be set to 0 while the hooks
 * are in place.
 *
 * The two hooks are not placed at the same instant. Meanwhile APF is off on all CPUs (see
 * switch.c), so that no task sleeps in one table while its wake is delivered to the other.
 *
 * The addresses are from register_kprobe(), which finds every function: not all of these functions
 * are exported, and since 6.18 none of them is exported to this module. The addresses are not used
 * for calls.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kprobes.h>

#include "compat.h"
#include "guest.h"

#if defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS) && defined(CONFIG_KPROBES)

/* The ftrace entry of a function may be behind an ENDBR instruction. */
#define APF_ENTRY_MAX 16

static struct {
	const char *name;
	void *to;
	unsigned long from;
} apf_hook[] = {
	{ "kvm_async_pf_task_wait_schedule", apf_guest_wait, 0 },
#ifdef APF_HOOK_INTERRUPT
	{ "__sysvec_kvm_asyncpf_interrupt", apf_guest_interrupt, 0 },
#else
	{ "kvm_async_pf_task_wake", apf_guest_wake, 0 },
#endif
};

/*
 * One ftrace_ops for both: when the kernel removes an ftrace_ops, it waits until all tasks have
 * left the trampoline; so it waits only once.
 */
static void notrace apf_hook_enter(unsigned long ip, unsigned long parent_ip,
				   struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	if (ip - apf_hook[0].from < APF_ENTRY_MAX)
		apf_ftrace_redirect(fregs, apf_hook[0].to);
	else
		apf_ftrace_redirect(fregs, apf_hook[1].to);
}

static struct ftrace_ops apf_hook_ops = {
	.func = apf_hook_enter,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT,
};

static int apf_hook_find(const char *name, unsigned long *ret_at)
{
	/* Disabled, because only the address is needed. */
	struct kprobe kp = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
	int ret = register_kprobe(&kp);

	if (ret)
		return ret;
	*ret_at = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
	return 0;
}

int apf_hook_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(apf_hook); i++) {
		ret = apf_hook_find(apf_hook[i].name, &apf_hook[i].from);
		if (ret) {
			pr_err("this kernel has no function %s (%d), not loading\n",
			       apf_hook[i].name, ret);
			goto err_filter;
		}
		ret = ftrace_set_filter_ip(&apf_hook_ops, apf_hook[i].from, 0, 0);
		if (ret) {
			pr_err("%s cannot be traced (%d), not loading\n", apf_hook[i].name, ret);
			goto err_filter;
		}
	}
	ret = register_ftrace_function(&apf_hook_ops);
	if (ret) {
		pr_err("no ftrace with registers for %s and %s (%d%s), not loading\n",
		       apf_hook[0].name, apf_hook[1].name, ret,
		       ret == -EBUSY ? ": live-patched, or ftrace is disabled" : "");
		goto err_filter;
	}
	return 0;

err_filter:
	ftrace_free_filter(&apf_hook_ops);
	return ret;
}

/*
 * Returns 0 when no task is in a trampoline any more; tasks may still be in our functions. On an
 * error the hooks are still in place.
 */
int apf_hook_uninit(void)
{
	int ret = unregister_ftrace_function(&apf_hook_ops);

	if (!ret)
		ftrace_free_filter(&apf_hook_ops);
	return ret;
}

#else

int apf_hook_init(void)
{
	pr_err("this kernel has no ftrace with registers or no kprobes, not loading\n");
	return -EOPNOTSUPP;
}

int apf_hook_uninit(void)
{
	return 0;
}

#endif
