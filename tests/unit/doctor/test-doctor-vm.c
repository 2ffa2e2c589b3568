/* SPDX-License-Identifier: GPL-2.0 */
/* What the doctor says of made-up VMs, and what a domain's XML says of one. */
#include "doctor-fixture.h"

static void test_healthy(void **state)
{
	run();
	for (size_t i = 0; i < d.n; i++) {
		const struct diag_finding *f = &d.findings[i];

		if (f->state != DIAG_OK || f->remedy[0])
			fail_msg("%s: %s", diag_checks[f->check].name, f->fact);
		assert_true(diag_checks[f->check].of_vm);
	}
	/* A guest without our module says nothing of its pool. */
	for (int c = 0; c < _DIAG_CHECK_MAX; c++)
		if (diag_checks[c].of_vm && c != CHECK_GUEST_POOL && c != CHECK_WAITERS)
			assert_non_null(diag_find(&d, (enum diag_check)c));
}

static void test_unwatched(void **state)
{
	vm.why_unwatched = "its process holds no KVM VM";
	look(CHECK_WATCHED, DIAG_FAIL, "holds no KVM VM");
	assert_null(find(CHECK_GATE));
	assert_null(find(CHECK_GUEST_APF));
	assert_null(find(CHECK_SWAP_INS));
	/* Its command line speaks still. */
	look(CHECK_ASYNCPF_INT, DIAG_OK, "by its command line");
	vm.module = false;
	assert_string_equal(look(CHECK_WATCHED, DIAG_FAIL, "")->remedy,
			    "load it:\n  modprobe apf_host");
	/* Nothing is known of one without a process. */
	vm.pid = 0;
	assert_null(find(CHECK_ASYNCPF_INT));
	assert_null(find(CHECK_VFIO));
}

static void set_label(pid_t pid, const char *label)
{
	char name[64];

	snprintf(name, sizeof(name), "proc/%d/attr/current", (int)pid);
	fixture_file(name, label);
}

/* The profiles of libvirt's VMs let everybody in: the rule is missing in the profile of apfd. */
static void test_access_refused(void **state)
{
	vm.why_unwatched = "apfd may not access its process";
	vm.access_refused = true;
	assert_string_equal(look(CHECK_WATCHED, DIAG_FAIL, "may not access")->remedy, "");
	set_label(PID, "libvirt-7b1e0001 (enforce)\n");
	set_label(getpid(), "/usr/sbin/apfd (enforce)\n");
	assert_string_equal(look(CHECK_WATCHED, DIAG_FAIL, "may not access")->remedy,
			    "add a rule to the AppArmor profile /usr/sbin/apfd, and load the "
			    "profile again:\n"
			    "  ptrace (read, trace) peer=libvirt-*,");
	vm.access_refused = false;
	assert_string_equal(find(CHECK_WATCHED)->remedy, "");
	vm.access_refused = true;
	set_label(PID, "system_u:system_r:svirt_t:s0:c1,c2");
	assert_string_equal(find(CHECK_WATCHED)->remedy, "");
}

static void test_gate(void **state)
{
	vm.state = VM_STATE_OFF;
	assert_non_null(
		strstr(look(CHECK_GATE, DIAG_WARN, "off")->remedy, "\n  apfctl enable web1"));
	vm.automatic = true;
	look(CHECK_GATE, DIAG_OK, "apfd decides");
	vm.state = VM_STATE_MIXED;
	vm.automatic = false;
	look(CHECK_GATE, DIAG_WARN, "mixed");
	vm.state = VM_STATE_PV;
	look(CHECK_GATE, DIAG_OK, "pv");
}

/* Whoever names a VM must not get a command into an operator's shell. */
static void test_names_are_quoted(void **state)
{
	static const char *const table[][2] = {
		{ "web-1.x_Y", "\n  apfctl enable web-1.x_Y" },
		{ "web 1", "\n  apfctl enable 'web 1'" },
		{ "a';reboot;'", "\n  apfctl enable 'a'\\'';reboot;'\\'''" },
		{ "$(reboot)", "\n  apfctl enable '$(reboot)'" },
		{ "-x", "\n  apfctl enable -- '-x'" },
		{ "", "\n  apfctl enable ''" },
	};

	vm.state = VM_STATE_OFF;
	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		vm.name = table[i][0];
		assert_non_null(strstr(look(CHECK_GATE, DIAG_WARN, "")->remedy, table[i][1]));
	}
}

