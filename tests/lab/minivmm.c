// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest VMM: a KVM VM with one vCPU that halts for ever. Run inside the host under the name
 * of any VMM and with the command line of that VMM, which it ignores; says "created" when it has
 * the vCPU, and ends when killed.
 *
 * With $MINIVMM_MIB it has so much memory and uses all of it again and again, so that under a
 * limit some of it is always on swap.
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
#include <unistd.h>

/* The CPU starts here: halt, and again when woken. */
#define RESET_VECTOR 0xfffffff0UL
#define PAGE	     4096UL

static const unsigned char code[] = { 0xf4, 0xeb, 0xfd };

static void *map(size_t size, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

static int make_vcpu(int kvm)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = RESET_VECTOR & ~(PAGE - 1),
		.memory_size = PAGE,
	};
	unsigned char *page = map(PAGE, -1);
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), vcpu;

	memcpy(page + RESET_VECTOR % PAGE, code, sizeof(code));
	region.userspace_addr = (uintptr_t)page;
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		err(1, "no VM");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		err(1, "no vCPU");
	return vcpu;
}

int main(void)
{
	const char *mib = getenv("MINIVMM_MIB");
	size_t size = mib ? strtoul(mib, NULL, 10) << 20 : 0, at = 0;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vcpu;
	unsigned char *memory = size ? map(size, -1) : NULL;
	struct kvm_run *run;

	if (kvm < 0)
		err(1, "/dev/kvm");
	vcpu = make_vcpu(kvm);
	run = map((size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), vcpu);
	puts("created");
	fflush(stdout);
	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0 || run->exit_reason != KVM_EXIT_HLT)
			errx(1, "the vCPU stopped for reason %u", run->exit_reason);
		/* A MiB of it, ten times a second. */
		for (size_t i = 0; size && i < 256; i++, at = (at + PAGE) % size)
			memory[at]++;
		usleep(100000);
	}
}
