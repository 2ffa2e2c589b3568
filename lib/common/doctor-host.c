/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-host.h"

#include <limits.h>

#include "doctor-checks-host.h"
#include "doctor-oomd.h"
#include "host-file.h"
#include "util.h"

/* ---- KVM ---- */

/* The list of built-in modules spells names with '-'. */
static bool kvm_is_builtin(const struct doctor_host *h, const struct host_kernel *k, bool amd)
{
	return host_kernel_builtin(&h->roots, k, amd ? "kvm-amd" : "kvm-intel");
}

/* Reads from /proc/cpuinfo whether the CPU has SVM or VMX; both false if that fails. */
static void read_cpu(const struct doctor_host *h, bool *ret_amd, bool *ret_intel)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[8192];

	*ret_amd = *ret_intel = false;
	if ((size_t)snprintf(path, sizeof(path), "%s/cpuinfo", h->roots.proc) >= sizeof(path))
		return;
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		*ret_amd = strstr(line, " svm ") || strstr(line, " svm\n");
		*ret_intel = strstr(line, " vmx ") || strstr(line, " vmx\n");
		return;
	}
}

/* PVM is a kind of KVM that needs no support of the CPU; its guests run in user mode. */
static void diagnose_pvm(struct diagnosis *d)
{
	diag_add(d, CHECK_KVM, DIAG_WARN,
		 "kvm_pvm is loaded (PVM: KVM without hardware virtualization); apf_host was not "
		 "tested with it");
	diag_remedy(d, "on a CPU with hardware virtualization, use that:\n  modprobe -r kvm_pvm\n"
		       "  modprobe kvm_amd || modprobe kvm_intel");
	diag_add(d, CHECK_KVM_NESTED, DIAG_OK, "guests cannot run guests of their own");
}

static void check_kvm(const struct doctor_host *h, const struct host_kernel *k, struct diagnosis *d)
{
	bool amd = host_exists(h->roots.sys, "module/kvm_amd");
	bool intel = host_exists(h->roots.sys, "module/kvm_intel");
	bool builtin, cpu_amd, cpu_intel;
	char line[HOST_LINE_MAX];

	if (host_exists(h->roots.sys, "module/kvm_pvm")) {
		diagnose_pvm(d);
		return;
	}
	/* A kernel with both modules built in shows both: check the CPU. */
	if (amd && intel) {
		read_cpu(h, &cpu_amd, &cpu_intel);
		amd = cpu_amd || !cpu_intel;
	}
	builtin = kvm_is_builtin(h, k, amd || !intel);
	if (!amd && !intel && !builtin && !kvm_is_builtin(h, k, false)) {
		diag_add(d, CHECK_KVM, DIAG_FAIL, "neither kvm_amd nor kvm_intel is loaded");
		diag_remedy(d, "load the module for this CPU; if this fails, switch virtualization "
			       "on in the firmware:\n  modprobe kvm_amd || modprobe kvm_intel");
		return;
	}
	/* Built-in modules exist even if the CPU does not support them; then there is no /dev/kvm.
	 */
	if ((builtin || (!amd && !intel)) && host_exists(h->roots.sys, "class/misc") &&
	    !host_exists(h->roots.sys, "class/misc/kvm")) {
		diag_add(d, CHECK_KVM, DIAG_FAIL,
			 "KVM is part of this kernel, but KVM cannot use this CPU");
		diag_remedy(d, "switch virtualization on in the firmware");
		return;
	}
	diag_add(d, CHECK_KVM, DIAG_OK, "%s is %s", amd ? "kvm_amd" : "kvm_intel",
		 builtin ? "part of this kernel" : "loaded");

	if (host_line(line, h->roots.sys, "module/%s/parameters/nested",
		      amd ? "kvm_amd" : "kvm_intel") < 0)
		diag_add(d, CHECK_KVM_NESTED, DIAG_UNKNOWN, "KVM's parameter cannot be read");
	else if (host_says_yes(line))
		diag_add(d, CHECK_KVM_NESTED, DIAG_OK,
			 "guests may run guests of their own; while a nested guest runs, the "
			 "nested guard prevents asynchronous page faults");
	else
		diag_add(d, CHECK_KVM_NESTED, DIAG_OK, "guests cannot run guests of their own");
}

/* ---- the kernel ---- */

static void check_kernel(const struct doctor_host *h, const struct host_kernel *k,
			 struct diagnosis *d)
{
	const char *boot = "boot Linux " HOST_KERNEL_TESTED;

	if (k->hybrid[0]) {
		diag_add(d, CHECK_KERNEL, DIAG_WARN,
			 "Linux %s is a kernel of %s with parts of much newer kernels: its version "
			 "is not meaningful, and apf_host was not tested with it",
			 k->release, k->hybrid);
		diag_remedy(d, "see module and hooks for what works; else %s", boot);
	} else if (!k->number) {
		diag_add(d, CHECK_KERNEL, DIAG_UNKNOWN, "its release cannot be read");
	} else if (k->number < KERNEL_SAFE) {
		diag_add(d, CHECK_KERNEL, DIAG_FAIL,
			 "Linux %s loses wake-ups of guests (fixed in 5.13 by 2f15d027c05f) and is "
			 "too old for apf_host",
			 k->release);
		diag_remedy(d, "%s", boot);
	} else if (k->number < HOST_KERNEL_OLDEST) {
		diag_add(d, CHECK_KERNEL, DIAG_WARN,
			 "Linux %s is older than the kernels that apf_host was tested with "
			 "(" HOST_KERNEL_TESTED ")",
			 k->release);
		diag_remedy(d, "%s", boot);
	} else if (k->number > HOST_KERNEL_NEWEST) {
		diag_add(d, CHECK_KERNEL, DIAG_WARN,
			 "Linux %s is newer than the kernels that apf_host was tested with "
			 "(" HOST_KERNEL_TESTED ")",
			 k->release);
		diag_remedy(d, "see module and hooks for what works; else %s", boot);
	} else if (host_kernel_waits(&h->roots, k) == 1) {
		diag_add(d, CHECK_KERNEL, DIAG_OK,
			 "Linux %s waits for the read of a random access to swap; no-wait swap-in "
			 "of apf_host prevents this",
			 k->release);
	} else {
		diag_add(d, CHECK_KERNEL, DIAG_OK,
			 "Linux %s itself does not wait for the read of a random access to swap",
			 k->release);
	}
}