static void test_cpuid(void **state)
{
	struct domain_xml config = { .cpu_mode = "custom", .cpu_model = "EPYC" };
	const struct diag_finding *f;

	set_args("qemu-system-x86_64 -cpu EPYC,monitor=off,kvmclock=on");
	vcpus[1].kvm_features = FEATURES_NAMED;
	f = look(CHECK_ASYNCPF_INT, DIAG_FAIL, "kvm-asyncpf-int (CPU EPYC)");
	assert_non_null(strstr(f->remedy, "\n  <cpu mode='host-passthrough'/>\n"));
	assert_non_null(strstr(f->remedy,
			       "\n    <qemu:arg value='-global'/>\n"
			       "    <qemu:arg value='x86_64-cpu.kvm-asyncpf-int=on'/>\n"));
	assert_non_null(strstr(f->remedy, "virsh edit web1"));
	look(CHECK_ASYNCPF, DIAG_OK, "kvm-asyncpf");

	/* Changed, but not started again. */
	vm.config = &config;
	assert_non_null(strstr(look(CHECK_ASYNCPF_INT, DIAG_FAIL, "")->remedy, "<cpu mode="));
	config.asyncpf_int = true;
	f = look(CHECK_ASYNCPF_INT, DIAG_FAIL, "");
	assert_null(strstr(f->remedy, "<cpu mode="));
	assert_non_null(strstr(f->remedy, "\n  virsh start web1"));

	/* Not libvirt's. */
	foreign = true;
	f = look(CHECK_ASYNCPF_INT, DIAG_FAIL, "");
	assert_non_null(
		strstr(f->remedy, "\n  -cpu EPYC,monitor=off,kvmclock=on,kvm-asyncpf-int=on"));
	/* Not even QEMU. */
	set_args("firecracker --api-sock /run/x");
	assert_non_null(strstr(look(CHECK_ASYNCPF_INT, DIAG_FAIL, "")->remedy, "0x40000001"));

	/* Nothing of KVM. */
	vcpus[0].kvm_features = vcpus[1].kvm_features = 0;
	look(CHECK_ASYNCPF, DIAG_FAIL, "does not offer kvm-asyncpf");
	look(CHECK_ASYNCPF_INT, DIAG_FAIL, "");
}

static void test_cpuid_not_seen_yet(void **state)
{
	static const struct {
		const char *args;
		int asyncpf, asyncpf_int; /* -1: not known */
	} table[] = {
		{ "qemu-system-x86_64 -cpu host", 1, 1 },
		{ "qemu-system-x86_64 --cpu max,svm=off", 1, 1 },
		{ "qemu-system-x86_64 -cpu host,kvm-asyncpf-int=off", 1, 0 },
		{ "qemu-system-x86_64 -cpu hostile", 1, 0 },
		{ "qemu-system-x86_64 -cpu host,kvm=off", 0, 0 },
		{ "qemu-system-x86_64 -cpu EPYC", 1, 0 },
		{ "qemu-system-x86_64 -cpu EPYC,+kvm-asyncpf-int", 1, 1 },
		{ "qemu-system-x86_64 -cpu EPYC,+kvm_asyncpf_int", 1, 1 },
		{ "qemu-system-x86_64 -cpu EPYC,kvm-asyncpf-int=on,x=y", 1, 1 },
		{ "qemu-system-x86_64 -cpu EPYC,-kvm-asyncpf", 0, 0 },
		{ "qemu-system-x86_64 -cpu EPYC -global x86_64-cpu.kvm-asyncpf-int=on", 1, 1 },
		{ "qemu-system-x86_64 -cpu host -cpu EPYC", 1, 0 },
		{ "qemu-system-x86_64 -name -cpu", -1, -1 },
		{ "firecracker", -1, -1 },
		{ "", -1, -1 },
	};

	for (size_t i = 0; i < ELEMENTSOF(vcpus); i++) {
		vcpus[i].kvm_features_known = false;
		vcpus[i].guest_apf = APF_GUEST_APF_OFF;
	}
	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
#define STATE(x) ((x) < 0 ? DIAG_UNKNOWN : (x) ? DIAG_OK : DIAG_FAIL)
		set_args(table[i].args);
		look(CHECK_ASYNCPF, STATE(table[i].asyncpf), "");
		look(CHECK_ASYNCPF_INT, STATE(table[i].asyncpf_int), "");
#undef STATE
	}

	/* A guest that asked for it was offered it. */
	vcpus[1].guest_apf = APF_GUEST_APF_USER;
	look(CHECK_ASYNCPF_INT, DIAG_OK, "");
}

