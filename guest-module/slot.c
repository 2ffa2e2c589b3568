// SPDX-License-Identifier: GPL-2.0
/*
 * The page-ready slot of a CPU: the word "token" in its APF data area, in which KVM stores the
 * token of a page that is ready. KVM writes the word and sends an interrupt; the guest reads the
 * word, clears it, and writes MSR_KVM_ASYNC_PF_ACK. KVM posts the next event only while the word is
 * 0, and never sends an interrupt twice.
 *
 * Therefore, if one interrupt is lost, the word stays as it is, and no further wake arrives on that
 * CPU: every fault sleeps until its rescue, and the host spins, because for KVM the vCPU has a
 * pending event. One known cause: a CPU goes offline while an event is being delivered. The
 * kernel has already switched APF off on the CPU when the interrupt arrives, and then its handler
 * neither clears the word nor acknowledges.
 *
 * Recovery: if the same token is in the word for a second, and the CPU had interrupts enabled
 * meanwhile, the interrupt was lost. Deliver the event, clear the word, acknowledge, count.
 *
 * Any CPU may read the word of any other CPU. The timer reads all of them, and no CPU is
 * interrupted while the words are 0 or change. The CPU itself does the recovery, in a worker: there
 * interrupts are enabled, so a pending interrupt is handled before the worker checks the word.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include <linux/timer.h>

#include <asm/irq_regs.h>

#include "compat.h"
#include "guest.h"

static struct timer_list apf_slot_timer;
static bool apf_slot_closed;

/* The interval between two scans, and the time after which an unchanged token is stuck. */
#define APF_SLOT_PERIOD (HZ / 2)
#define APF_SLOT_STUCK	HZ

/* Finds the area from a value of MSR_KVM_ASYNC_PF_EN; NULL if it is not in ordinary memory. */
struct kvm_vcpu_pv_apf_data *apf_slot_area(u64 msr)
{
	struct kvm_vcpu_pv_apf_data *area = phys_to_virt(msr & ~0x3fULL);

	return msr & ~0x3fULL && virt_addr_valid(area) ? area : NULL;
}

/*
 * On the CPU itself, with interrupts off; interrupts must have been enabled since @token was seen
 * in the slot. @deliver: deliver the event to our table. Returns whether the slot was stuck.
 */
bool apf_slot_free(u32 token, bool deliver)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);

	if (!token || !v->area || READ_ONCE(v->area->token) != token)
		return false;
	if (deliver)
		apf_table_wake(&apf_table, smp_processor_id(), token, jiffies);
	WRITE_ONCE(v->area->token, 0);
	apf_wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
	WRITE_ONCE(v->stuck, v->stuck + 1);
	apf_sleep_arm();
	apf_report_update();
	pr_warn_ratelimited("CPU %d: the interrupt for page-ready %#x was lost, the slot is free again\n",
			    smp_processor_id(), token);
	return true;
}

static void apf_slot_work(struct work_struct *work)
{
	struct apf_vcpu *v = container_of(work, struct apf_vcpu, slot_work);
	/*
	 * Read it while interrupts are enabled: the timer, on another CPU, may replace it by the
	 * token of a new event. The interrupt for this event was handled before the next line.
	 */
	u32 token = READ_ONCE(v->slot_token);
	unsigned long flags;

	local_irq_save(flags);
	/* If the CPU went offline, its work runs on another CPU; then do nothing. */
	if (v == this_cpu_ptr(&apf_vcpu))
		apf_slot_free(token, true);
	local_irq_restore(flags);
	WRITE_ONCE(v->slot_token, 0);
}

static void apf_slot_scan(struct timer_list *unused)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		struct apf_vcpu *v = per_cpu_ptr(&apf_vcpu, cpu);
		u32 token = v->area ? READ_ONCE(v->area->token) : 0;

		if (!token || token != READ_ONCE(v->slot_token)) {
			WRITE_ONCE(v->slot_token, token);
			v->slot_since = jiffies;
		} else if (time_after_eq(jiffies, v->slot_since + APF_SLOT_STUCK)) {
			queue_work_on(cpu, system_highpri_wq, &v->slot_work);
		}
	}
	if (!READ_ONCE(apf_slot_closed))
		mod_timer(&apf_slot_timer, jiffies + APF_SLOT_PERIOD);
}

void apf_slot_init(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		INIT_WORK(&per_cpu_ptr(&apf_vcpu, cpu)->slot_work, apf_slot_work);
	timer_setup(&apf_slot_timer, apf_slot_scan, 0);
}

/* Called when page-ready events start to arrive in our hook. */
void apf_slot_open(void)
{
	WRITE_ONCE(apf_slot_closed, false);
	mod_timer(&apf_slot_timer, jiffies + APF_SLOT_PERIOD);
}

void apf_slot_close(void)
{
	unsigned int cpu;

	WRITE_ONCE(apf_slot_closed, true);
	apf_timer_delete_sync(&apf_slot_timer);
	for_each_possible_cpu(cpu)
		cancel_work_sync(&per_cpu_ptr(&apf_vcpu, cpu)->slot_work);
}

#ifdef APF_HOOK_INTERRUPT
/*
 * Replaces __sysvec_kvm_asyncpf_interrupt(), whose callers have called irqentry_enter() and, if
 * necessary, switched to the interrupt stack. Does the same as the original, but also clears the
 * slot on a CPU on which the kernel has switched APF off.
 */
void apf_guest_interrupt(struct pt_regs *regs)
{
	struct pt_regs *old_regs = set_irq_regs(regs);
	struct kvm_vcpu_pv_apf_data *area = this_cpu_read(apf_vcpu.area);
	u64 msr;

	apf_interrupt_begin();
	if (unlikely(!area)) {
		/* The CPU is coming online: our callback has not run yet, the kernel's has. */
		apf_rdmsr(MSR_KVM_ASYNC_PF_EN, msr);
		area = apf_slot_area(msr);
	}
	if (likely(area)) {
		apf_guest_wake(READ_ONCE(area->token));
		WRITE_ONCE(area->token, 0);
		apf_wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
	}
	set_irq_regs(old_regs);
}
#endif
