/* SPDX-License-Identifier: GPL-2.0 */
/* Every difference between the kernels this module builds for; 6.1 and 6.12 are the tested ones. */
#ifndef APF_GUEST_COMPAT_H
#define APF_GUEST_COMPAT_H

#include <linux/ftrace.h>
#include <linux/syscore_ops.h>
#include <linux/timer.h>
#include <linux/version.h>

#include <asm/msr.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "apf_guest needs Linux 6.1 or newer"
#endif

/* timer_delete_sync() came with 6.2, del_timer_sync() went with 6.15. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define apf_timer_delete_sync(timer) timer_delete_sync(timer)
#else
#define apf_timer_delete_sync(timer) del_timer_sync(timer)
#endif

/* The MSR accessors were renamed in 6.16. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define apf_rdmsr(msr, val)	   rdmsrq(msr, val)
#define apf_rdmsr_safe(msr, p)	   rdmsrq_safe(msr, p)
#define apf_wrmsr(msr, val)	   wrmsrq(msr, val)
#define apf_rdmsr_on_cpu(c, m, p)  rdmsrq_safe_on_cpu(c, m, p)
#else
#define apf_rdmsr(msr, val)	   rdmsrl(msr, val)
#define apf_rdmsr_safe(msr, p)	   rdmsrl_safe(msr, p)
#define apf_wrmsr(msr, val)	   wrmsrl(msr, val)
#define apf_rdmsr_on_cpu(c, m, p)  rdmsrl_safe_on_cpu(c, m, p)
#endif

/* Kbuild looks which of the two the kernel has. */
#ifdef APF_SYSCORE_DATA
#define APF_SYSCORE_ARG void *data
#define APF_SYSCORE_OPS(name, down, up)								   \
	const struct syscore_ops name##_calls = { .suspend = (down), .resume = (up) };		   \
	static struct syscore name = { .ops = &name##_calls }
#define apf_syscore_register(s)	   register_syscore(s)
#define apf_syscore_unregister(s)  unregister_syscore(s)
#else
#define APF_SYSCORE_ARG void
#define APF_SYSCORE_OPS(name, down, up)								   \
	struct syscore_ops name = { .suspend = (down), .resume = (up) }
#define apf_syscore_register(s)	   register_syscore_ops(s)
#define apf_syscore_unregister(s)  unregister_syscore_ops(s)
#endif

/* Renamed in 6.3. On x86-64 it works without FTRACE_OPS_FL_SAVE_REGS, as for live patches. */
static inline void apf_ftrace_redirect(struct ftrace_regs *fregs, void *to)
{
#ifdef ftrace_regs_set_instruction_pointer
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)to);
#else
	ftrace_instruction_pointer_set(fregs, (unsigned long)to);
#endif
}

#endif