static void test_guest_apf(void **state)
{
	vcpus[0].guest_apf = vcpus[1].guest_apf = APF_GUEST_APF_ALWAYS;
	look(CHECK_GUEST_APF, DIAG_OK, "user and kernel");
	vcpus[1].guest_apf = APF_GUEST_APF_OFF;
	look(CHECK_GUEST_APF, DIAG_WARN, "on vCPU 1:");
	vcpus[1].paused = true;
	look(CHECK_GUEST_APF, DIAG_OK, "");
	vcpus[1].paused = false;
	vcpus[0].guest_apf = APF_GUEST_APF_OFF;
	assert_non_null(
		strstr(look(CHECK_GUEST_APF, DIAG_FAIL, "has not enabled")->remedy, "no-kvmapf"));
	vcpus[0].kvm_features = vcpus[1].kvm_features = FEATURES_NAMED;
	assert_string_equal(look(CHECK_GUEST_APF, DIAG_FAIL, "see asyncpf-int")->remedy, "");
}

static void test_guest_report(void **state)
{
	vm.guest_module = VM_GUEST_MODULE_PRESENT;
	guest[APF_GUEST_A_POOL_SIZE] = 2;
	look(CHECK_GUEST_MODULE, DIAG_OK, "reports");
	look(CHECK_GUEST_POOL, DIAG_OK, "none of 2");
	look(CHECK_WAITERS, DIAG_OK, "");
	guest[APF_GUEST_A_STUCK] = 5;
	look(CHECK_WAITERS, DIAG_WARN, "5 times");
	guest[APF_GUEST_A_POOL_EXHAUSTED] = 3;
	look(CHECK_GUEST_POOL, DIAG_WARN, "3 times");
	guest[APF_GUEST_A_POOL_IN_USE] = 1;
	assert_true(look(CHECK_GUEST_POOL, DIAG_WARN, "1 of 2")->remedy[0]);
	guest[APF_GUEST_A_RESCUES] = 4;
	look(CHECK_WAITERS, DIAG_WARN, "4 times");
	guest[APF_GUEST_A_OLDEST_SLEEPER_MSEC] = 60000;
	look(CHECK_WAITERS, DIAG_WARN, "");
	guest[APF_GUEST_A_SLEEPERS] = 1;
	look(CHECK_WAITERS, DIAG_FAIL, "60000 ms");
}

static void test_encryption(void **state)
{
	struct domain_xml live = {};

	set_args("qemu-system-x86_64 -cpu host -object {\"qom-type\":\"sev-guest\"}");
	look(CHECK_ENCRYPTION, DIAG_FAIL, "(sev-guest)");
	set_args("qemu-system-x86_64 -cpu host -object tdx-guest,id=t");
	look(CHECK_ENCRYPTION, DIAG_FAIL, "(tdx-guest)");
	set_args("vmm");
	fixture_link("proc/4711/fd/9", "/dev/sev");
	look(CHECK_ENCRYPTION, DIAG_FAIL, "(sev)");
	fixture_remove("proc/4711/fd/9");
	look(CHECK_ENCRYPTION, DIAG_OK, "");
	fixture_link("proc/4711/fd/9", "anon_inode:[kvm-gmem]");
	look(CHECK_ENCRYPTION, DIAG_FAIL, "(guest_memfd)");
	set_args("cloud-hypervisor --platform num_pci_segments=1,sev_snp=on");
	look(CHECK_ENCRYPTION, DIAG_FAIL, "(sev-snp)");
	snprintf(live.launch_security, sizeof(live.launch_security), "sev-snp");
	vm.live = &live;
	look(CHECK_ENCRYPTION, DIAG_FAIL, "(sev-snp)");
}

