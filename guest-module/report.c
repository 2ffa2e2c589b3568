// SPDX-License-Identifier: GPL-2.0
/*
 * The report block: the only way by which the host gets figures. Layout in uapi/apf_guest.h.
 *
 * Location: MSR_KVM_ASYNC_PF_EN contains the guest-physical address of the CPU's APF data area, a
 * static per-CPU variable of the kernel, which is not exported. Per-CPU memory may be mapped in
 * vmalloc space, but it always consists of pages of RAM, and all RAM is in the kernel's direct map:
 * phys_to_virt() returns a second mapping of the same page, with the same memory type. The area has
 * 64 bytes and is aligned to 64, so it is within one page. In encrypted guests the page would also
 * have to be shared in the direct map; the module does not load there.
 *
 * Writer: only the CPU itself, with interrupts off. So each block has one writer, and the sequence
 * count needs no lock. The kernel and the host write only the 8 bytes before the block.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kvm_para.h>
#include <linux/string.h>

#include <asm/barrier.h>

#include "guest.h"

static_assert(offsetof(struct kvm_vcpu_pv_apf_data, pad) == APF_GUEST_REPORT_OFFSET);
static_assert(sizeof_field(struct kvm_vcpu_pv_apf_data, pad) == APF_GUEST_REPORT_SIZE);

/* The block of this CPU; NULL if the address of the area is not ordinary memory. */
static struct apf_guest_report *apf_report_here(void)
{
	struct kvm_vcpu_pv_apf_data *area = this_cpu_read(apf_vcpu.area);

	return area ? (struct apf_guest_report *)area->pad : NULL;
}

/* Called before the load changes anything. On the CPU itself. */
int apf_report_check(void)
{
	struct apf_guest_report *r = apf_report_here();

	if (!r) {
		pr_err("CPU %d: the APF data area is not in memory, not loading\n",
		       raw_smp_processor_id());
		return -EFAULT;
	}
	if (memchr_inv(r, 0, sizeof(*r))) {
		pr_err("CPU %d: somebody uses the padding of the APF data area, not loading\n",
		       raw_smp_processor_id());
		return -EBUSY;
	}
	return 0;
}

/* This and all functions below: on the CPU itself, interrupts off. */
void apf_report_attach(void)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	struct apf_guest_report *r;

	if (v->report)
		return;
	r = apf_report_here();
	/* Possible on a CPU that was offline during the load; then it has no report. */
	if (!r || memchr_inv(r, 0, sizeof(*r)))
		return;
	v->report = r;
	apf_report_update();
}

void apf_report_detach(void)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	struct apf_guest_report *r = v->report;

	if (!r)
		return;
	v->report = NULL;
	/* Without magic there is no report: clear it first, write it last. */
	WRITE_ONCE(r->magic, 0);
	virt_wmb();
	memset(r, 0, sizeof(*r));
}

/*
 * For the usual path, after a fault that sleeps or a wake that found its sleeper: only these
 * figures can have changed since the last update of the block by this CPU. Any CPU may count the
 * end of a wait, so @sleepers is computed again.
 */
void apf_report_update_usual(void)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	struct apf_guest_report *r = v->report;
	u32 wakes, rescues, sleepers;

	if (!r)
		return;
	wakes = atomic_read(&v->core.wakes);
	rescues = atomic_read(&v->core.rescues);
	sleepers = v->core.waits - wakes - rescues - atomic_read(&v->core.broadcasts);

	WRITE_ONCE(r->seq, ++v->seq);
	virt_wmb();
	WRITE_ONCE(r->sleepers, sleepers);
	WRITE_ONCE(r->rescues, rescues);
	if (!sleepers)
		WRITE_ONCE(r->oldest_sleeper_ms, 0);
	WRITE_ONCE(r->waits, v->core.waits);
	WRITE_ONCE(r->wakes, wakes);
	virt_wmb();
	WRITE_ONCE(r->seq, ++v->seq);
}

void apf_report_update(void)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	struct apf_guest_report *r = v->report;
	struct apf_figures f;

	if (!r)
		return;
	apf_table_figures(&apf_table, smp_processor_id(), &f);

	WRITE_ONCE(r->seq, ++v->seq);
	virt_wmb();
	WRITE_ONCE(r->version, APF_GUEST_REPORT_VERSION);
	WRITE_ONCE(r->flags, f.pool_in_use ? APF_GUEST_REPORT_PAUSED : 0);
	WRITE_ONCE(r->pool_size, f.pool_size);
	WRITE_ONCE(r->pool_in_use, f.pool_in_use);
	WRITE_ONCE(r->pool_taken, f.pool_taken);
	WRITE_ONCE(r->pool_exhausted, f.pool_exhausted);
	WRITE_ONCE(r->sleepers, f.sleepers);
	WRITE_ONCE(r->early_wakes, f.early_wakes);
	WRITE_ONCE(r->rescues, f.rescues);
	WRITE_ONCE(r->unknown_tokens, f.unknown_tokens);
	WRITE_ONCE(r->oldest_sleeper_ms, jiffies_to_msecs(f.oldest));
	WRITE_ONCE(r->waits, f.waits);
	WRITE_ONCE(r->wakes, f.wakes);
	WRITE_ONCE(r->stuck, READ_ONCE(v->stuck));
	WRITE_ONCE(r->magic, APF_GUEST_REPORT_MAGIC);
	virt_wmb();
	WRITE_ONCE(r->seq, ++v->seq);
}
