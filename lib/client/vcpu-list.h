/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_VCPU_LIST_H
#define APFCTL_VCPU_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The highest index that KVM allows (KVM_MAX_VCPUS is at most 4096 on x86). */
#define VCPU_INDEX_MAX 4095

/**
 * struct vcpu_list - a set of vCPU indices
 * @member: member[i] is true if vCPU i is in the set
 * @n: number of vCPUs in the set
 */
struct vcpu_list {
	bool member[VCPU_INDEX_MAX + 1];
	size_t n;
};

/**
 * vcpu_list_parse() - adds the vCPUs in a text like "0,2-3"
 * @list: set to add to; unchanged on failure
 * @ret_error: on -EINVAL, an error text; the caller frees it
 * Return: 0, -EINVAL or -ENOMEM.
 */
int vcpu_list_parse(const char *text, struct vcpu_list *list, char **ret_error);

/**
 * vcpu_list_format() - the shortest text for a set, e.g. "0,2-3"
 * Return: allocated text; NULL if out of memory.
 */
char *vcpu_list_format(const struct vcpu_list *list);

#endif
