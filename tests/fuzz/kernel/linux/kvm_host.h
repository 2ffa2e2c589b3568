/* SPDX-License-Identifier: GPL-2.0 */
/* KVM's side of a vCPU, as far as guest.c of apf_host reads it; see kernel.h. */
#ifndef APF_FUZZ_KVM_HOST_H
#define APF_FUZZ_KVM_HOST_H

#include <linux/kernel.h>
#include <linux/kvm.h>

#define HF_GUEST_MASK	    (1 << 0)
#define EFER_LMA	    (1 << 10)
#define KVM_MEMSLOT_INVALID (1UL << 16)

typedef u64 gpa_t;
typedef u64 gfn_t;

struct file;

struct kvm_memory_slot {
	gfn_t base_gfn;
	unsigned long npages, userspace_addr;
	u32 flags;
};

struct kvm_memslots {
	struct kvm_memory_slot slot;
};

struct kvm_vcpu {
	struct kvm_memslots *slots;
	struct {
		struct {
			u64 msr_en_val;
		} apf;
		u32 hflags;
		u64 efer;
		struct kvm_cpuid_entry2 *cpuid_entries;
		int cpuid_nent;
	} arch;
};

static inline gfn_t gpa_to_gfn(gpa_t gpa)
{
	return gpa >> 12;
}

static inline struct kvm_memslots *kvm_vcpu_memslots(struct kvm_vcpu *vcpu)
{
	return vcpu->slots;
}

static inline struct kvm_memory_slot *__gfn_to_memslot(struct kvm_memslots *slots, gfn_t gfn)
{
	struct kvm_memory_slot *slot = &slots->slot;

	return gfn >= slot->base_gfn && gfn < slot->base_gfn + slot->npages ? slot : NULL;
}

static inline unsigned long __gfn_to_hva_memslot(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	return slot->userspace_addr + (gfn - slot->base_gfn) * 4096;
}

#endif
