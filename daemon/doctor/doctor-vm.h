/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why APF works or does not work for one VM. Reads the cgroup and files in /proc of the
 * VM's process, but no file that makes the reader wait for that process; the caller
 * passes all other facts.
 */
#ifndef APFD_DOCTOR_VM_H
#define APFD_DOCTOR_VM_H

#include <stdint.h>

#include "diagnosis.h"
#include "domain-xml.h"
#include "genl-parse.h"
#include "vm.h"

/**
 * struct doctor_vm - the facts about a VM
 * @name: an argument that apfctl accepts for the VM
 * @identity: NULL if libvirt manages the VM, so that remedies are changes of its XML
 * @automatic: apfd decides about the gates
 * @proc_root: usually /proc
 * @sys_root: usually /sys
 * @cgroup_root: usually /sys/fs/cgroup
 * @pid: 0 if not known
 * @args: arguments of the process, see cmdline_load(); NULL if they could not be read
 * @psi_group: control group that is only the VM's, so that its pressure is read; NULL if none
 * @psi_armed: the kernel notifies apfd when tasks of @psi_group wait for memory
 * @psi_error: why the kernel does not, -errno; 0 if this was not needed yet
 * @live: XML of the running domain, NULL if it could not be read
 * @config: XML for the next start of the domain, NULL if it could not be read
 * @module: apf_host is loaded
 * @nested_guard: the nested guard of apf_host is on
 * @why_unwatched: NULL if the VM is watched; the fields below are valid only then
 * @access_refused: the kernel does not let apfd access the process, so the VM is not watched
 * @state: common state of the gates
 * @gate_just_changed: a gate was changed in the interval of @figures
 * @guest: report of the guest, by &enum apf_guest_attr
 */
struct doctor_vm {
	const char *name;
	const struct identity *identity;
	bool automatic;
	const char *proc_root;
	const char *sys_root;
	const char *cgroup_root;
	uint32_t pid;
	const char *args;
	const char *psi_group;
	bool psi_armed;
	int psi_error;
	const struct domain_xml *live;
	const struct domain_xml *config;
	bool module;
	bool nested_guard;
	const char *why_unwatched;
	bool access_refused;
	enum vm_state state;
	bool gate_just_changed;
	const struct genl_vcpu *vcpus;
	size_t n_vcpus;
	const struct stats_totals *totals;
	const struct stats_figures *figures;
	enum vm_guest_module guest_module;
	const uint32_t *guest;
};

/* doctor_vm: runs all checks now and adds the findings to @d. */
void doctor_vm(const struct doctor_vm *v, struct diagnosis *d);

#endif /* APFD_DOCTOR_VM_H */
