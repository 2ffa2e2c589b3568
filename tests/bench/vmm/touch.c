// SPDX-License-Identifier: GPL-2.0
/*
 * touch: a VMM with one vCPU, which writes to one page after the other. KVM has to
 * fault in each of them. Part of tests/bench/faults.
 *
 * usage: touch PAGES
 *
 * Prints "ready", then reads commands from standard input, one in a line:
 *
 *   resident  throw the pages away, so that each write finds a page of zeros
 *   swapped   swap the pages out, so that each write waits for a read
 *   write     write to each page
 *
 * and answers each with a line: the number of pages, how many of them are in swap, and,
 * after "write", nanoseconds of CLOCK_MONOTONIC for all writes, else 0. Between "swapped"
 * and "write" the caller must make sure that the swap cache is empty, because a page in
 * the swap cache is not read.
 *
 * The interrupt controller is KVM's and the guest takes interrupts; KVM asks for no more
 * before it reads a page asynchronously. The guest has not enabled APF, so KVM halts the
 * vCPU meanwhile.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define CODE_ADDRESS	0x1000UL	/* guest-physical, as all of them */
#define DATA_ADDRESS	0x100000UL
#define PORT		0x10
#define SWAP_TRIES	50

static const uint8_t code[] = {
	0x88, 0x07,				/* next: mov %al, (%edi) */
	0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,	/* add $4096, %edi */
	0x49,					/* dec %ecx */
	0x75, 0xf5,				/* jnz next */
	0xe6, PORT,				/* out %al, $PORT */
};

static int do_ioctl(int fd, unsigned long request, void *argument, const char *name)
{
	int rc = ioctl(fd, request, argument);

	if (rc < 0)
		err(1, "%s", name);
	return rc;
}
#define IOCTL(fd, request, argument) do_ioctl(fd, request, (void *)(argument), #request)

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	if (madvise(p, bytes, MADV_NOHUGEPAGE))
		err(1, "MADV_NOHUGEPAGE");
	return p;
}

static void add_memory(int vm, unsigned int slot, uint64_t address, void *p, size_t bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = address, .memory_size = bytes,
		.userspace_addr = (uintptr_t)p,
	};

	IOCTL(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static unsigned long swapped_pages(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[128];

	if (!f)
		err(1, "/proc/self/status");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmSwap: %lu", &kib) == 1)
			break;
	fclose(f);
	return kib / (PAGE / 1024);
}

/* Protected mode with flat segments and no page tables. */
static void set_up_vcpu(int vcpu)
{
	struct kvm_sregs sregs;
	struct kvm_segment flat = {
		.limit = 0xffffffff,
		.selector = 8,
		.type = 3,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};

	IOCTL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr0 |= 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat;
	flat.type = 11;
	sregs.cs = flat;
	IOCTL(vcpu, KVM_SET_SREGS, &sregs);
}

static uint64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* One round: nanoseconds for one write to each of @pages. */
static uint64_t write_to_all(int vcpu, struct kvm_run *run, unsigned long pages)
{
	struct kvm_regs regs = {
		.rip = CODE_ADDRESS, .rflags = 0x202, .rdi = DATA_ADDRESS, .rcx = pages, .rax = 1,
	};
	uint64_t begin;

	IOCTL(vcpu, KVM_SET_REGS, &regs);
	begin = now_nsec();
	do {
		IOCTL(vcpu, KVM_RUN, 0);
	} while (run->exit_reason == KVM_EXIT_INTR);
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT)
		errx(1, "the vCPU stopped for reason %u", run->exit_reason);
	return now_nsec() - begin;
}

int main(int argc, char **argv)
{
	unsigned long pages = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	int kvm, vm, vcpu;
	struct kvm_run *run;
	uint8_t *data, *text;
	char line[32];

	if (!pages || pages > 1UL << 18)
		errx(2, "usage: touch PAGES (1 to 262144)");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(1, "/dev/kvm");
	vm = IOCTL(kvm, KVM_CREATE_VM, 0);
	IOCTL(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	IOCTL(vm, KVM_CREATE_IRQCHIP, 0);
	text = map(PAGE);
	memcpy(text, code, sizeof(code));
	data = map(pages * PAGE);
	add_memory(vm, 0, CODE_ADDRESS, text, PAGE);
	add_memory(vm, 1, DATA_ADDRESS, data, pages * PAGE);
	vcpu = IOCTL(vm, KVM_CREATE_VCPU, 0);
	run = mmap(NULL, IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		   MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "the vCPU's page");
	set_up_vcpu(vcpu);
	puts("ready");
	fflush(stdout);

	while (fgets(line, sizeof(line), stdin)) {
		uint64_t took_nsec = 0;

		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "resident") == 0) {
			if (madvise(data, pages * PAGE, MADV_DONTNEED))
				err(1, "MADV_DONTNEED");
		} else if (strcmp(line, "swapped") == 0) {
			memset(data, 1, pages * PAGE);
			/* The kernel skips a page that is not on an LRU list yet. */
			for (int i = 0; i < SWAP_TRIES && swapped_pages() < pages; i++)
				if (madvise(data, pages * PAGE, MADV_PAGEOUT))
					err(1, "MADV_PAGEOUT");
		} else if (strcmp(line, "write") == 0) {
			took_nsec = write_to_all(vcpu, run, pages);
		} else {
			errx(2, "no command '%s'", line);
		}
		printf("%lu %lu %llu\n", pages, swapped_pages(), (unsigned long long)took_nsec);
		fflush(stdout);
	}
	return 0;
}
