/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The report block of a hostile guest, and the CPUID of a hostile VMM, as apf_host reads them: the
 * module's own report.c and guest.c, with stand-ins for the kernel (kernel/). The guest writes
 * between any two words that are copied, so a block changes while it is read.
 *
 * The input is a list of steps, a byte each with what it needs after it.
 */
#include <stdlib.h>

#include "../../host-module/guest.h"
#include "../../host-module/report.h"
#include "../../host-module/symbol.h"

#define PAGES	 2
#define AREA_GPA 0x10fc0 /* the last 64 bytes of the first page */
#define SLOT_GFN 0x10
#define ENTRIES	 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input that is left, the guest's memory, and the host's clock. */
static struct {
	const uint8_t *data;
	size_t size;
	_Alignas(4096) unsigned char memory[PAGES * 4096];
	unsigned int writes; /* how often the guest writes while it is read */
	bool absent;	     /* swapped out */
	u64 now_nsec, rip;
	unsigned char copies[2][APF_GUEST_REPORT_SIZE]; /* the last two, newest first */
	unsigned int n_copies;
} w;

void fuzz_check(int condition)
{
	if (!condition)
		abort();
}

static uint8_t next(void)
{
	return w.size ? w.size--, *w.data++ : 0;
}

static void next_bytes(void *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)to)[i] = next();
}

u64 ktime_get_ns(void)
{
	return w.now_nsec;
}

bool apf_host_rip_known(void)
{
	return true;
}

unsigned long apf_host_linear_rip(struct kvm_vcpu *vcpu)
{
	return w.rip;
}

static unsigned char *area(void)
{
	return w.memory + (AREA_GPA & 4095);
}

/* As the kernel copies: by words, and the guest's other vCPUs run meanwhile. */
long copy_from_user_nofault(void *to, const void *from, size_t size)
{
	size_t offset = (size_t)((const unsigned char *)from - w.memory);

	/* The padding of one area, not a byte beside it, whatever the guest says of its place. */
	fuzz_check(offset < sizeof(w.memory) && offset % 64 == APF_GUEST_REPORT_OFFSET &&
		   size == APF_GUEST_REPORT_SIZE);
	if (w.absent)
		return -EFAULT;
	for (size_t i = 0; i < size; i += 8) {
		memcpy((unsigned char *)to + i, w.memory + offset + i, 8);
		if (w.writes) {
			w.writes--;
			w.memory[offset + next() % APF_GUEST_REPORT_SIZE] = next();
		}
	}
	memcpy(w.copies[1], w.copies[0], size);
	memcpy(w.copies[0], to, size);
	w.n_copies++;
	return 0;
}

/* Whatever was read: what is kept is possible, and closes a gate only if it says that it does. */
static void check_report(struct apf_host_report *r)
{
	u32 value[__APF_GUEST_A_MAX], events[APF_HOST_REPORT_EVENTS];
	bool present = apf_host_report_get(r, value);
	int n;

	fuzz_check(!r->lock.taken);
	fuzz_check(r->paused == (present && value[APF_GUEST_A_POOL_IN_USE]));
	if (present) {
		fuzz_check(value[APF_GUEST_A_POOL_SIZE] >= 1);
		fuzz_check(value[APF_GUEST_A_POOL_SIZE] <= APF_GUEST_POOL_MAX);
		fuzz_check(value[APF_GUEST_A_POOL_IN_USE] <= value[APF_GUEST_A_POOL_SIZE]);
		fuzz_check(value[APF_GUEST_A_SLEEPERS] <= 4 << 20);
	}
	n = apf_host_report_events(r, events, value);
	fuzz_check(n >= 0 && n <= APF_HOST_REPORT_EVENTS);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			fuzz_check(events[i] != events[j]);
	/* What was sent is not sent again. */
	fuzz_check(apf_host_report_events(r, events, value) == 0);
}

static void scan(struct kvm_vcpu *vcpu, struct apf_host_report *r, bool running)
{
	struct apf_guest_report *raw = malloc(sizeof(*raw));
	u64 bad = r->bad.counter;
	int ret;

	if (!raw)
		return;
	w.n_copies = 0;
	if (running) {
		ret = apf_host_guest_read_report_running(vcpu, raw);
		/* Two copies of a block that kept still in between. */
		fuzz_check(ret || (w.n_copies >= 2 && !memcmp(raw, w.copies[0], sizeof(*raw)) &&
				   !memcmp(raw, w.copies[1], sizeof(*raw))));
		fuzz_check(w.n_copies <= 6);
	} else {
		ret = apf_host_guest_read_report(vcpu, raw);
		fuzz_check(w.n_copies == (ret == 0));
	}
	if (ret == 0)
		apf_host_report_found(r, raw, w.now_nsec);
	else if (ret == -ENOENT)
		apf_host_report_none(r, w.now_nsec);
	else
		fuzz_check(ret == -EFAULT || ret == -EAGAIN);
	fuzz_check(r->bad.counter == bad || (ret == 0 && r->bad.counter == bad + 1));
	check_report(r);
	free(raw);
}

