// SPDX-License-Identifier: GPL-2.0
/*
 * A guest inside the guest: the smallest KVM program that touches memory. Its
 * one vCPU walks over the pages of @mib MiB again and again in flat 32-bit mode
 * until the time is up. The memory was filled with data of its own first, so
 * that the host below swaps it.
 *
 * usage: nested MIB SECONDS
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CODE_AT 0x1000
#define DATA_AT 0x200000
#define PAGE_BYTES 4096

/*
 * again:  mov esi, DATA_AT
 * next:   mov eax, [esi]
 *         add esi, PAGE_BYTES
 *         cmp esi, END
 *         jb next
 *         out 0x10, al        (an exit to us after each round)
 *         jmp again
 */
static const uint8_t code[] = {
	0xbe, 0, 0, 0, 0, 0x8b, 0x06, 0x81, 0xc6, 0, 0, 0, 0, 0x81, 0xfe, 0, 0, 0, 0,
	0x72, 0xf0, 0xe6, 0x10, 0xeb, 0xe7,
};

static void die(const char *what)
{
	printf("nested: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_alarm(int sig)
{
}

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct kvm_userspace_memory_region region = {};
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = CODE_AT, .rflags = 2 };
	unsigned long mib, seconds, rounds = 0;
	struct kvm_run *run;
	int kvm, vm, vcpu, size;
	uint8_t *memory;
	size_t bytes;
	time_t end;

	if (argc != 3 || !(mib = strtoul(argv[1], NULL, 10)) || mib < 4 || mib > 2048 ||
	    !(seconds = strtoul(argv[2], NULL, 10))) {
		printf("usage: nested MIB SECONDS\n");
		return 2;
	}
	bytes = mib << 20;

	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	for (size_t at = 0; at < bytes; at += 64)
		put32(memory + at, (uint32_t)(at * 2654435761u));
	memcpy(memory + CODE_AT, code, sizeof(code));
	put32(memory + CODE_AT + 1, DATA_AT);
	put32(memory + CODE_AT + 9, PAGE_BYTES);
	put32(memory + CODE_AT + 15, (uint32_t)bytes);

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		die("/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		die("KVM_CREATE_VM");
	region.memory_size = bytes;
	region.userspace_addr = (uintptr_t)memory;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		die("KVM_SET_USER_MEMORY_REGION");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		die("KVM_CREATE_VCPU");
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (size < 0 || run == MAP_FAILED)
		die("KVM_GET_VCPU_MMAP_SIZE");

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		die("KVM_GET_SREGS");
	sregs.cs = (struct kvm_segment){ .limit = 0xffffffff, .selector = 8, .type = 11,
					 .present = 1, .db = 1, .s = 1, .g = 1 };
	sregs.ds = sregs.cs;
	sregs.ds.selector = 16;
	sregs.ds.type = 3;
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.cr0 |= 1;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		die("KVM_SET_SREGS");

	sigaction(SIGALRM, &sa, NULL);
	alarm((unsigned int)seconds);
	end = time(NULL) + (time_t)seconds;
	printf("nested: running\n");
	fflush(stdout);
	while (time(NULL) < end) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			die("KVM_RUN");
		}
		if (run->exit_reason != KVM_EXIT_IO) {
			printf("nested: exit reason %u\n", run->exit_reason);
			return 1;
		}
		rounds++;
	}
	printf("nested: %lu rounds of %zu pages\n", rounds, (bytes - DATA_AT) / PAGE_BYTES);
	return 0;
}
