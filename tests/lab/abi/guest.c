// SPDX-License-Identifier: GPL-2.0
/*
 * The guest: everything here is in one section, which the VMM copies to CODE. Nothing outside
 * of the section may be used, and no data of its own: all state is in the mailbox.
 */
#include "abi.h"

#define GUEST __attribute__((section("guest"), used, noinline))
#define INLINE static inline __attribute__((always_inline))
#define TRAP  __attribute__((section("guest"), used, interrupt))

#define MSR_APF_EN  0x4b564d02
#define MSR_APF_INT 0x4b564d06
#define MSR_APF_ACK 0x4b564d07
#define X2APIC_SVR  0x80f
#define X2APIC_EOI  0x80b

#define ENABLED	    1UL
#define ALWAYS	    2UL
#define AS_INT	    8UL
#define NOT_PRESENT 1
#define WAKE_ALL    (~0U)

#define M ((volatile struct mailbox *)MAILBOX)

/* The first expectation that does not hold is kept. */
#define EXPECT(what)                              \
	do {                                      \
		if (!(what) && !M->wrong)         \
			M->wrong = __LINE__;      \
	} while (0)

INLINE void ask(enum request what)
{
	asm volatile("outb %b0, %w1" : : "a"(what), "Nd"((uint16_t)PORT) : "memory");
}

/* The handler of #GP steps over the two bytes of the instruction. */
INLINE void write_msr(uint32_t msr, uint64_t value)
{
	uint32_t low = value, high = value >> 32;

	asm volatile("wrmsr" : : "c"(msr), "a"(low), "d"(high) : "memory");
}

INLINE void interrupts_off(void)
{
	asm volatile("cli" : : : "memory");
}

INLINE void interrupts_on(void)
{
	asm volatile("sti" : : : "memory");
}

INLINE void wait_for_interrupt(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
}

/* The handler of "not present" steps over the three bytes of the instruction. */
INLINE uint8_t read_byte(unsigned long address)
{
	uint32_t value;

	asm volatile(".byte 0x0f, 0xb6, 0x07" : "=a"(value) : "D"(address) : "memory");
	return value;
}

INLINE void switch_apf(uint64_t bits)
{
	write_msr(MSR_APF_EN, MAILBOX | bits);
}

INLINE void acknowledge(void)
{
	M->token = 0;
	write_msr(MSR_APF_ACK, 1);
}

INLINE void count_ready(uint32_t token)
{
	if (!token) {
		M->spurious++;
		return;
	}
	if (token == WAKE_ALL) {
		M->wake_all++;
		for (int i = 0; i < PAGES; i++)
			M->tokens[i] = 0;
		M->outstanding = 0;
		return;
	}
	for (int i = 0; i < PAGES; i++) {
		if (M->tokens[i] == token) {
			M->tokens[i] = 0;
			M->outstanding--;
			M->ready++;
			return;
		}
	}
	M->unknown++;
}

/* Volatile, or gcc drops what is written to a frame that it thinks nobody reads. */
INLINE void step_over(volatile struct frame *frame, int bytes)
{
	frame->ip += bytes;
}

TRAP void guest_page_fault(struct frame *frame, uint64_t error)
{
	uint64_t token;

	asm volatile("mov %%cr2, %0" : "=r"(token));
	if (!(M->flags & NOT_PRESENT)) {
		M->fault[0] = error;
		M->fault[1] = frame->ip;
		M->fault[2] = token;
		ask(REQ_FAULT);
	}
	M->flags = 0;
	M->not_present++;
	M->skipped = 1;
	EXPECT(!M->tokens[M->at]);
	M->tokens[M->at] = token;
	M->outstanding++;
	step_over(frame, 3);
}

TRAP void guest_protection(struct frame *frame, uint64_t error)
{
	if (*(const volatile uint16_t *)frame->ip != 0x300f) {
		M->fault[0] = error;
		M->fault[1] = frame->ip;
		ask(REQ_FAULT);
	}
	M->refused++;
	step_over(frame, 2);
}

TRAP void guest_ready(struct frame *frame)
{
	(void)frame;
	count_ready(M->token);
	if (!M->keep)
		acknowledge();
	write_msr(X2APIC_EOI, 0);
}

/* Page @i, if present; else it is outstanding. True if it was read. */
INLINE int touch(int i)
{
	uint8_t value;

	M->at = i;
	M->skipped = 0;
	value = read_byte(DATA + i * PAGE);
	if (M->skipped)
		return 0;
	if (value != (uint8_t)(i + 1))
		M->bad_data++;
	return 1;
}

GUEST static void touch_all(void)
{
	for (int i = 0; i < PAGES; i++)
		touch(i);
}

/* Everything that is outstanding becomes ready. With interrupts off. */
GUEST static void await_all(void)
{
	while (M->outstanding)
		wait_for_interrupt();
}

/* With nothing outstanding each page can be read, and says what it said before. */
GUEST static void read_all(void)
{
	for (int i = 0; i < PAGES; i++) {
		interrupts_on();
		while (!touch(i)) {
			interrupts_off();
			await_all();
			interrupts_on();
		}
		interrupts_off();
	}
}

/* All pages are asked for, one after the other, without a wait for any. */
GUEST static void ask_for_all(void)
{
	ask(REQ_PAGE_OUT);
	interrupts_on();
	touch_all();
	interrupts_off();
}

/* KVM announces each switch to on with a broadcast. */
GUEST static void enable(uint64_t bits)
{
	uint32_t before = M->wake_all;

	switch_apf(ENABLED | AS_INT | bits);
	while (M->wake_all == before)
		wait_for_interrupt();
	EXPECT(M->wake_all == before + 1);
}