/* Of just the size that is used, so that a look past the end is noticed. */
static void cpuid(struct kvm_vcpu *vcpu)
{
	size_t n = next() % (ENTRIES + 1);
	struct kvm_cpuid_entry2 *entries = calloc(n ?: 1, sizeof(*entries));

	if (!entries)
		return;
	for (size_t i = 0; i < n; i++) {
		next_bytes(&entries[i].function, 4);
		if (next() & 1)
			entries[i].function = 0x40000000U | (next() & 1) | (u32)(next() & 3) << 8;
		next_bytes(&entries[i].eax, 4);
		/* KVM's signature, more often than chance has it */
		if (next() & 1) {
			memcpy(&entries[i].ebx, "KVMK", 4);
			memcpy(&entries[i].ecx, "VMKV", 4);
			memcpy(&entries[i].edx, "M\0\0\0", 4);
		}
	}
	vcpu->arch.cpuid_entries = entries;
	vcpu->arch.cpuid_nent = (int)n;
	if (n == 0)
		fuzz_check(apf_host_guest_features(vcpu) == 0);
	else
		(void)apf_host_guest_features(vcpu);
	vcpu->arch.cpuid_entries = NULL;
	vcpu->arch.cpuid_nent = 0;
	free(entries);
}

static void step(struct kvm_vcpu *vcpu, struct apf_host_report *r)
{
	u64 now_nsec = w.now_nsec;

	switch (next() % 10) {
	case 0: /* a whole block */
		next_bytes(area() + APF_GUEST_REPORT_OFFSET, APF_GUEST_REPORT_SIZE);
		break;
	case 1: /* one field */
		next_bytes(area() + APF_GUEST_REPORT_OFFSET + next() % 14 * 4, 4);
		break;
	case 2: /* the guest enables APF, or moves its area to nowhere */
		next_bytes(&vcpu->arch.apf.msr_en_val, 8);
		break;
	case 3:
		vcpu->arch.apf.msr_en_val = AREA_GPA | (next() & 0xf);
		break;
	case 4: /* memory comes and goes */
		w.absent = next() & 1;
		vcpu->slots->slot.flags = next() & 1 ? KVM_MEMSLOT_INVALID : 0;
		vcpu->slots->slot.npages = next() % (PAGES + 1);
		break;
	case 5: /* a scan may be late: time of another CPU */
		now_nsec = w.now_nsec;
		w.now_nsec = next() & 1 ? now_nsec + (u64)next() * NSEC_PER_MSEC * 100
					: now_nsec / 2;
		break;
	case 6:
		w.writes = next() & 63;
		scan(vcpu, r, true);
		break;
	case 7:
		w.writes = next() & 7;
		scan(vcpu, r, false);
		break;
	case 8:
		cpuid(vcpu);
		break;
	case 9:
		next_bytes(&vcpu->arch.efer, 8);
		next_bytes(&w.rip, 8);
		vcpu->arch.hflags = next();
		/* Nothing is deliverable to a guest that did not ask or runs a nested guest. */
		if (apf_host_guest_apf(vcpu) == APF_GUEST_APF_OFF || apf_host_guest_nested(vcpu))
			fuzz_check(!apf_host_guest_deliverable(vcpu));
		else
			(void)apf_host_guest_deliverable(vcpu);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kvm_memslots slots = {};
	struct kvm_vcpu vcpu = { .slots = &slots };
	struct apf_host_report r;

	memset(&w, 0, sizeof(w));
	w.data = data;
	w.size = size;
	w.now_nsec = 1;
	slots.slot.base_gfn = SLOT_GFN;
	slots.slot.npages = PAGES;
	slots.slot.userspace_addr = (unsigned long)w.memory;
	vcpu.arch.apf.msr_en_val = AREA_GPA | 1;
	apf_host_report_init(&r);
	while (w.size)
		step(&vcpu, &r);
	check_report(&r);
	return 0;
}
