/* SPDX-License-Identifier: GPL-2.0 */
/* The process of a VM, as /proc and its command line describe it. */
#ifndef APFD_PROCESS_H
#define APFD_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROCESS_NODES_MAX = 128 };

/**
 * struct process - facts about a VM's process
 * @args: see cmdline_load(); NULL if they could not be read
 * @known: the memory figures are valid
 * @resident_bytes: VmRSS, the sum of @anon_bytes, @file_bytes and @shmem_bytes
 * @swapped_bytes: VmSwap, which does not include shared memory
 * @lock_limit_bytes: RLIMIT_MEMLOCK; UINT64_MAX: no limit, or not known
 * @nodes: NUMA nodes that its memory may come from, as "0-1,3"; "" if not known
 * @vfio_fds: number of open descriptors of VFIO devices
 * @vdpa_fds: the same of vDPA devices
 * @uffd: another task provides pages of its memory (userfaultfd)
 * @guest_memfd: memory of the guest that only the guest can access
 * @sev_fd: the process has opened /dev/sev, the encryption device of the CPU
 */
struct process {
	const char *args;
	bool known;
	uint64_t resident_bytes, swapped_bytes, locked_bytes, pinned_bytes, huge_bytes;
	uint64_t anon_bytes, file_bytes, shmem_bytes;
	uint64_t lock_limit_bytes;
	char nodes[PROCESS_NODES_MAX];
	unsigned int vfio_fds;
	unsigned int vdpa_fds;
	bool uffd;
	bool guest_memfd;
	bool sev_fd;
};

/* process_read: reads everything except @args; values that cannot be read stay unknown. */
void process_read(struct process *p, const char *proc_root, uint32_t pid);

/* process_next_value: the next value of an option @name after @at; NULL: the first, or no more. */
const char *process_next_value(const struct process *p, const char *name, const char *at);

/* process_any_value: does the value of an option @name, "-name" or "--name", contain @part? */
bool process_any_value(const struct process *p, const char *name, const char *part);

/* process_value_of: the value of the last option @name, NULL if there is none. */
const char *process_value_of(const struct process *p, const char *name);

/*
 * process_property: copies the property @key of an option's @value: "key=x" in a list with commas,
 * or "key":"x" in JSON; of a JSON array, what is between the brackets. False if @value has no such
 * property.
 */
bool process_property(const char *value, const char *key, char *ret, size_t size);

/* process_property_on: the property @key of @value is on or true. */
bool process_property_on(const char *value, const char *key);

/*
 * process_flag_in: does the comma-separated list @value switch @flag on, also as "+flag" and with
 * '_' for '-'? 1: on; 0: off; -1: @value does not contain @flag.
 */
int process_flag_in(const char *value, const char *flag);

/* process_model_is: is @model the CPU model in @cpu, the value of QEMU's option -cpu? */
bool process_model_is(const char *cpu, const char *model);

/*
 * process_offers: does QEMU offer @flag by -cpu and -global? @of_named_models: the answer for a
 * CPU model without the flag. -1: there is no option -cpu, for example because it is not QEMU.
 */
int process_offers(const struct process *p, const char *flag, bool of_named_models);

/* process_is_windows: QEMU's options are those that tools set for a Windows guest. */
bool process_is_windows(const struct process *p);

#endif /* APFD_PROCESS_H */
