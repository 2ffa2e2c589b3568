// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM of guest.c: one vCPU, and memory that it can have swapped out.
 *
 *   vmm GROUP    GROUP: folder of the control group that vmm is in, with memory.reclaim
 *
 * Says "created PID", then reads lines "SCENARIO ROUNDS" and answers each with a line of JSON: what
 * the guest has counted. A scenario that does not end in time has "ended" false, and ends vmm.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"

#define SECONDS	    240
#define PAUSE_USEC  100000
#define MAX_CPUID   256
#define IN_SMM(slot) (1 << 16 | (slot))

static const char *const names[SCENARIOS] = {
	[NOT_ENABLED] = "not-enabled",
	[SEND_ALWAYS] = "send-always",
	[USER_ONLY_IN_KERNEL] = "user-only-in-kernel",
	[USER_ONLY_IN_USER] = "user-only-in-user",
	[INTERRUPTS_OFF] = "interrupts-off",
	[NO_ACK] = "no-ack",
	[AGAIN] = "again",
	[DISABLE] = "disable",
	[SMI] = "smi",
	[BAD_MSR] = "bad-msr",
};

static unsigned char *low, *data;
static struct kvm_run *run;
static int vm, vcpu, reclaim;
static volatile sig_atomic_t late;

static void too_late(int number)
{
	(void)number;
	late = 1;
}

static int call(int fd, unsigned long request, void *arg, const char *name)
{
	int rc = ioctl(fd, request, arg);

	if (rc < 0)
		err(1, "%s", name);
	return rc;
}

#define CALL(fd, request, arg) call(fd, request, (void *)(uintptr_t)(arg), #request)

static void *map(size_t size, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

static void add_memory(uint32_t slot, uint64_t at, void *memory, size_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = at,
		.memory_size = size,
		.userspace_addr = (uintptr_t)memory,
	};

	CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int resident(void)
{
	unsigned char there[PAGES];
	int n = 0;

	if (mincore(data, PAGES * PAGE, there) < 0)
		err(1, "mincore");
	for (int i = 0; i < (int)PAGES; i++)
		n += there[i] & 1;
	return n;
}

/* All of the data on swap, and no copy of it left in the swap cache. */
static void page_out(void)
{
	static const char much[] = "1M";

	for (int i = 0; i < (int)PAGES; i++)
		data[i * PAGE] = (unsigned char)(i + 1);
	while (resident() && !late) {
		madvise(data, PAGES * PAGE, MADV_PAGEOUT);
		/* fails if it finds less than that much */
		if (write(reclaim, much, sizeof(much) - 1) < 0 && errno != EAGAIN && errno != EINTR)
			err(1, "memory.reclaim");
		usleep(10000);
	}
}

static void put64(uint64_t at, uint64_t value)
{
	memcpy(low + at, &value, sizeof(value));
}

static uint64_t in_guest(const void *function)
{
	return KERNEL + CODE + (uint64_t)((const unsigned char *)function - __start_guest);
}

static void gate(int vector, const void *handler, int ring)
{
	uint64_t to = in_guest(handler);
	uint64_t type = 0x8e00 | (uint64_t)ring << 13;
	uint64_t where = (to & 0xffff) | (to & 0xffff0000) << 32;

	put64(IDT + vector * 16, where | CODE_SEL << 16 | type << 32);
	put64(IDT + vector * 16 + 8, to >> 32);
}

static void fill_memory(void)
{
	static const unsigned char smm[] = {
		0xff, 0x06, SMM_COUNT & 0xff, SMM_COUNT >> 8, /* incw SMM_COUNT */
		0x0f, 0xaa, /* rsm */
	};

	memset(low, 0, CODE);
	put64(PML4, PDPT | 7);
	put64(PML4 + 511 * 8, PDPT | 7);
	put64(PDPT, PD | 7);
	put64(PDPT + 510 * 8, PD | 7);
	for (uint64_t i = 0; i < 512; i++)
		put64(PD + i * 8, i << 21 | 0x87);
	put64(GDT + CODE_SEL, 0x00af9a000000ffff);
	put64(GDT + DATA_SEL, 0x00cf92000000ffff);
	put64(GDT + (USER_DATA_SEL & ~7), 0x00cff2000000ffff);
	put64(GDT + (USER_CODE_SEL & ~7), 0x00affa000000ffff);
	put64(GDT + TSS_SEL, 0x67 | (uint64_t)TSS << 16 | 0x8bULL << 40);
	put64(TSS + 4, TRAP_STACK);
	gate(13, guest_protection, 0);
	gate(14, guest_page_fault, 0);
	gate(VECTOR, guest_ready, 0);
	gate(0x80, guest_leave_user, 3);
	memcpy(low + SMBASE + 0x8000, smm, sizeof(smm));
	memcpy(low + CODE, __start_guest, (size_t)(__stop_guest - __start_guest));
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, int code)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = code,
		.db = !code,
	};
}

