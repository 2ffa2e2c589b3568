/* SPDX-License-Identifier: GPL-2.0 */
/* Made-up VMs for the doctor. */
#ifndef APF_TESTS_DOCTOR_FIXTURE_H
#define APF_TESTS_DOCTOR_FIXTURE_H

#include "unit.h"

#include <errno.h>
#include <string.h>

#include "cmdline.h"
#include "doctor-vm.h"
#include "fixture.h"
#include "util.h"

#define PID	       4711
#define FEATURES_NAMED 0x0100007bU /* QEMU 7.2's -cpu EPYC */
#define FEATURES_HOST  0x01007afbU

static struct doctor_vm vm;
static struct genl_vcpu vcpus[2];
static struct stats_totals totals;
static struct stats_figures figures;
static uint32_t guest[APF_GUEST_A_MAX + 1];
static struct diagnosis d;
static char *args;
static bool foreign; /* libvirt does not know the VM */
static struct identity identity;
static struct identity_roots roots;

/* @words separated by blanks, as a command line has them. */
static inline void set_args(const char *words)
{
	char bytes[1024];
	size_t len = (size_t)snprintf(bytes, sizeof(bytes), "%s", words) + 1;

	for (size_t i = 0; i < len; i++)
		if (bytes[i] == ' ')
			bytes[i] = '\0';
	fixture_bytes("proc/4711/cmdline", bytes, len);
}

static inline void set_status(unsigned int rss, unsigned int swap, unsigned int locked,
			      unsigned int pinned, unsigned int huge)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "Name:\tqemu\nVmLck:\t%u kB\nVmPin:\t%u kB\nVmRSS:\t%u kB\nVmSwap:\t%u kB\n"
		 "HugetlbPages:\t%u kB\nMems_allowed_list:\t0-1\n",
		 locked, pinned, rss, swap, huge);
	fixture_file("proc/4711/status", text);
}

static inline void set_node(unsigned int node, unsigned int total, unsigned int free_kib)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "sys/devices/system/node/node%u/meminfo", node);
	snprintf(text, sizeof(text), "Node %u MemTotal: %u kB\nNode %u MemFree: %u kB\n", node,
		 total, node, free_kib);
	fixture_file(name, text);
}

/* Adds lines to the process's status. */
static inline void add_status(const char *lines)
{
	char text[1024];

	snprintf(text, sizeof(text), "VmLck:\t0 kB\nVmPin:\t0 kB\nVmRSS:\t4194304 kB\n%s", lines);
	fixture_file("proc/4711/status", text);
}

/* A watched VM for which everything is right; tests break it. */
static inline int setup(void **state)
{
	fixture_begin();
	set_args("qemu-system-x86_64 -name web1 -cpu host,migratable=on -overcommit mem-lock=off");
	set_status(200000, 300000, 0, 0, 0);
	fixture_link("proc/4711/fd/3", "anon_inode:kvm-vm");
	fixture_file("proc/4711/cgroup", "0::/machine.slice/web1.scope/libvirt/emulator\n");
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/memory.swap.max", "max\n");
	fixture_file("sys/module/kvm_amd/parameters/nested", "0\n");
	fixture_file("proc/sys/kernel/osrelease", "6.12.107+deb13-amd64\n");
	fixture_file("sys/devices/system/node/has_memory", "0-1\n");
	set_node(0, 1000000, 500000);
	set_node(1, 1000000, 500000);

	memset(vcpus, 0, sizeof(vcpus));
	for (uint32_t i = 0; i < ELEMENTSOF(vcpus); i++) {
		vcpus[i].index = i;
		vcpus[i].guest_apf = APF_GUEST_APF_USER;
		vcpus[i].kvm_features_known = true;
		vcpus[i].kvm_features = FEATURES_HOST;
	}
	memset(&totals, 0, sizeof(totals));
	memset(&figures, 0, sizeof(figures));
	memset(guest, 0, sizeof(guest));
	memset(&d, 0, sizeof(d));
	foreign = false;
	roots = (struct identity_roots){ .proc_root = fixture_path("proc"),
					 .run_root = fixture_path("run"),
					 .pods_dir = fixture_path("pods") };
	vm = (struct doctor_vm){
		.name = "web1",
		.proc_root = fixture_path("proc"),
		.sys_root = fixture_path("sys"),
		.cgroup_root = fixture_path("sys/fs/cgroup"),
		.pid = PID,
		.module = true,
		.nested_guard = true,
		.state = VM_STATE_ON,
		.vcpus = vcpus,
		.n_vcpus = ELEMENTSOF(vcpus),
		.totals = &totals,
		.figures = &figures,
		.guest_module = VM_GUEST_MODULE_ABSENT,
		.guest = guest,
	};
	return 0;
}

static inline int teardown(void **state)
{
	free(args);
	args = NULL;
	return fixture_end();
}

/* What apfd finds out about a VM that libvirt does not know. */
static inline void load_identity(void)
{
	struct vmm_args words = { .text = args };

	for (const char *a = args; a && *a; a += strlen(a) + 1)
		words.size += strlen(a) + 1;
	identity_load(&roots, PID, &words, &identity);
	vm.identity = &identity;
}

static inline void run(void)
{
	free(args);
	args = vm.pid ? cmdline_load(vm.proc_root, (pid_t)vm.pid) : NULL;
	vm.args = args;
	if (foreign)
		load_identity();
	memset(&d, 0, sizeof(d));
	doctor_vm(&vm, &d);
}

static inline const struct diag_finding *find(enum diag_check check)
{
	run();
	return diag_find(&d, check);
}

static inline const struct diag_finding *look(enum diag_check check, enum diag_state want,
					      const char *words)
{
	const struct diag_finding *f = find(check);

	assert_non_null(f);
	if (f->state != want || !strstr(f->fact, words))
		fail_msg("%s: %s, %s", diag_checks[check].name, diag_state_to_string(f->state),
			 f->fact);
	return f;
}

static inline void has(const struct diag_finding *f, const char *words)
{
	assert_non_null(f);
	if (!strstr(f->remedy, words))
		fail_msg("%s: \"%s\" is not in: %s", diag_checks[f->check].name, words, f->remedy);
}

#endif /* APF_TESTS_DOCTOR_FIXTURE_H */