static void test_qemu_options(void **state)
{
	set_args("qemu-system-x86_64 -cpu host -overcommit cpu-pm=on");
	assert_non_null(strstr(look(CHECK_CPU_PM, DIAG_WARN, "cpu-pm=on")->remedy,
			       "\n  -overcommit cpu-pm=on"));
	set_args("qemu-system-x86_64 -cpu host -machine pc,kernel-irqchip=off");
	look(CHECK_IRQCHIP, DIAG_FAIL, "QEMU emulates");
	set_args("qemu-system-x86_64 -cpu host -machine q35,kernel-irqchip=split");
	look(CHECK_IRQCHIP, DIAG_OK, "");
	set_args("firecracker");
	assert_null(find(CHECK_CPU_PM));
	assert_null(find(CHECK_IRQCHIP));
}

static void test_nested(void **state)
{
	look(CHECK_NESTED, DIAG_OK, "cannot run");
	fixture_file("sys/module/kvm_amd/parameters/nested", "1\n");
	look(CHECK_NESTED, DIAG_OK, "may run");
	vm.nested_guard = false;
	look(CHECK_NESTED, DIAG_WARN, "guard is off");
	vm.nested_guard = true;
	set_args("qemu-system-x86_64 -cpu host,svm=off");
	look(CHECK_NESTED, DIAG_OK, "cannot run");
	set_args("qemu-system-x86_64 -cpu EPYC,svm=on");
	look(CHECK_NESTED, DIAG_OK, "may run");
	totals.counters[APF_STAT_ASKED] = 100;
	totals.counters[APF_STAT_REFUSED_NESTED] = 10;
	look(CHECK_NESTED, DIAG_WARN, "10 of 100");
	totals.counters[APF_STAT_REFUSED_NESTED] = 90;
	look(CHECK_NESTED, DIAG_FAIL, "90 of 100");
}