GUEST static void pause_with_interrupts(void)
{
	interrupts_on();
	ask(REQ_PAUSE);
	interrupts_off();
}

GUEST static void send_always(void)
{
	enable(ALWAYS);
	for (uint32_t round = 0; round < M->rounds; round++) {
		ask_for_all();
		await_all();
		read_all();
	}
	EXPECT(M->ready == M->not_present);
}

/* No fault may arrive: the code that it would interrupt could not bear it. */
GUEST static void without_faults(int allow_interrupts)
{
	ask(REQ_PAGE_OUT);
	if (allow_interrupts)
		interrupts_on();
	for (int i = 0; i < PAGES; i++)
		EXPECT(touch(i));
	interrupts_off();
	EXPECT(!M->not_present && !M->ready);
}

GUEST static void user_only(void)
{
	enable(0);
	without_faults(1);
}

GUEST static void interrupts_stay_off(void)
{
	enable(ALWAYS);
	without_faults(0);
}

/* Ring 3, where interrupts are on. */
GUEST static void user_main(void)
{
	touch_all();
	while (M->outstanding)
		asm volatile("pause");
	asm volatile("int $0x80");
}

/*
 * enter_user(function): calls it in ring 3 with interrupts on, until it says int $0x80; returns
 * with interrupts off.
 */
void enter_user(void (*function)(void));

#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x

asm(".pushsection guest, \"ax\"\n"
    "enter_user:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	mov %rsp, " TEXT(KERNEL_SP) "\n"
    "	push $" TEXT(USER_DATA_SEL) "\n"
    "	push $" TEXT(USER_STACK) "\n"
    "	push $0x202\n"
    "	push $" TEXT(USER_CODE_SEL) "\n"
    "	push %rdi\n"
    "	iretq\n"
    ".globl guest_leave_user\n"
    "guest_leave_user:\n"
    "	mov " TEXT(KERNEL_SP) ", %rsp\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n"
    ".popsection\n");

GUEST static void in_user(void)
{
	enable(0);
	ask(REQ_PAGE_OUT);
	enter_user((void (*)(void))((uintptr_t)user_main & ~KERNEL));
	EXPECT(M->ready == M->not_present);
	read_all();
}

/* One page-ready for each acknowledgement, and none without. */
GUEST static void no_ack(void)
{
	uint32_t before;

	enable(ALWAYS);
	M->keep = 1;
	ask_for_all();
	pause_with_interrupts();
	EXPECT(M->ready == (M->not_present > 0));
	while (M->outstanding) {
		before = M->ready;
		acknowledge();
		pause_with_interrupts();
		EXPECT(M->ready == before + 1);
	}
	acknowledge();
	M->keep = 0;
	pause_with_interrupts();
	EXPECT(M->ready == M->not_present && !M->spurious);
	read_all();
}

/* A page that is outstanding is touched again: KVM stops the vCPU until the page is there. */
GUEST static void again(void)
{
	enable(ALWAYS);
	ask(REQ_PAGE_OUT);
	for (int i = 0; i < PAGES; i++) {
		interrupts_on();
		if (!touch(i)) {
			/* on: page-ready comes first; off: no event may come */
			if (i % 2)
				interrupts_off();
			EXPECT(touch(i));
		}
		interrupts_off();
		await_all();
	}
	EXPECT(M->ready == M->not_present);
	read_all();
}

/* Switched off with pages outstanding: no event any more, but a broadcast when switched on. */
GUEST static void disable(void)
{
	uint32_t before;

	enable(ALWAYS);
	ask_for_all();
	before = M->ready;
	switch_apf(0);
	pause_with_interrupts();
	/* one may have been on its way */
	EXPECT(M->ready <= before + 1);
	interrupts_on();
	for (int i = 0; i < PAGES; i++)
		EXPECT(touch(i));
	interrupts_off();
	EXPECT(M->wake_all == 1);
	enable(ALWAYS);
	EXPECT(!M->outstanding);
	ask_for_all();
	await_all();
	read_all();
}

GUEST static void smi(void)
{
	enable(ALWAYS);
	ask_for_all();
	for (int i = 0; i < SMIS; i++) {
		ask(REQ_SMI);
		interrupts_on();
		interrupts_off();
	}
	await_all();
	EXPECT(*(volatile uint16_t *)SMM_COUNT == SMIS);
	EXPECT(M->ready == M->not_present);
	read_all();
}

/* Reserved bits and an address without memory are refused, and break nothing. */
GUEST static void bad_msr(void)
{
	write_msr(MSR_APF_EN, MAILBOX | ENABLED | AS_INT | 0x10);
	write_msr(MSR_APF_EN, MAILBOX | ENABLED | AS_INT | 0x20);
	write_msr(MSR_APF_EN, (1UL << 40) | ENABLED | AS_INT);
	write_msr(MSR_APF_INT, 0x100 | VECTOR);
	EXPECT(M->refused == 4);
	send_always();
}

GUEST void guest_main(void)
{
	write_msr(X2APIC_SVR, 0x1ff);
	write_msr(MSR_APF_INT, VECTOR);
	if (M->scenario == NOT_ENABLED)
		without_faults(1);
	else if (M->scenario == SEND_ALWAYS)
		send_always();
	else if (M->scenario == USER_ONLY_IN_KERNEL)
		user_only();
	else if (M->scenario == USER_ONLY_IN_USER)
		in_user();
	else if (M->scenario == INTERRUPTS_OFF)
		interrupts_stay_off();
	else if (M->scenario == NO_ACK)
		no_ack();
	else if (M->scenario == AGAIN)
		again();
	else if (M->scenario == DISABLE)
		disable();
	else if (M->scenario == SMI)
		smi();
	else
		bad_msr();
	switch_apf(0);
	ask(REQ_DONE);
}
