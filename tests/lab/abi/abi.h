/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that speaks the interface of asynchronous page faults directly, as
 * Documentation/virt/kvm/x86/msr.rst of the kernel describes it, and its VMM: what both know.
 */
#ifndef ABI_H
#define ABI_H

#include <stdint.h>

/*
 * Guest physical addresses. The guest maps the first GiB as it is, and once more from KERNEL on,
 * where its code runs in ring 0, as that of other kernels does.
 */
#define KERNEL	   0xffffffff80000000
#define PML4	   0x1000
#define PDPT	   0x2000
#define PD	   0x3000
#define GDT	   0x4000
#define IDT	   0x5000
#define TSS	   0x6000
#define MAILBOX	   0x7000
#define SMM_COUNT  0x7ff0 /* these two are in the page of the mailbox, behind it */
#define KERNEL_SP  0x7fe0
#define STACK	   0x10000 /* these grow downwards */
#define USER_STACK 0x18000
#define TRAP_STACK 0x20000
#define SMBASE	   0x30000
#define CODE	   0x100000
#define LOW_SIZE   0x200000
#define DATA	   0x1000000
#define PAGE	   4096UL
/* Fewer than KVM has outstanding for one vCPU (ASYNC_PF_PER_VCPU, 64). */
#define PAGES	   48

#define CODE_SEL      0x08
#define DATA_SEL      0x10
#define USER_DATA_SEL 0x1b
#define USER_CODE_SEL 0x23
#define TSS_SEL	      0x28

#define PORT   0x10
#define SMIS   8
#define VECTOR 0x50 /* of page-ready */

/* What the guest asks of its VMM through PORT. */
enum request {
	REQ_PAGE_OUT = 1, /* the data is on swap when the guest goes on */
	REQ_PAUSE,	  /* long enough for any read from swap to complete */
	REQ_SMI,	  /* a system management interrupt */
	REQ_DONE,
	REQ_FAULT, /* a real fault, which the guest does not get over; see mailbox.fault */
};

enum scenario {
	NOT_ENABLED,
	SEND_ALWAYS,
	USER_ONLY_IN_KERNEL,
	USER_ONLY_IN_USER,
	INTERRUPTS_OFF,
	NO_ACK,
	AGAIN,
	DISABLE,
	SMI,
	BAD_MSR,
	SCENARIOS
};

struct mailbox {
	/* struct kvm_vcpu_pv_apf_data: at the start, because KVM wants it aligned to 64 bytes. */
	uint32_t flags;
	uint32_t token;
	uint8_t reserved[56];

	uint32_t scenario;
	uint32_t rounds;
	/* Of the handlers. */
	uint32_t skipped; /* the last touch found its page not present */
	uint32_t keep;	  /* do not acknowledge page-ready */
	uint32_t at;	  /* page that is touched */
	uint32_t outstanding;
	uint32_t tokens[PAGES]; /* of the page that is outstanding, else 0 */
	/* Results. */
	uint32_t not_present;
	uint32_t ready;
	uint32_t wake_all;
	uint32_t unknown;  /* page-ready with a token that is not outstanding */
	uint32_t spurious; /* page-ready without a token */
	uint32_t bad_data;
	uint32_t refused;  /* MSR writes that KVM answered with #GP */
	uint32_t wrong;	   /* line of guest.c whose expectation did not hold, 0: none */
	uint64_t fault[3]; /* error code, RIP, CR2 */
};

/* What a trap finds on its stack. */
struct frame {
	uint64_t ip, cs, flags, sp, ss;
};

/* The bounds of what is copied to CODE, from the linker, and its entries. */
extern const unsigned char __start_guest[], __stop_guest[];
void guest_main(void);
void guest_page_fault(struct frame *frame, uint64_t error);
void guest_protection(struct frame *frame, uint64_t error);
void guest_ready(struct frame *frame);
void guest_leave_user(void);

#endif