/* Remedies name the setting of whoever started the VM. */
static void test_remedies_of_managers(void **state)
{
	static const char pod[] =
		"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f0a1b2c_0d0e_"
		"4f00_8a00_1234567890ab.slice/crio-1.scope\n";
	static const struct {
		const char *args, *group;
		const char *asyncpf_int, *huge_pages, *devices, *encryption, *shared;
	} table[] = {
		{ "/usr/bin/kvm -id 101 -name web-01 -cpu qemu64,+aes",
		  "0::/qemu.slice/101.scope\n",
		  "\n  qm set 101 --cpu host\n  qm shutdown 101 && qm start 101\n",
		  "\n  qm set 101 --delete hugepages", "\n  qm set 101 --delete hostpci0",
		  "\n  qm set 101 --delete amd-sev", "\n  qm set 101 --delete virtiofs0" },
		{ "/usr/bin/kvm -id 7 -pidfile /var/run/qemu-server/7.pid -cpu EPYC", "0::/x\n",
		  "reported-model EPYC\n  qm set 7 --cpu custom-apf", "qm set 7 ", "qm set 7 ",
		  "qm set 7 ", "qm set 7 " },
		{ "/usr/libexec/qemu-kvm -name guest=prod_db-1,debug-threads=on -cpu EPYC", pod,
		  "kubectl edit vm -n prod db-1, below spec.template.spec.domain, set\n"
		  "  cpu:\n    model: host-passthrough",
		  "\n  memory:\n    hugepages:", "\n    masquerade: {}", "launchSecurity",
		  "\n    filesystems:" },
		{ "/usr/libexec/qemu-kvm -name guest=$(reboot)_x -cpu EPYC", pod,
		  "kubectl edit vm -n NAMESPACE VM,", "", "", "", "" },
		{ "/usr/bin/firecracker --id vm1 --api-sock /run/x", "0::/firecracker/vm1\n",
		  "\"bitmap\": \"0bxxxxxxxxxxxxxxxxx1xxxxxxxxx1xxxx\"", "\"huge_pages\": \"None\"",
		  "virtio", "", "without shared memory" },
		{ "cloud-hypervisor --api-socket /run/ch.sock --cpus boot=2", "0::/x\n",
		  "\n  --cpus boot=N,kvm_hyperv=off", "hugepages=off",
		  "without --device and --vdpa", "--platform sev_snp=on", "shared=off" },
		{ "qemu-system-x86_64 -cpu EPYC,x=y", "0::/x\n",
		  "\n  -cpu EPYC,x=y,kvm-asyncpf-int=on", "hugetlb=on", "without vfio-pci",
		  "without encryption", "share=off" },
		{ "crosvm run --mem 512", "0::/x\n", "0x40000001", "without huge pages", "virtio",
		  "without encryption", "without shared memory" },
	};

	foreign = true;
	for (size_t i = 0; i < ELEMENTSOF(vcpus); i++)
		vcpus[i].kvm_features = FEATURES_NAMED;
	fixture_link("proc/4711/fd/8", "anon_inode:[vfio-device]");
	fixture_link("proc/4711/fd/9", "/dev/sev");
	fixture_file("run/qemu-server/7.pid", "4711\n");
	add_status("RssShmem:\t4000000 kB\nHugetlbPages:\t1024 kB\n");
	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		set_args(table[i].args);
		fixture_file("proc/4711/cgroup", table[i].group);
		has(find(CHECK_ASYNCPF_INT), table[i].asyncpf_int);
		has(find(CHECK_HUGE_PAGES), table[i].huge_pages);
		has(find(CHECK_VFIO), table[i].devices);
		has(find(CHECK_ENCRYPTION), table[i].encryption);
		has(find(CHECK_SHARED), table[i].shared);
		for (size_t k = 0; k < d.n; k++) {
			assert_true(strlen(d.findings[k].remedy) + 1 < DIAG_REMEDY_MAX);
			assert_null(strstr(d.findings[k].remedy, "virsh"));
			assert_null(strchr(d.findings[k].remedy, '@'));
		}
	}
	/* The namespace is kubelet's, whatever the VM claims. */
	fixture_file("pods/shop_virt-launcher-db-1-x_3f0a1b2c-0d0e-4f00-8a00-1234567890ab/x", "");
	set_args("/usr/libexec/qemu-kvm -name guest=shop_db-1 -cpu EPYC");
	fixture_file("proc/4711/cgroup", pod);
	has(find(CHECK_ASYNCPF_INT), "kubectl edit vm -n shop db-1,");
	set_args("/usr/libexec/qemu-kvm -name guest=prod_db-1 -cpu EPYC");
	has(find(CHECK_ASYNCPF_INT), "kubectl edit vm -n NAMESPACE VM,");
	/* Proxmox's own name for a set of features cannot be the base of a model. */
	set_args("kvm -cpu x86-64-v2-AES,enforce");
	fixture_file("proc/4711/cgroup", "0::/qemu.slice/101.scope\n");
	has(find(CHECK_ASYNCPF_INT), "reported-model MODEL");
}

static void test_hidden_kvm(void **state)
{
	struct domain_xml live = { .kvm_hidden = true };

	for (size_t i = 0; i < ELEMENTSOF(vcpus); i++)
		vcpus[i].kvm_features = 0;
	vm.live = &live;
	has(look(CHECK_ASYNCPF, DIAG_FAIL, "does not know of APF"),
	    "virsh edit web1, and take out\n  <kvm><hidden state='on'/></kvm>");
	assert_string_equal(look(CHECK_ASYNCPF_INT, DIAG_FAIL, "")->remedy, "see asyncpf first");
	vm.live = NULL;
	foreign = true;
	set_args("kvm -cpu host,kvm=off");
	has(find(CHECK_ASYNCPF), "take kvm=off");
	fixture_file("proc/4711/cgroup", "0::/qemu.slice/101.scope\n");
	has(find(CHECK_ASYNCPF), "\n  qm set 101 --cpu host\n");
}

