/* SPDX-License-Identifier: GPL-2.0 */
/* What the doctor says of made-up VMs, and what a domain's XML says of one. */
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

/* @words separated by blanks, as a command line has them. */
static void set_args(const char *words)
{
	char bytes[1024];
	size_t len = (size_t)snprintf(bytes, sizeof(bytes), "%s", words) + 1;

	for (size_t i = 0; i < len; i++)
		if (bytes[i] == ' ')
			bytes[i] = '\0';
	fixture_bytes("proc/4711/cmdline", bytes, len);
}

static void set_status(unsigned int rss, unsigned int swap, unsigned int locked,
		       unsigned int pinned, unsigned int huge)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "Name:\tqemu\nVmLck:\t%u kB\nVmPin:\t%u kB\nVmRSS:\t%u kB\nVmSwap:\t%u kB\n"
		 "HugetlbPages:\t%u kB\n",
		 locked, pinned, rss, swap, huge);
	fixture_file("proc/4711/status", text);
}

/* A watched VM for which everything is right; tests break it. */
static int setup(void **state)
{
	fixture_begin();
	set_args("qemu-system-x86_64 -name web1 -cpu host,migratable=on -overcommit mem-lock=off");
	set_status(200000, 300000, 0, 0, 0);
	fixture_link("proc/4711/fd/3", "anon_inode:kvm-vm");
	fixture_file("proc/4711/cgroup", "0::/machine.slice/web1.scope/libvirt/emulator\n");
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/memory.swap.max", "max\n");
	fixture_file("sys/module/kvm_amd/parameters/nested", "0\n");

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
	vm = (struct doctor_vm){
		.name = "web1",
		.libvirt = true,
		.proc_root = fixture_path("proc"),
		.sys_root = fixture_path("sys"),
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

static int teardown(void **state)
{
	free(args);
	args = NULL;
	return fixture_end();
}

static void run(void)
{
	free(args);
	args = vm.pid ? cmdline_load(vm.proc_root, (pid_t)vm.pid) : NULL;
	vm.args = args;
	memset(&d, 0, sizeof(d));
	doctor_vm(&vm, &d);
}

static const struct diag_finding *find(enum diag_check check)
{
	run();
	return diag_find(&d, check);
}

static const struct diag_finding *look(enum diag_check check, enum diag_state want,
				       const char *words)
{
	const struct diag_finding *f = find(check);

	assert_non_null(f);
	if (f->state != want || !strstr(f->fact, words))
		fail_msg("%s: %s, %s", diag_checks[check].name, diag_state_to_string(f->state),
			 f->fact);
	return f;
}

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
	vm.libvirt = false;
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
		strstr(look(CHECK_GUEST_APF, DIAG_FAIL, "has not asked")->remedy, "no-kvmapf"));
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
	guest[APF_GUEST_A_POOL_EXHAUSTED] = 3;
	look(CHECK_GUEST_POOL, DIAG_WARN, "times: 3");
	guest[APF_GUEST_A_POOL_IN_USE] = 1;
	assert_true(look(CHECK_GUEST_POOL, DIAG_WARN, "1 of 2")->remedy[0]);
	guest[APF_GUEST_A_RESCUES] = 4;
	look(CHECK_WAITERS, DIAG_WARN, "times: 4");
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
	look(CHECK_IRQCHIP, DIAG_FAIL, "emulated by QEMU");
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

static void test_memory(void **state)
{
	struct domain_xml live = {};

	set_status(100000, 0, 0, 0, 524288);
	assert_non_null(strstr(look(CHECK_HUGE_PAGES, DIAG_FAIL, "512 MiB")->remedy,
			       "\n  <memoryBacking><hugepages/></memoryBacking>"));
	set_status(600000, 0, 0, 0, 524288);
	look(CHECK_HUGE_PAGES, DIAG_WARN, "512 MiB");

	/* A little is locked by many. */
	set_status(600000, 0, 4096, 0, 0);
	look(CHECK_LOCKED, DIAG_OK, "");
	set_status(600000, 0, 102400, 0, 0);
	look(CHECK_LOCKED, DIAG_WARN, "100 MiB");
	set_status(600000, 0, 524288, 0, 0);
	look(CHECK_LOCKED, DIAG_FAIL, "512 MiB");
	set_status(600000, 0, 0, 524288, 0);
	look(CHECK_LOCKED, DIAG_FAIL, "512 MiB");
	set_status(600000, 0, 0, 0, 0);
	live.locked = true;
	vm.live = &live;
	assert_non_null(strstr(look(CHECK_LOCKED, DIAG_FAIL, "")->remedy, "<locked/>"));

	live = (struct domain_xml){};
	look(CHECK_VFIO, DIAG_OK, "");
	fixture_link("proc/4711/fd/7", "/dev/vfio/vfio");
	look(CHECK_VFIO, DIAG_OK, "");
	fixture_link("proc/4711/fd/8", "anon_inode:[vfio-device]");
	look(CHECK_VFIO, DIAG_FAIL, "1 of the host's devices");
	live.hostdevs = 3;
	look(CHECK_VFIO, DIAG_FAIL, "3 of the host's devices");
}

static void test_swap_limit(void **state)
{
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/libvirt/memory.max", "209715200\n");
	look(CHECK_SWAP_LIMIT, DIAG_OK, "may swap (its memory is limited to 200 MiB)");
	fixture_file("sys/fs/cgroup/machine.slice/web1.scope/memory.swap.max", "1073741824\n");
	look(CHECK_SWAP_LIMIT, DIAG_OK, "1024 MiB in swap");
	/* One above counts as well. */
	fixture_file("sys/fs/cgroup/machine.slice/memory.swap.max", "0\n");
	assert_non_null(strstr(
		look(CHECK_SWAP_LIMIT, DIAG_FAIL, "memory.swap.max is 0 in /machine.slice")->remedy,
		"\n  echo max > '/sys/fs/cgroup/machine.slice/memory.swap.max'"));
	/* Whoever made the group chose its name; a shell must take it for a word. */
	fixture_file("proc/4711/cgroup", "0::/x';touch y;'\n");
	fixture_file("sys/fs/cgroup/x';touch y;'/memory.swap.max", "0\n");
	assert_non_null(
		strstr(find(CHECK_SWAP_LIMIT)->remedy,
		       "\n  echo max > '/sys/fs/cgroup/x'\\'';touch y;'\\''/memory.swap.max'"));
	fixture_file("proc/4711/cgroup", "0::/../../elsewhere\n");
	assert_null(find(CHECK_SWAP_LIMIT));
	fixture_file("proc/4711/cgroup", "1:cpu:/x\n");
	assert_null(find(CHECK_SWAP_LIMIT));
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
	vm.just_moved = true;
	look(CHECK_SWAP_INS, DIAG_OK, "too early");
	vm.just_moved = false;
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
			"<interface type='hostdev'/><interface type='network'/></devices></domain>",
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
		TEST(test_gate),
		TEST(test_names_are_quoted),
		TEST(test_cpuid),
		TEST(test_cpuid_not_seen_yet),
		TEST(test_guest_apf),
		TEST(test_guest_report),
		TEST(test_encryption),
		TEST(test_qemu_options),
		TEST(test_nested),
		TEST(test_memory),
		TEST(test_swap_limit),
		TEST(test_swap_ins),
		TEST(test_no_process),
		cmocka_unit_test(test_xml),
		cmocka_unit_test(test_xml_offers),
		cmocka_unit_test(test_xml_refused),
	};

	return cmocka_run_group_tests_name("doctor-vm", tests, NULL, NULL);
}
