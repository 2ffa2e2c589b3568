/* SPDX-License-Identifier: GPL-2.0 */
/* What a VM is called on the command line of its VMM. Pure functions; any process can write any
 * command line, so every value is only a claim. */
#ifndef APFD_VMM_ARGS_H
#define APFD_VMM_ARGS_H

#include <stddef.h>

#include "uuid.h"

enum { VMM_NAME_MAX = 255 }; /* bytes; a longer name is not used */

/* The program that runs the VM. */
enum vmm {
	VMM_UNKNOWN,
	VMM_QEMU,
	VMM_FIRECRACKER,
	VMM_CLOUD_HYPERVISOR,
	VMM_CROSVM,
	VMM_KVMTOOL,
	VMM_MAX = VMM_KVMTOOL
};

/* vmm_to_string: the name on the bus, "" for VMM_UNKNOWN. */
const char *vmm_to_string(enum vmm vmm);

/**
 * struct vmm_args - a command line; a word may be empty
 * @text: the words, each with a final NUL; NULL if the command line was not read
 * @size: bytes in @text, including the last NUL
 */
struct vmm_args {
	const char *text;
	size_t size;
};

/**
 * struct vmm_claims - "" for what the command line does not contain
 * @name: at most VMM_NAME_MAX bytes, not made valid yet
 * @id: likewise
 * @uuid: lower case; not the UUID of zeros
 */
struct vmm_claims {
	char name[VMM_NAME_MAX + 1];
	char id[VMM_NAME_MAX + 1];
	char uuid[UUID_LEN + 1];
};

/* vmm_detect: the VMM by the name of its program: of @executable, else of the first argument. */
enum vmm vmm_detect(const char *executable, const struct vmm_args *args);

/* vmm_claims_read: reads the options of @vmm that name the VM. */
void vmm_claims_read(enum vmm vmm, const struct vmm_args *args, struct vmm_claims *ret);

#endif /* APFD_VMM_ARGS_H */