#define WINDOWS "qemu-system-x86_64 -cpu EPYC,hv-time=on,hv_relaxed,hv-vapic=on "

/* What a Windows cannot do is no failure. */
static void test_windows(void **state)
{
	struct domain_xml live = { .windows = true };

	set_args(WINDOWS "-rtc base=localtime");
	for (size_t i = 0; i < ELEMENTSOF(vcpus); i++) {
		vcpus[i].guest_apf = APF_GUEST_APF_OFF;
		vcpus[i].kvm_features = FEATURES_NAMED;
	}
	look(CHECK_ASYNCPF_INT, DIAG_OK, "which Windows does not use");
	look(CHECK_GUEST_APF, DIAG_OK, "KVM halts the vCPU");
	for (size_t i = 0; i < d.n; i++)
		if (d.findings[i].state != DIAG_OK)
			fail_msg("%s", d.findings[i].fact);
	vcpus[0].kvm_features = vcpus[1].kvm_features = 0;
	look(CHECK_ASYNCPF, DIAG_OK, "which Windows does not use");
	/* Its gate must be on. */
	vm.state = VM_STATE_PV;
	has(look(CHECK_GUEST_APF, DIAG_WARN, "every swap-in is synchronous"),
	    "\n  apfctl enable web1");
	totals.counters[APF_STAT_SYNC_STALLS] = 1000;
	look(CHECK_SWAP_INS, DIAG_WARN, "see guest-apf");
	/* Linux with Hyper-V's features, and one that a tool took for Windows. */
	set_args(WINDOWS "-rtc base=utc");
	look(CHECK_GUEST_APF, DIAG_FAIL, "has not enabled APF");
	set_args("qemu-system-x86_64 -cpu host -rtc base=localtime");
	look(CHECK_GUEST_APF, DIAG_FAIL, "has not enabled APF");
	vm.live = &live;
	look(CHECK_GUEST_APF, DIAG_WARN, "Windows");
	vcpus[1].guest_apf = APF_GUEST_APF_USER;
	look(CHECK_ASYNCPF, DIAG_FAIL, "");
	look(CHECK_GUEST_APF, DIAG_WARN, "on vCPU 0:");
}

static void test_smm(void **state)
{
	struct domain_xml live = { .smm = true };

	look(CHECK_SMM, DIAG_OK, "does not use SMM");
	set_args("qemu-kvm -cpu host -machine q35,smm=on");
	look(CHECK_SMM, DIAG_OK, "this kernel keeps outstanding faults");
	fixture_file("proc/sys/kernel/osrelease", "6.12.63\n");
	has(look(CHECK_SMM, DIAG_WARN, "(6.12.63) drops \"page ready\""),
	    "\n  apfctl disable web1");
	assert_null(strstr(find(CHECK_SMM)->fact, "so far"));
	totals.counters[APF_STAT_DROPPED] = 12;
	look(CHECK_SMM, DIAG_WARN, "12 were dropped so far");
	fixture_file("proc/sys/kernel/osrelease", "6.17.2-1-pve\n");
	look(CHECK_SMM, DIAG_WARN, "may drop");
	set_args("qemu-kvm -global driver=cfi.pflash01,property=secure,value=on");
	look(CHECK_SMM, DIAG_WARN, "may drop");
	set_args("qemu-kvm");
	look(CHECK_SMM, DIAG_OK, "does not use SMM");
	vm.live = &live;
	look(CHECK_SMM, DIAG_WARN, "may drop");
	/* The remedies. */
	vm.state = VM_STATE_OFF;
	look(CHECK_SMM, DIAG_OK, "its gate is off");
	vm.state = VM_STATE_ON;
	fixture_file("proc/sys/kernel/osrelease", "6.12.64\n");
	look(CHECK_SMM, DIAG_OK, "");
}

