/* SPDX-License-Identifier: GPL-2.0 */
/* All differences between the supported kernels, 6.1 to 7.3. */
#ifndef APF_GUEST_COMPAT_H
#define APF_GUEST_COMPAT_H

#include <linux/ftrace.h>
#include <linux/lockdep.h>
#include <linux/syscore_ops.h>
#include <linux/timer.h>
#include <linux/version.h>

#include <asm/apic.h>
#ifdef APF_CPUID_API
#include <asm/cpuid/api.h>
#endif
#include <asm/hardirq.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <asm/processor.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "apf_guest needs Linux 6.1 or newer"
#endif

/* timer_delete_sync() was added in 6.2, del_timer_sync() was removed in 6.15. */
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

/*
 * For code that PREEMPT_RT does not run: lockdep (PROVE_RAW_LOCK_NESTING) checks every kernel as if
 * it had PREEMPT_RT, and accepts between begin and end the spinlocks that a hard interrupt may not
 * take there. Older kernels have no such annotation; their lockdep reports the first such lock.
 */
#ifdef DEFINE_WAIT_OVERRIDE_MAP
#define APF_NOT_ON_RT_MAP(name)	   static DEFINE_WAIT_OVERRIDE_MAP(name, LD_WAIT_CONFIG)
#define apf_not_on_rt_begin(map)   lock_map_acquire_try(map)
#define apf_not_on_rt_end(map)	   lock_map_release(map)
#else
#define APF_NOT_ON_RT_MAP(name)	   static struct lockdep_map name __maybe_unused
#define apf_not_on_rt_begin(map)   do { } while (0)
#define apf_not_on_rt_end(map)	   do { } while (0)
#endif

/*
 * The first actions of the kernel's own handler. Modules cannot use the static call of apic_eoi();
 * the pointer apic->eoi is the same function.
 */
#ifdef APF_HOOK_INTERRUPT
static inline void apf_interrupt_begin(void)
{
	apic->eoi();
#ifdef APF_IRQ_COUNTS
	inc_irq_stat(HYPERVISOR_CALLBACK);
#else
	inc_irq_stat(irq_hv_callback_count);
#endif
}
#endif

/* Kbuild checks which of the two the kernel has. */
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

/* Renamed in 6.3. On x86-64 this works without FTRACE_OPS_FL_SAVE_REGS, as live patches use it. */
static inline void apf_ftrace_redirect(struct ftrace_regs *fregs, void *to)
{
#ifdef ftrace_regs_set_instruction_pointer
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)to);
#else
	ftrace_instruction_pointer_set(fregs, (unsigned long)to);
#endif
}

#endif
