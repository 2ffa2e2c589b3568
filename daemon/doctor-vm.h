/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why APF does or does not work for one VM. Reads /proc of its process, but nothing
 * that waits for that process, and its cgroup; everything else is given.
 */
#ifndef APFD_DOCTOR_VM_H
#define APFD_DOCTOR_VM_H

#include <stdint.h>

#include "diagnosis.h"
#include "domain-xml.h"
#include "genl-parse.h"
#include "vm.h"

/**
 * struct doctor_vm - what is known of a VM
 * @name: as a person would give it to apfctl
 * @libvirt: libvirt manages it, so remedies are changes of its XML
 * @automatic: apfd decides about its gates
 * @proc_root: usually /proc
 * @sys_root: usually /sys
 * @pid: 0 if not known
 * @args: of its process, as cmdline_load() has them; NULL if they could not be had
 * @live: its XML, NULL if it could not be had
 * @config: what it will be when it is started next; likewise
 * @module: apf_host is loaded
 * @nested_guard: and guards nested guests
 * @why_unwatched: NULL if it is watched; what follows counts only then
 * @state: of its gates as a whole
 * @just_moved: a gate was moved in the interval that @figures are of
 * @guest: report of its guest, by &enum apf_guest_attr
 */
struct doctor_vm {
	const char *name;
	bool libvirt;
	bool automatic;
	const char *proc_root;
	const char *sys_root;
	uint32_t pid;
	const char *args;
	const struct domain_xml *live;
	const struct domain_xml *config;
	bool module;
	bool nested_guard;
	const char *why_unwatched;
	enum vm_state state;
	bool just_moved;
	const struct genl_vcpu *vcpus;
	size_t n_vcpus;
	const struct stats_totals *totals;
	const struct stats_figures *figures;
	enum vm_guest_module guest_module;
	const uint32_t *guest;
};

/* doctor_vm: looks, now, and adds its findings. */
void doctor_vm(const struct doctor_vm *v, struct diagnosis *d);

#endif /* APFD_DOCTOR_VM_H */