static void test_swap_ins(void **state)
{
	uint64_t *c = totals.counters;

	look(CHECK_SWAP_INS, DIAG_OK, "too few");
	c[APF_STAT_READY] = 990;
	c[APF_STAT_SYNC_STALLS] = 10;
	look(CHECK_SWAP_INS, DIAG_OK, "99 %");
	c[APF_STAT_SYNC_STALLS] = 99000;
	look(CHECK_SWAP_INS, DIAG_WARN, "1 %");
	/* The present weighs more than the past. */
	figures.async_rate = 100;
	look(CHECK_SWAP_INS, DIAG_OK, "100 %");
	figures.async_rate = 0;
	figures.sync_rate = 100;
	c[APF_STAT_SYNC_STALLS] = 0;
	look(CHECK_SWAP_INS, DIAG_FAIL, "silently inactive");
	vm.gate_just_changed = true;
	look(CHECK_SWAP_INS, DIAG_OK, "too early");
	vm.gate_just_changed = false;
	vm.state = VM_STATE_OFF;
	look(CHECK_SWAP_INS, DIAG_OK, "its gate is off");

	c[APF_STAT_NOT_PRESENT] = 1000;
	c[APF_STAT_PROBE_MISSES] = 9;
	look(CHECK_PROBE_MISSES, DIAG_OK, "9 events");
	c[APF_STAT_PROBE_MISSES] = 10;
	look(CHECK_PROBE_MISSES, DIAG_WARN, "10 events");
}

/* A process that is gone while it is looked at. */
static void test_no_process(void **state)
{
	fixture_remove("proc/4711");
	look(CHECK_WATCHED, DIAG_OK, "");
	look(CHECK_ASYNCPF_INT, DIAG_OK, "");
	assert_null(find(CHECK_LOCKED));
	assert_null(find(CHECK_ENCRYPTION));
}

/* ---- XML ---- */

static void test_xml(void **state)
{
	struct domain_xml x;

	assert_int_equal(
		domain_xml_parse(
			"<domain type='kvm' id='1'><name>x</name>"
			"<metadata><o:x xmlns:o='urn:o'><cpu "
			"mode='host-passthrough'/></o:x></metadata>"
			"<memoryBacking><hugepages/><locked/></memoryBacking>"
			"<features><kvm><hidden state='on'/></kvm></features>"
			"<cpu mode='custom' match='exact'><model "
			"fallback='forbid'>EPYC</model></cpu>"
			"<launchSecurity type='sev'/>"
			"<devices><hostdev mode='subsystem' type='usb'/><hostdev type='pci'/>"
			"<interface type='hostdev'/><interface type='network'/>"
			"<interface type='vdpa'/><disk type='vhostvdpa'/><disk type='nvme'/>"
			"<disk type='file'/><hostdev type='mdev'/>"
			"<filesystem><driver type='virtiofs'/></filesystem></devices></domain>",
			&x),
		0);
	assert_string_equal(x.cpu_mode, "custom");
	assert_string_equal(x.cpu_model, "EPYC");
	assert_string_equal(x.launch_security, "sev");
	assert_true(x.huge_pages);
	assert_true(x.locked);
	assert_true(x.kvm_hidden);
	assert_false(x.asyncpf_int);
	assert_int_equal(x.hostdevs, 2);
	assert_int_equal(x.vdpas, 2);
	assert_int_equal(x.nvmes, 1);
	assert_int_equal(x.mdevs, 1);
	assert_true(x.virtiofs);
	assert_false(x.shared || x.smm || x.windows || x.swap_limited);

	assert_int_equal(
		domain_xml_parse(
			"<domain xmlns:l='urn:l'><metadata><l:libosinfo>"
			"<l:os id='http://microsoft.com/win/11'/></l:libosinfo></metadata>"
			"<memoryBacking><source type='memfd'/><access "
			"mode='shared'/></memoryBacking>"
			"<memtune><swap_hard_limit unit='KiB'>1</swap_hard_limit></memtune>"
			"<numatune><memory nodeset='0-1'/></numatune>"
			"<features><smm state='on'/></features></domain>",
			&x),
		0);
	assert_string_equal(x.memory_source, "memfd");
	assert_string_equal(x.nodes, "0-1");
	assert_true(x.shared && x.smm && x.windows && x.swap_limited);
	assert_int_equal(
		domain_xml_parse("<domain><os><loader secure='yes'/></os>"
				 "<numatune><memory mode='preferred' nodeset='0'/></numatune>"
				 "<metadata><libosinfo><os id='http://debian.org/debian/13'/>"
				 "</libosinfo></metadata></domain>",
				 &x),
		0);
	assert_true(x.smm);
	assert_false(x.windows);
	assert_string_equal(x.nodes, "");

	assert_int_equal(domain_xml_parse("<domain/>", &x), 0);
	assert_string_equal(x.cpu_mode, "");
	assert_false(domain_xml_offers_asyncpf_int(&x));
	assert_int_equal(domain_xml_parse("<domain><cpu><model>EPYC</model></cpu></domain>", &x),
			 0);
	assert_string_equal(x.cpu_mode, "custom");
}

