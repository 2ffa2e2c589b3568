// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's data about the guest of a vCPU: the requested APF mode, the mode of the CPU,
 * the offered features, and the report block in guest memory. This file only reads
 * these data.
 *
 * Of vcpu->arch.apf only msr_en_val is used, because the other fields differ between
 * kernel releases.
 */
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/asm/kvm_para.h>

#include <uapi/apf_host.h>

#include "guest.h"
#include "symbol.h"

/**
 * apf_host_guest_apf() - the APF mode that the guest has requested from KVM
 * @vcpu: the vCPU, running or not
 *
 * KVM delivers events only if the guest has enabled delivery by interrupt
 * (KVM_ASYNC_PF_DELIVERY_AS_INT).
 *
 * Return: &enum apf_guest_apf.
 */
u32 apf_host_guest_apf(struct kvm_vcpu *vcpu)
{
	const u64 wanted = KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT;
	u64 msr = READ_ONCE(vcpu->arch.apf.msr_en_val);

	if ((msr & wanted) != wanted)
		return APF_GUEST_APF_OFF;
	return msr & KVM_ASYNC_PF_SEND_ALWAYS ? APF_GUEST_APF_ALWAYS : APF_GUEST_APF_USER;
}

/* Whether the vCPU runs a nested guest. Context: the vCPU's thread. */
bool apf_host_guest_nested(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.hflags & HF_GUEST_MASK;
}

/**
 * apf_host_guest_deliverable() - can KVM deliver "page not present" now?
 * @vcpu: the vCPU
 *
 * KVM's own check uses the privilege level, but KVM does not export that function.
 * Instead use the sign of the instruction pointer: in long mode, kernel addresses are
 * negative. Firmware that the guest's kernel calls runs at low addresses and looks like
 * user mode; then KVM's own check follows and KVM halts the vCPU. If the mode is not
 * known, the answer is "no".
 *
 * Context: the vCPU's thread, with the vCPU loaded.
 */
bool apf_host_guest_deliverable(struct kvm_vcpu *vcpu)
{
	switch (apf_host_guest_apf(vcpu)) {
	case APF_GUEST_APF_OFF:
		return false;
	case APF_GUEST_APF_ALWAYS:
		return !apf_host_guest_nested(vcpu);
	default:
		return !apf_host_guest_nested(vcpu) && (vcpu->arch.efer & EFER_LMA) &&
		       apf_host_rip_known() && (long)apf_host_linear_rip(vcpu) >= 0;
	}
}

/**
 * apf_host_guest_features() - the KVM features that the vCPU's CPUID offers
 * @vcpu: the vCPU; after its first run, KVM does not allow changes of its CPUID
 *
 * KVM's leaves start at the leaf with KVM's signature, which is higher than usual if
 * the VM also has the leaves of Hyper-V. KVM stores no pointer to these leaves, so
 * search for the signature, as the guest does.
 *
 * Context: the vCPU's thread, which holds the vCPU's mutex, so the entries stay valid.
 * Return: KVM_FEATURE_* by bit, 0 if CPUID offers no KVM features.
 */
u32 apf_host_guest_features(struct kvm_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *entries = vcpu->arch.cpuid_entries;
	int i, n = vcpu->arch.cpuid_nent;
	u32 leaf = 0;

	for (i = 0; i < n && !leaf; i++) {
		u32 signature[3] = { entries[i].ebx, entries[i].ecx, entries[i].edx };

		if ((entries[i].function & 0xffff00ff) == KVM_CPUID_SIGNATURE &&
		    !memcmp(signature, KVM_SIGNATURE, sizeof(signature)))
			leaf = entries[i].function + (KVM_CPUID_FEATURES - KVM_CPUID_SIGNATURE);
	}
	for (i = 0; i < n && leaf; i++)
		if (entries[i].function == leaf)
			return entries[i].eax;
	return 0;
}

/**
 * apf_host_guest_read_report() - copy the report block out of guest memory
 * @vcpu: the vCPU
 * @ret_raw: the block; unchecked input from the guest
 *
 * The enable bit is ignored, because the guest clears it while an emergency node is in
 * use. Does not read in a page that is not in memory: the guest has not written to this
 * page since it was swapped out, and waiting here could take for ever.
 *
 * Context: any but NMI, on the VM's mm (the vCPU's thread, or a kthread that
 * uses it), in a read section of kvm->srcu, which KVM_RUN holds in all code
 * that the module hooks.
 * Return: 0; -ENOENT if the guest has not given KVM an area; -EFAULT if the area is
 * not in memory now.
 */
int apf_host_guest_read_report(struct kvm_vcpu *vcpu, struct apf_guest_report *ret_raw)
{
	/* The area has 64 bytes and is aligned to 64, so the block is within one page. */
	gpa_t area = READ_ONCE(vcpu->arch.apf.msr_en_val) & ~(u64)0x3f;
	gpa_t gpa = area + APF_GUEST_REPORT_OFFSET;
	const struct kvm_memory_slot *slot;
	unsigned long hva;

	if (!area)
		return -ENOENT;
	slot = __gfn_to_memslot(kvm_vcpu_memslots(vcpu), gpa_to_gfn(gpa));
	if (!slot || slot->flags & KVM_MEMSLOT_INVALID)
		return -EFAULT;
	hva = __gfn_to_hva_memslot(slot, gpa_to_gfn(gpa)) + offset_in_page(gpa);
	if (copy_from_user_nofault(ret_raw, (const void __user *)hva, sizeof(*ret_raw)))
		return -EFAULT;
	return 0;
}

/**
 * apf_host_guest_read_report_running() - as apf_host_guest_read_report(), while the vCPU may run
 * @vcpu: the vCPU
 * @ret_raw: the block; unchecked input from the guest
 *
 * The guest may be writing, so only two equal copies are consistent.
 *
 * Context: as apf_host_guest_read_report(), but outside of the vCPU's thread.
 * Return: as apf_host_guest_read_report(); -EAGAIN if the block changed each time.
 */
int apf_host_guest_read_report_running(struct kvm_vcpu *vcpu, struct apf_guest_report *ret_raw)
{
	struct apf_guest_report again;
	int i, ret;

	for (i = 0; i < 3; i++) {
		ret = apf_host_guest_read_report(vcpu, ret_raw);
		smp_rmb();
		ret = ret ?: apf_host_guest_read_report(vcpu, &again);
		if (ret || !memcmp(ret_raw, &again, sizeof(again)))
			return ret;
	}
	return -EAGAIN;
}