/* ---- accounting ---- */

/* Writes the commands that add @option to the command line of kernel @k. */
static void remedy_option(const struct host_kernel *k, const char *why, const char *option,
			  struct diagnosis *d)
{
	if (k->hybrid[0] || strstr(k->release, ".fc"))
		diag_remedy(d, "%s:\n  grubby --update-kernel=ALL --args=%s\n  reboot", why,
			    option);
	else if (strstr(k->release, "-pve"))
		diag_remedy(d,
			    "%s: add %s to GRUB_CMDLINE_LINUX in /etc/default/grub, or to "
			    "/etc/kernel/cmdline if the host boots with systemd-boot, then:\n"
			    "  proxmox-boot-tool refresh || update-grub\n  reboot",
			    why, option);
	else
		diag_remedy(d,
			    "%s: add %s to GRUB_CMDLINE_LINUX in /etc/default/grub, then:\n"
			    "  update-grub || grub2-mkconfig -o /boot/grub2/grub.cfg\n  reboot",
			    why, option);
}

/* Returns true if the kernel's command line has the word @word. */
static bool booted_with(const struct doctor_host *h, const char *word)
{
	char line[HOST_LINE_MAX * 16], path[PATH_MAX];
	_cleanup_fclose_ FILE *file = NULL;
	char *rest = line, *next;

	if ((size_t)snprintf(path, sizeof(path), "%s/cmdline", h->roots.proc) >= sizeof(path))
		return false;
	file = fopen(path, "re");
	if (!file || !fgets(line, sizeof(line), file))
		return false;
	while ((next = strsep(&rest, " \n")))
		if (streq(next, word))
			return true;
	return false;
}

/* If PSI is off, the file is missing, empty, or cannot be read (EOPNOTSUPP), by kernel. */
static void check_psi(const struct doctor_host *h, const struct host_kernel *k, struct diagnosis *d)
{
#define EFFECT "apfd cannot see how long VMs wait for memory, and PRESSURE is \"-\""
	char line[HOST_LINE_MAX];

	if (host_line(line, h->roots.proc, "pressure/memory") >= 0 && line[0]) {
		diag_add(d, CHECK_PSI, DIAG_OK, "the kernel measures waiting for memory (PSI)");
	} else if (booted_with(h, "psi=0")) {
		diag_add(d, CHECK_PSI, DIAG_WARN,
			 "PSI is switched off on the kernel's command line (psi=0): " EFFECT);
		remedy_option(k, "take out psi=0", "psi=1", d);
	} else if (host_kernel_config(&h->roots, k, "CONFIG_PSI") == 0) {
		diag_add(d, CHECK_PSI, DIAG_WARN, "this kernel is built without PSI: " EFFECT);
		diag_remedy(d, "boot a kernel with CONFIG_PSI=y");
	} else if (booted_with(h, "psi=1")) {
		diag_add(d, CHECK_PSI, DIAG_WARN,
			 "PSI does not answer, although the kernel was booted with psi=1: " EFFECT);
		diag_remedy(d, "boot a kernel with CONFIG_PSI=y");
	} else {
		diag_add(d, CHECK_PSI, DIAG_WARN,
			 "PSI is off by default in this kernel, and psi=1 is not on its command "
			 "line: " EFFECT);
		remedy_option(k, "switch it on", "psi=1", d);
	}
#undef EFFECT
}

static void check_cgroup(const struct doctor_host *h, const struct host_kernel *k,
			 struct diagnosis *d)
{
	char line[HOST_LINE_MAX];

	if (host_line(line, h->roots.cgroup, "cgroup.controllers") < 0) {
		diag_add(d, CHECK_CGROUP, DIAG_WARN,
			 host_exists(h->roots.cgroup, "memory")
				 ? "memory is accounted by cgroup v1: apfd sees a VM's limits, but "
				   "not its pressure, and cannot decide by it"
				 : "cgroup v2 is not mounted: apfd cannot see a VM's limits and "
				   "pressure");
		remedy_option(k, "boot with cgroup v2", "systemd.unified_cgroup_hierarchy=1", d);
	} else if (!strstr(line, "memory")) {
		diag_add(d, CHECK_CGROUP, DIAG_WARN,
			 "cgroup v2 has no memory controller: apfd cannot see a VM's limits and "
			 "pressure");
		diag_remedy(d,
			    "remove \"memory\" from cgroup_disable= on the kernel's command line");
	} else {
		diag_add(d, CHECK_CGROUP, DIAG_OK, "cgroup v2 with the memory controller");
	}
}

void doctor_host(const struct doctor_host *h, struct diagnosis *d)
{
	struct host_kernel k;

	host_kernel_read(&h->roots, &k);
	check_kvm(h, &k, d);
	check_kernel(h, &k, d);
	doctor_host_module(h, &k, d);
	doctor_host_swap(h, &k, d);
	check_psi(h, &k, d);
	check_cgroup(h, &k, d);
	doctor_oomd(&h->roots, h->units, d);
}