static void test_xml_offers(void **state)
{
#define QEMU(arg)                                                          \
	"<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>" \
	"<cpu mode='host-model'/><qemu:commandline><qemu:env name='x'/>"   \
	"<qemu:arg value='-global'/><qemu:arg value='" arg "'/></qemu:commandline></domain>"
	static const struct {
		const char *xml;
		bool offers;
	} table[] = {
		{ "<domain><cpu mode='host-passthrough'/></domain>", true },
		{ "<domain><cpu mode='maximum'/></domain>", true },
		{ "<domain><cpu mode='host-model'/></domain>", false },
		{ "<domain><features><kvm><hidden state='on'/></kvm></features>"
		  "<cpu mode='host-passthrough'/></domain>",
		  false },
		{ QEMU("x86_64-cpu.kvm-asyncpf-int=on"), true },
		{ QEMU("EPYC-x86_64-cpu.kvm_asyncpf_int=on"), true },
		{ QEMU("x86_64-cpu.kvm-asyncpf-int=off"), false },
		{ "<domain><commandline><arg value='x86_64-cpu.kvm-asyncpf-int=on'/></commandline>"
		  "</domain>",
		  false },
	};
#undef QEMU

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		struct domain_xml x;

		assert_int_equal(domain_xml_parse(table[i].xml, &x), 0);
		assert_int_equal(domain_xml_offers_asyncpf_int(&x), table[i].offers);
	}
}

static void test_xml_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"<domain>",
		"<network/>",
		"no xml",
		"<domain></domain><domain/>",
		"<domain",
		"<domain a='>",
		"</domain>",
		"<domain><x></domain>",
		"<!DOCTYPE d><domain/>",
		"<domain><!-- </domain>",
		"\xff",
	};
	struct domain_xml x;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		assert_int_equal(domain_xml_parse(bad[i], &x), -EBADMSG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_healthy),
		TEST(test_unwatched),
		TEST(test_access_refused),
		TEST(test_gate),
		TEST(test_names_are_quoted),
		TEST(test_cpuid),
		TEST(test_cpuid_not_seen_yet),
		TEST(test_guest_apf),
		TEST(test_guest_report),
		TEST(test_encryption),
		TEST(test_qemu_options),
		TEST(test_nested),
		TEST(test_remedies_of_managers),
		TEST(test_hidden_kvm),
		TEST(test_windows),
		TEST(test_smm),
		TEST(test_swap_ins),
		TEST(test_no_process),
		cmocka_unit_test(test_xml),
		cmocka_unit_test(test_xml_offers),
		cmocka_unit_test(test_xml_refused),
	};

	return cmocka_run_group_tests_name("doctor-vm", tests, NULL, NULL);
}
