// SPDX-License-Identifier: GPL-2.0
/*
 * The report block: the one path by which figures leave the guest. Layout in uapi/apf_guest.h.
 *
 * Where it is. MSR_KVM_ASYNC_PF_EN holds the guest-physical address of the CPU's APF data area, a
 * static per-CPU variable of the kernel which is not exported. Per-CPU memory may be mapped in
 * vmalloc space, but it always consists of pages of RAM, and all RAM is in the kernel's direct map:
 * phys_to_virt() gives a second mapping of the same page, of the same memory type. The area is
 * aligned to its 64 bytes, so it does not cross a page. Encrypted guests would need the page to be
 * shared in the direct map as well; the module does not load there.
 *
 * Who writes. Only the CPU itself, with interrupts off: there is one writer per block, and the
 * sequence count needs no lock. The kernel and the host write the 8 bytes in front of the block,
 * never in it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/string.h>

#include <asm/barrier.h>

#include "guest.h"

static_assert(offsetof(struct kvm_vcpu_pv_apf_data, pad) == APF_GUEST_REPORT_OFFSET);
static_assert(sizeof_field(struct kvm_vcpu_pv_apf_data, pad) == APF_GUEST_REPORT_SIZE);
static_assert((int)APF_GUEST_POOL_MAX == (int)APF_POOL_MAX);

/* The block behind the value of the register, or NULL if the address is not ordinary memory. */
static struct apf_guest_report *report_at(u64 msr)
{
	struct kvm_vcpu_pv_apf_data *area = phys_to_virt(msr & ~0x3fULL);

	if (!virt_addr_valid(area))
		return NULL;
	return (struct apf_guest_report *)area->pad;
}

/* Before the load changes anything. On the CPU itself. */
int apf_report_check(u64 msr)
{
	struct apf_guest_report *r = report_at(msr);

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

/* On the CPU itself, interrupts off, as all below. */
void apf_report_attach(u64 msr)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	struct apf_guest_report *r;

	/* By its address: a CPU may come online with its emergency node still in use. */
	if (v->report || !(msr & ~0x3fULL))
		return;
	r = report_at(msr);
	/* A CPU that came online after the load; the table works there without a report. */
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
	/* No magic, no report: first away, last to come. */
	WRITE_ONCE(r->magic, 0);
	virt_wmb();
	memset(r, 0, sizeof(*r));
}

/*
 * After a fault that went to sleep and a wake that found its sleeper, the usual path: only these
 * figures can have changed since this CPU last brought the block up to date. Their ends may be
 * counted on any CPU, so @sleepers is worked out anew.
 */
void apf_report_usual(void)
{
	struct apf_vcpu *v = this_cpu_ptr(&apf_vcpu);
	struct apf_guest_report *r = v->report;
	u32 wakes, rescues, sleepers;

	if (!r)
		return;
	wakes = apf_count_read(&v->core.wakes);
	rescues = apf_count_read(&v->core.rescues);
	sleepers = v->core.waits - wakes - rescues - apf_count_read(&v->core.broadcasts);

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
	WRITE_ONCE(r->magic, APF_GUEST_REPORT_MAGIC);
	virt_wmb();
	WRITE_ONCE(r->seq, ++v->seq);
}
