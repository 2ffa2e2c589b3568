// SPDX-License-Identifier: GPL-2.0
/*
 * The page-ready slot of a CPU: the word by which the host says which page is there. Written here
 * as the host would write it:
 *
 *	stick	CPU number: an event for nobody, without its interrupt; the slot stays in use
 *	stray	CPU number: an event for nobody, with its interrupt
 *	offline	CPUs still to go offline with an event under way; read for how many are left
 *	slots	read for the word of each CPU, those offline left out
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpu.h>
#include <linux/io.h>
#include <linux/kvm_para.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/sysfs.h>

#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>

#include "test.h"

/* Once known, known: the kernel's memory for it stays. */
static DEFINE_PER_CPU(struct kvm_vcpu_pv_apf_data *, area);

/* Of this CPU, interrupts off; NULL if APF was never on. */
struct kvm_vcpu_pv_apf_data *test_area(void)
{
	u32 low, high;
	u64 msr;

	if (!this_cpu_read(area)) {
		/* Not by name: the macro for it has had two. */
		asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_KVM_ASYNC_PF_EN));
		msr = ((u64)high << 32 | low) & ~0x3fULL;
		if (msr)
			this_cpu_write(area, phys_to_virt(msr));
	}
	return this_cpu_read(area);
}

/*
 * As the host: only into a free slot. Between the two halves of the comparison no exit to the host
 * can come, so its own event does not get in between.
 */
bool test_post(u32 token)
{
	struct kvm_vcpu_pv_apf_data *a = test_area();

	return a && cmpxchg(&a->token, 0, token) == 0;
}

void test_interrupt(void)
{
	apic->send_IPI_self(HYPERVISOR_CALLBACK_VECTOR);
}

static bool with_interrupt = true;

struct post {
	bool interrupt;
	bool done;
};

static void post_here(void *info)
{
	struct post *p = info;

	p->done = test_post(test_token(VCPU_NOBODY));
	if (!p->done)
		return;
	if (p->interrupt)
		test_interrupt();
	else
		pr_info("CPU %d: its page-ready slot is in use for good\n", smp_processor_id());
}

static int post_set(const char *val, const struct kernel_param *kp)
{
	struct post p = { .interrupt = kp->arg };
	unsigned int cpu, i;
	int ret = kstrtouint(val, 0, &cpu);

	if (ret)
		return ret;
	/* The slot is in use for moments only, but under load for many of them. */
	for (i = 0; i < 100000 && !ret && !p.done; i++)
		ret = smp_call_function_single(cpu, post_here, &p, 1);
	if (ret)
		return ret;
	return p.done ? 0 : -EBUSY;
}

static const struct kernel_param_ops post_ops = { .set = post_set };
module_param_cb(stick, &post_ops, NULL, 0200);
MODULE_PARM_DESC(stick, "CPU whose page-ready slot is to stay in use");
module_param_cb(stray, &post_ops, &with_interrupt, 0200);
MODULE_PARM_DESC(stray, "CPU to which a page-ready event for nobody is to come");

static atomic_t offline_left;
static struct kprobe offline_probe;

/*
 * The kernel is about to switch APF off on a CPU that goes offline. Interrupts are off: the event
 * comes when that is done, and then the kernel's handler does not clear the slot.
 */
static int offline_enter(struct kprobe *p, struct pt_regs *regs)
{
	if (!test_spoil(&offline_left))
		return 0;
	test_post(test_token(VCPU_NOBODY));
	test_interrupt();
	return 0;
}

static int offline_set(const char *val, const struct kernel_param *kp)
{
	unsigned int n;
	int ret = kstrtouint(val, 0, &n);

	if (ret)
		return ret;
	atomic_set(&offline_left, n);
	return test_probe(&offline_probe, "kvm_guest_cpu_offline", offline_enter, NULL);
}

static int offline_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%d\n", atomic_read(&offline_left));
}

static const struct kernel_param_ops offline_ops = { .set = offline_set, .get = offline_get };
module_param_cb(offline, &offline_ops, NULL, 0600);
MODULE_PARM_DESC(offline, "CPUs still to go offline with a page-ready event under way");

static void slot_here(void *info)
{
	struct kvm_vcpu_pv_apf_data *a = test_area();

	*(u32 *)info = a ? READ_ONCE(a->token) : 0;
}

static int slots_get(char *buf, const struct kernel_param *kp)
{
	unsigned int cpu;
	int at = 0;
	u32 token;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		smp_call_function_single(cpu, slot_here, &token, 1);
		at += sysfs_emit_at(buf, at, "%#x ", token);
	}
	cpus_read_unlock();
	return at + sysfs_emit_at(buf, at, "\n");
}

static const struct kernel_param_ops slots_ops = { .get = slots_get };
module_param_cb(slots, &slots_ops, NULL, 0400);
MODULE_PARM_DESC(slots, "the page-ready slot of each CPU that is online");

void test_slot_uninit(void)
{
	test_unprobe(&offline_probe);
}