static void set_registers(void)
{
	struct kvm_regs regs = { .rip = in_guest(guest_main), .rsp = STACK - 8, .rflags = 2 };
	struct kvm_sregs s;

	CALL(vcpu, KVM_GET_SREGS, &s);
	s.cs = segment(CODE_SEL, 11, 1);
	s.ds = s.es = s.fs = s.gs = s.ss = segment(DATA_SEL, 3, 0);
	s.tr = (struct kvm_segment){
		.base = TSS, .limit = 0x67, .selector = TSS_SEL, .type = 11, .present = 1,
	};
	s.gdt = (struct kvm_dtable){ .base = GDT, .limit = 0x37 };
	s.idt = (struct kvm_dtable){ .base = IDT, .limit = 0xfff };
	s.cr0 = 0x80010033;
	s.cr3 = PML4;
	s.cr4 = 0x20;
	s.efer = 0x500;
	s.apic_base |= 0xc00; /* x2APIC */
	CALL(vcpu, KVM_SET_SREGS, &s);
	CALL(vcpu, KVM_SET_REGS, &regs);
}

static void create(void)
{
	size_t size = sizeof(struct kvm_cpuid2) + MAX_CPUID * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *cpuid = calloc(1, size);
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0 || !cpuid)
		err(1, "/dev/kvm");
	vm = CALL(kvm, KVM_CREATE_VM, 0);
	CALL(vm, KVM_CREATE_IRQCHIP, 0);
	low = map(LOW_SIZE, -1);
	if (mlock(low, LOW_SIZE) < 0)
		err(1, "mlock");
	data = map(PAGES * PAGE, -1);
	madvise(data, PAGES * PAGE, MADV_NOHUGEPAGE);
	add_memory(0, 0, low, LOW_SIZE);
	add_memory(IN_SMM(0), 0, low, LOW_SIZE);
	add_memory(1, DATA, data, PAGES * PAGE);
	vcpu = CALL(vm, KVM_CREATE_VCPU, 0);
	cpuid->nent = MAX_CPUID;
	CALL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	CALL(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	run = map((size_t)CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), vcpu);
}

/* True if the guest goes on. */
static int answer(unsigned char request)
{
	switch (request) {
	case REQ_PAGE_OUT:
		page_out();
		return 1;
	case REQ_PAUSE:
		usleep(PAUSE_USEC);
		return 1;
	case REQ_SMI:
		CALL(vcpu, KVM_SMI, 0);
		return 1;
	case REQ_DONE:
	case REQ_FAULT:
		return 0;
	}
	errx(1, "unknown request %u of the guest", request);
}

static void tell(const struct mailbox *m, const char *name)
{
	printf("{\"scenario\": \"%s\", \"ended\": %s, ", name, late ? "false" : "true");
	printf("\"not_present\": %u, \"ready\": %u, ", m->not_present, m->ready);
	printf("\"wake_all\": %u, \"outstanding\": %u, ", m->wake_all, m->outstanding);
	printf("\"unknown\": %u, \"spurious\": %u, ", m->unknown, m->spurious);
	printf("\"bad_data\": %u, \"refused\": %u, \"wrong\": %u, ", m->bad_data, m->refused, m->wrong);
	printf("\"fault\": [%" PRIu64 ", ", m->fault[0]);
	printf("%" PRIu64 ", %" PRIu64 "]}\n", m->fault[1], m->fault[2]);
}

static void play(enum scenario scenario, unsigned int rounds)
{
	struct mailbox *m = (struct mailbox *)(low + MAILBOX);

	fill_memory();
	m->scenario = scenario;
	m->rounds = rounds;
	set_registers();
	alarm(SECONDS);
	while (!late) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			err(1, "KVM_RUN");
		}
		if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT)
			errx(1, "%s: the vCPU stopped for reason %u", names[scenario], run->exit_reason);
		if (!answer(*((unsigned char *)run + run->io.data_offset)))
			break;
	}
	alarm(0);
	tell(m, names[scenario]);
	fflush(stdout);
	if (late)
		exit(1);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = too_late };
	char path[4096], word[64];
	unsigned int rounds;
	int i;

	if (argc != 2)
		errx(2, "usage: vmm GROUP");
	snprintf(path, sizeof(path), "%s/memory.reclaim", argv[1]);
	reclaim = open(path, O_WRONLY | O_CLOEXEC);
	if (reclaim < 0)
		err(1, "%s", path);
	sigaction(SIGALRM, &action, NULL);
	create();
	printf("created %d\n", (int)getpid());
	fflush(stdout);
	while (scanf("%63s %u", word, &rounds) == 2) {
		for (i = 0; i < SCENARIOS && strcmp(word, names[i]); i++)
			;
		if (i == SCENARIOS)
			errx(2, "no scenario '%s'", word);
		play((enum scenario)i, rounds);
	}
	return 0;
}
