/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMs that a command line names: names, UUIDs, ids, patterns like "web-*", or --all.
 */
#ifndef APFCTL_SELECT_H
#define APFCTL_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "apf/cleanup.h"
#include "apfctl.h"
#include "vm.h"

struct json_object;

/* True for a pattern of names in the manner of glob(7). */
bool is_pattern(const char *text);

/**
 * struct target - a VM to work on
 * @name: for messages: the argument as given, or the VM's name if a pattern or --all found it
 * @path: D-Bus object
 * @listed: a pattern or --all found it: it is no failure if this VM has ended meanwhile
 */
struct target {
	char *name;
	char *path;
	bool listed;
};

/**
 * struct targets - the VMs to work on, each once
 * @several: a pattern, --all or more than one argument was given, so that JSON is an array,
 *	however many VMs there are
 */
struct targets {
	struct target *all;
	size_t n;
	bool several;
};

void targets_clear(struct targets *targets);

/**
 * targets_find() - finds the VMs that the first @n_args arguments name, or all VMs with --all
 *
 * Prints a message for each argument that names no VM, and continues with the next.
 *
 * Return: the worst exit status. After STATUS_USAGE and STATUS_MISSING (apfd cannot be reached),
 * targets_run() does nothing.
 */
int targets_find(struct apfctl *ctl, size_t n_args, struct targets *targets);

/**
 * targets_run() - calls @run for each VM
 *
 * Prints the message of each failure and continues with the next VM.
 *
 * @status: exit status of targets_find()
 * @run: works on one VM; returns an exit status
 * Return: the worst exit status.
 */
int targets_run(const struct targets *targets, int status,
		int (*run)(const struct target *target, void *userdata), void *userdata);

/**
 * targets_show() - targets_run() for a verb that shows VMs: with --json and several VMs, @run
 *	adds its object to an array, which is printed at the end
 *
 * @array: field in @userdata that receives the array; NULL if the output is text or one object
 */
int targets_show(struct apfctl *ctl, const struct targets *targets, int status,
		 int (*run)(const struct target *target, void *userdata), void *userdata,
		 struct json_object **array);

/**
 * struct vm_filter - the VMs that a verb watches, also those that start later
 * @paths: VMs that arguments name; they were running at the start
 * @patterns: patterns of names; the strings belong to the command line
 *
 * Without both, the filter accepts every VM.
 */
struct vm_filter {
	char **paths;
	char **patterns;
	size_t n_paths;
	size_t n_patterns;
};

void vm_filter_clear(struct vm_filter *filter);

/*
 * Reads the arguments of the verb. Prints a message for each argument that names no running VM;
 * it is no failure if a pattern matches no VM yet. Returns the worst exit status.
 */
int vm_filter_find(struct apfctl *ctl, struct vm_filter *filter);

/* Whether the filter accepts a VM; @name may be empty. */
bool vm_filter_accepts(const struct vm_filter *filter, const char *path, const char *name);

/* Removes the VMs that the filter does not accept. */
void vm_filter_apply(const struct vm_filter *filter, struct vm_list *list);

#endif
