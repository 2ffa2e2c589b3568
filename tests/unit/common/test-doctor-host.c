/* SPDX-License-Identifier: GPL-2.0 */
/* What the doctor says of made-up hosts. */
#include "unit.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <uapi/apf_host.h>

#include "doctor-host.h"
#include "fixture.h"
#include "util.h"

static struct doctor_host host;
static struct hooks hooks;
static struct diagnosis d;

#define RELEASE "6.12.107+deb13-amd64"

/* A healthy host on Linux 6.12; tests break it. */
static int setup(void **state)
{
	static const char *const devices[] = {
		"sda2", "zram0", "zram1", "ramses", "ram3", "pmem0"
	};

	fixture_begin();
	fixture_file("proc/sys/kernel/osrelease", "6.12.107+deb13-amd64\n");
	fixture_file("proc/sys/vm/swappiness", "60\n");
	fixture_file("proc/sys/vm/page-cluster", "3\n");
	fixture_file("proc/swaps", "Filename\t\tType\t\tSize\tUsed\tPriority\n"
				   "/dev/sda2 partition 1048572 0 -2\n");
	for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
		char name[64];

		snprintf(name, sizeof(name), "sys/class/block/%s/stat", devices[i]);
		fixture_file(name, "1 0 8 1 0 0 0 0 0 0 0\n");
	}
	fixture_file("sys/module/kvm_amd/parameters/nested", "1\n");
	fixture_file("sys/module/apf_host/version", "0.1.0\n");
	fixture_file("sys/module/apf_host/parameters/nested_guard", "Y\n");
	fixture_file("sys/module/apf_host/parameters/nowait_swapin", "auto\n");
	fixture_file("sys/module/zswap/parameters/enabled", "N\n");
	fixture_file("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	fixture_file("sys/kernel/mm/lru_gen/enabled", "0x0007\n");
	fixture_file("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
	fixture_file("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
	fixture_file("modules/6.12.107+deb13-amd64/modules.dep",
		     "kernel/fs/x.ko.xz:\nupdates/dkms/apf_host.ko: kernel/arch/x86/kvm/kvm.ko\n");
	hooks = (struct hooks){ .reported = true };
	for (uint32_t id = 0; id <= APF_HOOK_MAX; id++)
		hooks.hook[hooks.n++] = (struct hook){ .id = id, .placed = true, .on = "kvm_it" };
	host = (struct doctor_host){
		.roots = {
			.proc = fixture_path("proc"),
			.sys = fixture_path("sys"),
			.modules = fixture_path("modules"),
			.boot = fixture_path("boot"),
			.var = fixture_path("var"),
			.log = fixture_path("log"),
			.cgroup = fixture_path("sys/fs/cgroup"),
			.root = fixture_path("root"),
		},
		.nowait = -1,
		.hooks = &hooks,
	};
	memset(&d, 0, sizeof(d));
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

/* Looks, and wants @check found once, in state @want, with @words in its fact. */
static const struct diag_finding *look(enum diag_check check, enum diag_state want,
				       const char *words)
{
	const struct diag_finding *f;

	memset(&d, 0, sizeof(d));
	doctor_host(&host, &d);
	f = diag_find(&d, check);
	assert_non_null(f);
	if (f->state != want || !strstr(f->fact, words))
		fail_msg("%s: %s, %s", diag_checks[check].name, diag_state_to_string(f->state),
			 f->fact);
	return f;
}

static void test_healthy(void **state)
{
	doctor_host(&host, &d);
	for (size_t i = 0; i < d.n; i++) {
		const struct diag_finding *f = &d.findings[i];

		if (f->state != DIAG_OK || f->remedy[0])
			fail_msg("%s: %s", diag_checks[f->check].name, f->fact);
		assert_true(f->fact[0]);
		assert_false(diag_checks[f->check].of_vm);
	}
	/* All of the host but what only apfd knows. */
	for (int c = 0; c < _DIAG_CHECK_MAX; c++)
		assert_true(diag_checks[c].of_vm || c == CHECK_APFD || c == CHECK_LIBVIRT ||
			    diag_find(&d, (enum diag_check)c));
}

/* Nothing there at all: nothing is claimed to be well that was not seen. */
static void test_empty(void **state)
{
	host.roots.proc = host.roots.sys = host.roots.modules = fixture_path("nowhere");
	host.roots.boot = host.roots.var = host.roots.log = host.roots.proc;
	host.roots.cgroup = host.roots.root = host.roots.proc;
	look(CHECK_KVM, DIAG_FAIL, "neither");
	look(CHECK_KERNEL, DIAG_UNKNOWN, "");
	look(CHECK_MODULE, DIAG_FAIL, "not loaded");
	look(CHECK_HOOKS, DIAG_UNKNOWN, "not loaded");
	look(CHECK_NOWAIT, DIAG_UNKNOWN, "");
	look(CHECK_NESTED_GUARD, DIAG_UNKNOWN, "");
	look(CHECK_SWAP, DIAG_UNKNOWN, "cannot be read");
	look(CHECK_SWAPPINESS, DIAG_UNKNOWN, "");
	look(CHECK_READ_AHEAD, DIAG_UNKNOWN, "");
	look(CHECK_CGROUP, DIAG_WARN, "not mounted");
}

static void test_kernel(void **state)
{
	static const struct {
		const char *release;
		enum diag_state kernel, nowait;
	} table[] = {
		{ "4.13.0\n", DIAG_FAIL, DIAG_OK },
		{ "5.12.19\n", DIAG_FAIL, DIAG_FAIL },
		{ "5.13.0-rc1\n", DIAG_WARN, DIAG_FAIL },
		{ "6.0.19\n", DIAG_WARN, DIAG_FAIL },
		{ "6.1.0-56-amd64\n", DIAG_OK, DIAG_FAIL },
		{ "6.5.13\n", DIAG_OK, DIAG_FAIL },
		{ "6.6.0\n", DIAG_OK, DIAG_OK },
		{ "6.12.107+deb13\n", DIAG_OK, DIAG_OK },
		{ "7.0.0\n", DIAG_OK, DIAG_OK },
		{ "7.3.4+deb14-amd64\n", DIAG_OK, DIAG_OK },
		{ "7.4.0-rc1\n", DIAG_WARN, DIAG_OK },
		{ "10.0.0\n", DIAG_WARN, DIAG_OK },
		{ "strange\n", DIAG_UNKNOWN, DIAG_UNKNOWN },
	};

	fixture_remove("sys/module/apf_host");
	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		fixture_file("proc/sys/kernel/osrelease", table[i].release);
		look(CHECK_KERNEL, table[i].kernel, "");
		look(CHECK_NOWAIT, table[i].nowait, "");
	}
}

static void test_module(void **state)
{
	const struct diag_finding *f;

	host.module_version = "9.9";
	look(CHECK_MODULE, DIAG_OK, "apf_host 9.9 is loaded");
	host.module_version = NULL;
	look(CHECK_MODULE, DIAG_OK, "apf_host 0.1.0 is loaded");

	fixture_remove("sys/module/apf_host");
	f = look(CHECK_MODULE, DIAG_FAIL, "not loaded");
	assert_non_null(strstr(f->remedy, ":\n  modprobe apf_host"));
	assert_null(strstr(f->remedy, "dkms autoinstall"));

	/* The name alone, as something another module needs, is not it. */
	fixture_file("modules/" RELEASE "/modules.dep",
		     "extra/other.ko: updates/apf_host.ko\nextra/my_apf_host.ko:\n");
	fixture_file("modules/" RELEASE "/build/Makefile", "");
	fixture_file("var/dkms/apf-host/0.1.0/source/dkms.conf", "");
	f = look(CHECK_MODULE, DIAG_FAIL, "not loaded");
	assert_non_null(strstr(f->remedy, "\n  dkms autoinstall\n  modprobe apf_host"));

	/* Where modules are not to be seen, nothing is said of them. */
	fixture_remove("modules");
	f = look(CHECK_MODULE, DIAG_FAIL, "not loaded");
	assert_null(strstr(f->remedy, "dkms autoinstall"));
}

static void want(const struct diag_finding *f, const char *words)
{
	if (!strstr(f->remedy, words))
		fail_msg("%s: \"%s\" is not in: %s", diag_checks[f->check].name, words, f->remedy);
}

/* No advice to do what must fail. */
static void want_no_build(const struct diag_finding *f)
{
	static const char *const builds[] = { "autoinstall", "dkms build", "dkms install",
					      "modprobe" };

	for (size_t i = 0; i < ELEMENTSOF(builds); i++)
		if (strstr(f->remedy, builds[i]))
			fail_msg("advises \"%s\": %s", builds[i], f->remedy);
}

/* A host that runs @release, for which apf_host is not built. */
static void unbuilt(const char *release)
{
	char name[256];

	/* It is there again for the next one to remove. */
	fixture_file("sys/module/apf_host/version", "");
	fixture_remove("sys/module/apf_host");
	fixture_file("proc/sys/kernel/osrelease", release);
	snprintf(name, sizeof(name), "modules/%s/modules.dep", release);
	fixture_file(name, "kernel/arch/x86/kvm/kvm.ko.zst:\n");
}

static void headers(const char *release)
{
	char name[256];

	snprintf(name, sizeof(name), "modules/%s/build/Makefile", release);
	fixture_file(name, "");
}

/* KVM without support of the CPU. */
static void test_pvm(void **state)
{
	fixture_remove("sys/module/kvm_amd");
	fixture_file("sys/module/kvm_pvm/refcnt", "3\n");
	want(look(CHECK_KVM, DIAG_WARN, "kvm_pvm is loaded"), "\n  modprobe -r kvm_pvm\n");
	look(CHECK_KVM_NESTED, DIAG_OK, "cannot run guests of their own");
}

/* KVM in the kernel itself, which then has no list of what is loaded; both vendors. */
static void test_kvm_built_in(void **state)
{
	fixture_file("modules/" RELEASE "/modules.builtin",
		     "kernel/arch/x86/kvm/kvm.ko\nkernel/arch/x86/kvm/kvm-intel.ko\n"
		     "kernel/arch/x86/kvm/kvm-amd.ko\n");
	look(CHECK_KVM, DIAG_OK, "kvm_amd is part of this kernel");
	fixture_file("sys/module/kvm_intel/parameters/nested", "N\n");
	fixture_file("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme vmx ssse3\n");
	look(CHECK_KVM, DIAG_OK, "kvm_intel is part of this kernel");
	look(CHECK_KVM_NESTED, DIAG_OK, "cannot run guests of their own");
	fixture_file("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vme svm\n");
	look(CHECK_KVM, DIAG_OK, "kvm_amd is part of this kernel");

	/* The code is there also where the firmware has switched the CPU's part off. */
	fixture_file("sys/class/misc/rfkill/dev", "10:1\n");
	want(look(CHECK_KVM, DIAG_FAIL, "cannot use this CPU"), "in the firmware");
	assert_null(strstr(look(CHECK_KVM, DIAG_FAIL, "")->remedy, "modprobe"));
	fixture_file("sys/class/misc/kvm/dev", "10:232\n");
	look(CHECK_KVM, DIAG_OK, "kvm_amd is part of this kernel");

	/* A module is loaded, whatever its neighbour is. */
	fixture_file("modules/" RELEASE "/modules.builtin", "kernel/arch/x86/kvm/kvm.ko\n");
	look(CHECK_KVM, DIAG_OK, "kvm_amd is loaded");
}

/* An old number with new contents: nothing follows from the number. */
static void test_hybrid(void **state)
{
	static const struct {
		const char *release, *name;
	} table[] = {
		{ "4.18.0-553.el8_10.x86_64", "Enterprise Linux" },
		{ "5.14.0-600.2.1.el9_7.x86_64", "Enterprise Linux" },
		{ "6.12.0-150.el10.x86_64", "Enterprise Linux" },
		{ "5.15.0-300.163.18.el9uek.x86_64", "Enterprise Linux" },
		{ "5.10.0-216.0.0.115.oe2203sp4.x86_64", "openEuler" },
		{ "6.6.0-98.0.0.103.oe2403sp2.x86_64", "openEuler" },
		{ "5.10.134-18.an8.x86_64", "Anolis OS" },
		{ "6.4.0-150600.23.60-default", "SUSE Linux Enterprise 15" },
		{ "6.12.0-160000.9-default", "SUSE Linux Enterprise 16" },
	};
	const struct diag_finding *f;

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		unbuilt(table[i].release);
		look(CHECK_KERNEL, DIAG_WARN, table[i].name);
		/* Neither "too old" nor "waits": nobody knows. */
		assert_null(strstr(look(CHECK_KERNEL, DIAG_WARN, "")->fact, "too old"));
		look(CHECK_NOWAIT, DIAG_UNKNOWN, "only apf_host can find out");
		f = look(CHECK_MODULE, DIAG_FAIL, "not built for this kernel");
		want_no_build(f);
		fixture_file("proc/kallsyms", "0 T swap_readpage\n");
		look(CHECK_NOWAIT, DIAG_UNKNOWN, "");
		fixture_file("proc/kallsyms", "0 T swap_read_folio\n0 t swap_readpages\t[x]\n");
		look(CHECK_NOWAIT, DIAG_OK, "does not need it");
		fixture_remove("proc/kallsyms");
	}
	/* What only looks like one. */
	unbuilt("6.1.0-elastic");
	look(CHECK_KERNEL, DIAG_OK, "");
	unbuilt("6.8.0-1501-aws");
	look(CHECK_KERNEL, DIAG_OK, "");
	unbuilt("6.8.12-13-pve");
	look(CHECK_KERNEL, DIAG_OK, "");
	unbuilt("6.12.20-1.el8.elrepo.x86_64");
	look(CHECK_KERNEL, DIAG_OK, "");
	/* Of the module that is loaded nobody says it could not be. */
	fixture_file("proc/sys/kernel/osrelease", table[1].release);
	fixture_file("sys/module/apf_host/version", "0.1.0\n");
	host.nowait = APF_NOWAIT_NOT_NEEDED;
	look(CHECK_MODULE, DIAG_OK, "is loaded");
	look(CHECK_NOWAIT, DIAG_OK, "");
	look(CHECK_HOOKS, DIAG_OK, "all 9");
}

/* Why there is no module for this kernel, each time with a way that can succeed. */
static void test_unbuilt(void **state)
{
	const struct diag_finding *f;

	/* Known to DKMS, no headers: those first. */
	unbuilt("7.0.0-30-generic");
	fixture_file("var/dkms/apf-host/0.1.0/source/dkms.conf", "");
	f = look(CHECK_MODULE, DIAG_FAIL, "headers are not installed");
	want(f, "\n  apt install linux-headers-7.0.0-30-generic\n  dkms autoinstall\n");
	unbuilt("6.17.2-1-pve");
	want(look(CHECK_MODULE, DIAG_FAIL, "headers"),
	     "\n  apt install proxmox-headers-6.17.2-1-pve\n");
	unbuilt("6.18.9-200.fc43.x86_64");
	want(look(CHECK_MODULE, DIAG_FAIL, "headers"),
	     "\n  dnf install kernel-devel-6.18.9-200.fc43.x86_64\n");
	/* A link to headers that were removed. */
	unbuilt("7.1.3-selfmade");
	fixture_link("modules/7.1.3-selfmade/build", "/nowhere/headers");
	f = look(CHECK_MODULE, DIAG_FAIL, "headers");
	want(f, "load it:\n  dkms autoinstall\n");

	/* With them. */
	headers("7.0.0-30-generic");
	unbuilt("7.0.0-30-generic");
	want(look(CHECK_MODULE, DIAG_FAIL, ""), "\n  dkms autoinstall\n  modprobe apf_host");

	/* A build that failed: the log of DKMS 3.0 and of later ones. */
	fixture_file("var/dkms/apf-host/0.1.0/build/make.log",
		     "DKMS make.log for apf-host-0.1.0 for kernel 7.0.0-30-generic (x86_64)\n");
	f = look(CHECK_MODULE, DIAG_FAIL, "DKMS tried to build it");
	want(f, "\n  tail -n 30 /var/lib/dkms/apf-host/0.1.0/build/make.log");
	want_no_build(f);
	fixture_file("var/dkms/apf-host/0.1.0/build/make.log",
		     "DKMS (dkms-3.2.2) make.log for apf-host/0.1.0 for kernel 7.0.0-30-generic "
		     "(x86_64)\n");
	want_no_build(look(CHECK_MODULE, DIAG_FAIL, "DKMS tried to build it"));
	/* That of another kernel. */
	fixture_file("var/dkms/apf-host/0.1.0/build/make.log",
		     "DKMS make.log for apf-host-0.1.0 for kernel 7.0.0-30-generic-hwe (x86_64)\n");
	want(look(CHECK_MODULE, DIAG_FAIL, ""), "dkms autoinstall");
	/* Of a version that is no longer the newest. */
	fixture_file("var/dkms/apf-host/0.10.0/source/dkms.conf", "");
	fixture_file("var/dkms/apf-host/0.1.0/build/make.log",
		     "DKMS make.log for apf-host-0.1.0 for kernel 7.0.0-30-generic (x86_64)\n");
	want(look(CHECK_MODULE, DIAG_FAIL, ""), "dkms autoinstall");

	/* A trial build that failed: DKMS did not even begin. */
	fixture_file("log/apf-host-dkms-7.0.0-30-generic.log", "gate.c:1: error: no\n");
	f = look(CHECK_MODULE, DIAG_FAIL,
		 "skipped it for this kernel, because a trial build failed");
	want(f, "\n  tail -n 30 /var/log/apf-host-dkms-7.0.0-30-generic.log");
	want_no_build(f);
	fixture_remove("log");

	/* A kernel that lacks what hooks are made of. */
	fixture_file("boot/config-7.0.0-30-generic",
		     "CONFIG_KVM=m\nCONFIG_MODULES=y\n# CONFIG_KPROBES is not set\n"
		     "CONFIG_KPROBES_ON_FTRACE=y\n");
	f = look(CHECK_MODULE, DIAG_FAIL, "options CONFIG_KPROBES, CONFIG_KRETPROBES, CONFIG_DYN");
	want_no_build(f);
	fixture_file("boot/config-7.0.0-30-generic",
		     "CONFIG_KVM=y\nCONFIG_MODULES=y\nCONFIG_KPROBES=y\nCONFIG_KRETPROBES=y\n"
		     "CONFIG_DYNAMIC_FTRACE_WITH_REGS=y\n");
	want(look(CHECK_MODULE, DIAG_FAIL, ""), "dkms autoinstall");

	/* Nobody told DKMS of it. */
	fixture_remove("var/dkms/apf-host");
	f = look(CHECK_MODULE, DIAG_FAIL, "DKMS does not know it");
	want(f, "\n  dkms add apf-host/" APF_VERSION "\n");

	/* Newer and older than any that was tested, headers or not, known to DKMS or not. */
	unbuilt("7.9.0-1-generic");
	want_no_build(look(CHECK_MODULE, DIAG_FAIL, "DKMS does not know it"));
	fixture_file("var/dkms/apf-host/0.1.0/source/dkms.conf", "");
	want_no_build(look(CHECK_MODULE, DIAG_FAIL, "DKMS skips it"));
	headers("7.9.0-1-generic");
	want_no_build(look(CHECK_MODULE, DIAG_FAIL, "DKMS skips it"));
	unbuilt("5.4.0-200-generic");
	want_no_build(look(CHECK_MODULE, DIAG_FAIL, "does not support this kernel"));
}

/* A certificate is any bytes here. */
#define KEY                \
	"\x30\x82\x01\x0a" \
	"apf test key"

static void secure_boot(const char *lockdown, const char *enforce)
{
	unbuilt(RELEASE);
	fixture_file("modules/" RELEASE "/modules.dep",
		     "updates/dkms/apf_host.ko: kernel/kvm.ko\n");
	fixture_file("modules/" RELEASE "/updates/dkms/apf_host.ko",
		     "\x7f"
		     "ELF...~Module signature appended~\n");
	fixture_file("sys/kernel/security/lockdown", lockdown);
	fixture_file("sys/module/module/parameters/sig_enforce", enforce);
}

static void test_signature(void **state)
{
	static const char list[] = "x\0\0\0other key" KEY "and more";
	const struct diag_finding *f;

	/* Nobody asks for one. */
	secure_boot("[none] integrity confidentiality\n", "N\n");
	want(look(CHECK_MODULE, DIAG_FAIL, "not loaded"), "load it:\n  modprobe apf_host");

	/* DKMS's own key, and no firmware to ask whether it is known. */
	secure_boot("none [integrity] confidentiality\n", "Y\n");
	fixture_file("var/dkms/mok.pub", KEY);
	f = look(CHECK_MODULE, DIAG_FAIL,
		 "(Secure Boot, lockdown) accepts only modules that are signed");
	want(f, "\n  mokutil --import /var/lib/dkms/mok.pub\n  reboot");
	want_no_build(f);
	assert_non_null(strstr(f->fact, "may not be enrolled"));

	/* A firmware that does not know it; lockdown alone does the same. */
	fixture_file("sys/module/module/parameters/sig_enforce", "N\n");
	fixture_bytes("sys/firmware/efi/efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23",
		      list, 12);
	f = look(CHECK_MODULE, DIAG_FAIL, "is not enrolled");
	want(f, "\n  mokutil --import /var/lib/dkms/mok.pub\n  reboot");

	/* One that does: then something else is wrong. */
	fixture_bytes("sys/firmware/efi/efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23",
		      list, sizeof(list));
	f = look(CHECK_MODULE, DIAG_FAIL, "firmware knows the key of DKMS (/var/lib/dkms/mok.pub)");
	want(f, "\n  modprobe apf_host\n  journalctl -k");

	/* Ubuntu's comes first. */
	fixture_file("var/shim-signed/mok/MOK.der", "\x30\x82 another");
	f = look(CHECK_MODULE, DIAG_FAIL, "is not enrolled");
	want(f, "\n  mokutil --import /var/lib/shim-signed/mok/MOK.der\n  reboot");

	/* Built where nothing was there to sign with. */
	fixture_file("modules/" RELEASE "/updates/dkms/apf_host.ko", "\x7f"
								     "ELF");
	f = look(CHECK_MODULE, DIAG_FAIL, "not signed");
	want(f, "\n  dkms build --force apf-host/");

	/* A file that is compressed: it cannot be told. And no key. */
	fixture_file("modules/" RELEASE "/modules.dep",
		     "updates/dkms/apf_host.ko.xz: kernel/kvm.ko\n");
	fixture_remove("var");
	fixture_file("sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	fixture_file("sys/module/module/parameters/sig_enforce", "Y\n");
	f = look(CHECK_MODULE, DIAG_FAIL, "(module.sig_enforce)");
	want(f, "\n  mokutil --import KEY.der\n");
}

static void test_hooks(void **state)
{
	const struct diag_finding *f;
	unsigned int found = 0;

	look(CHECK_HOOKS, DIAG_OK, "all 9 can be placed");

	hooks.hook[APF_HOOK_STALL].placed = false;
	hooks.hook[APF_HOOK_STALL].error = -ENOENT;
	strcpy(hooks.hook[APF_HOOK_STALL].on, "kvm_mmu_faultin_pfn,kvm_faultin_pfn");
	f = look(
		CHECK_HOOKS, DIAG_WARN,
		"stall cannot be placed (kvm_mmu_faultin_pfn,kvm_faultin_pfn): this kernel has no");
	assert_non_null(strstr(f->fact, "not counted: SyncStalls, SyncStallNSec, SavedNSec, "
				       "SyncHistogram; "));
	want(f, "Linux 6.1 to 7.3");

	/* Each that is missing is told of, and with what was found. */
	hooks.hook[APF_HOOK_USER_MODE].placed = false;
	hooks.hook[APF_HOOK_USER_MODE].error = -EBUSY;
	hooks.hook[APF_HOOK_NOT_PRESENT].placed = false;
	look(CHECK_HOOKS, DIAG_WARN,
	     "not-present cannot be placed (kvm_it): apf_host does not report");
	assert_non_null(strstr(diag_find(&d, CHECK_HOOKS)->fact, "NotPresent, Delivered, Halted"));
	for (size_t i = 0; i < d.n; i++)
		if (d.findings[i].check == CHECK_HOOKS && strstr(d.findings[i].fact, "user-mode")) {
			want(&d.findings[i], "enabled_functions");
			found++;
		}
	assert_int_equal(found, 1);

	/* Required, and one of a newer module. */
	hooks.hook[APF_HOOK_NOT_PRESENT].placed = true;
	hooks.hook[APF_HOOK_GATE].placed = false;
	look(CHECK_HOOKS, DIAG_FAIL, "gate cannot be placed");
	hooks = (struct hooks){ .reported = true, .n = 1 };
	hooks.hook[0] = (struct hook){ .id = 17, .error = -4000 };
	look(CHECK_HOOKS, DIAG_WARN, "hook-17 cannot be placed: ");

	/* An older module; nobody who asked; one who may not. */
	hooks.reported = false;
	look(CHECK_HOOKS, DIAG_OK, "does not report hooks");
	host.hooks = NULL;
	look(CHECK_HOOKS, DIAG_UNKNOWN, "only apfd");
	host.why_not_asked = -ETIMEDOUT;
	look(CHECK_HOOKS, DIAG_UNKNOWN, "does not answer");
	host.why_not_asked = -EPERM;
	look(CHECK_HOOKS, DIAG_FAIL, "CAP_NET_ADMIN");
}

static void test_nowait(void **state)
{
	const struct diag_finding *f;

	/* The module itself knows best. */
	host.nowait = APF_NOWAIT_UNAVAILABLE;
	look(CHECK_NOWAIT, DIAG_FAIL, "cannot place its probe");
	host.nowait = APF_NOWAIT_ACTIVE;
	look(CHECK_NOWAIT, DIAG_OK, "active");
	host.nowait = APF_NOWAIT_OFF;
	f = look(CHECK_NOWAIT, DIAG_FAIL, "off");
	assert_non_null(strstr(f->remedy, "\n  echo auto > /sys/module/apf_host/parameters/"));
	host.nowait = APF_NOWAIT_NOT_NEEDED;
	look(CHECK_NOWAIT, DIAG_OK, "does not need it");

	/* Without it, its parameter. */
	host.nowait = -1;
	look(CHECK_NOWAIT, DIAG_OK, "does not need it");
	fixture_file("proc/sys/kernel/osrelease", "6.1.0\n");
	look(CHECK_NOWAIT, DIAG_OK, "active");
	fixture_file("sys/module/apf_host/parameters/nowait_swapin", "0\n");
	look(CHECK_NOWAIT, DIAG_FAIL, "off");
}

static void test_guard(void **state)
{
	const struct diag_finding *f;

	fixture_file("sys/module/apf_host/parameters/nested_guard", "N\n");
	f = look(CHECK_NESTED_GUARD, DIAG_WARN, "off");
	assert_non_null(strstr(f->remedy, "\n  echo Y > "));
}

static void test_swap(void **state)
{
	const struct diag_finding *f;

#define HEAD "Filename\tType\tSize\tUsed\tPriority\n"
	look(CHECK_SWAP, DIAG_OK, "/dev/sda2 is read asynchronously");

	fixture_file("proc/swaps", HEAD);
	f = look(CHECK_SWAP, DIAG_WARN, "no swap");
	assert_non_null(strstr(f->remedy, "\n  mkswap DEVICE\n  swapon DEVICE"));

	fixture_file("proc/swaps", HEAD "/dev/zram0 partition 1048572 0 100\n"
					"/dev/zram1 partition 1048572 0 99\n");
	f = look(CHECK_SWAP, DIAG_FAIL, "/dev/zram0 is compressed memory (zram)");
	assert_non_null(strstr(f->remedy, "\n  swapon DEVICE\n  swapoff /dev/zram0\n"
					  "  swapoff /dev/zram1"));

	/* Whichever is filled first, one of both does good. */
	fixture_file("proc/swaps", HEAD "/dev/sda2 partition 1048572 0 -2\n"
					"/dev/zram0 partition 1048572 0 100\n");
	f = look(CHECK_SWAP, DIAG_WARN, "/dev/zram0 is compressed memory (zram)");
	assert_non_null(strstr(f->fact, "only on /dev/sda2"));
	assert_string_equal(f->remedy, "switch the swap in memory off:\n  swapoff /dev/zram0");

	/* A file whose name is like a device's, and devices whose names begin alike. */
	fixture_file("proc/swaps", HEAD "/swap/zram0 file 1048572 0 -2\n");
	look(CHECK_SWAP, DIAG_OK, "/swap/zram0");
	fixture_file("proc/swaps", HEAD "/dev/ramses partition 1048572 0 -2\n");
	look(CHECK_SWAP, DIAG_OK, "/dev/ramses");
	fixture_file("proc/swaps", HEAD "/dev/ram3 partition 1048572 0 -2\n");
	look(CHECK_SWAP, DIAG_FAIL, "a RAM disk");
	fixture_file("proc/swaps", HEAD "/dev/pmem0 partition 1048572 0 -2\n");
	look(CHECK_SWAP, DIAG_FAIL, "persistent memory");
#undef HEAD
}

/* A disk behind a zram: neither all in memory nor all on the disk. */
static void test_zram_with_writeback(void **state)
{
	const struct diag_finding *f;

	fixture_file("proc/swaps", "Filename Type\n/dev/zram0 partition 1048572 5000 100\n");
	fixture_file("sys/class/block/zram0/backing_dev", "/dev/loop7\n");
	fixture_file("sys/class/block/zram0/bd_stat", "     128     4711      900\n");
	f = look(CHECK_SWAP, DIAG_WARN, "/dev/zram0 is compressed memory (zram) with /dev/loop7");
	assert_non_null(strstr(f->fact, "4711 pages were read"));
	assert_null(strstr(f->fact, "all swap is in memory"));
	want(f, "\n  echo idle > /sys/block/zram0/writeback");
	/* No statistics, and the place where older kernels have the files. */
	fixture_remove("sys/class/block/zram0/backing_dev");
	fixture_remove("sys/class/block/zram0/bd_stat");
	fixture_file("sys/block/zram0/backing_dev", "/dev/loop7\n");
	look(CHECK_SWAP, DIAG_WARN, "decompresses the others");
	fixture_file("sys/block/zram0/backing_dev", "none\n");
	look(CHECK_SWAP, DIAG_FAIL, "all swap is in memory");
}

static void test_psi(void **state)
{
	/* Switched off, PSI has no files, an empty file, or one that cannot be read. */
	fixture_file("proc/pressure/memory", "");
	fixture_file("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet\n");
	want(look(CHECK_PSI, DIAG_WARN, "psi=1 is not on its command line"), "add psi=1 to");
	fixture_remove("proc/pressure");
	look(CHECK_PSI, DIAG_WARN, "off by default");
	fixture_file("proc/sys/kernel/osrelease", "5.14.0-600.2.1.el9_7.x86_64\n");
	want(look(CHECK_PSI, DIAG_WARN, "off by default"),
	     "\n  grubby --update-kernel=ALL --args=psi=1\n  reboot");
	fixture_file("proc/sys/kernel/osrelease", "6.17.2-1-pve\n");
	want(look(CHECK_PSI, DIAG_WARN, "off by default"), "\n  proxmox-boot-tool refresh");
	fixture_file("proc/cmdline", "ro psi=0 quiet\n");
	want(look(CHECK_PSI, DIAG_WARN, "on the kernel's command line (psi=0)"), "take out psi=0");
	fixture_file("proc/cmdline", "ro xpsi=0 psi=1\n");
	look(CHECK_PSI, DIAG_WARN, "although the kernel was booted with psi=1");
	fixture_file("boot/config-6.17.2-1-pve", "# CONFIG_PSI is not set\nCONFIG_KVM=m\n");
	want(look(CHECK_PSI, DIAG_WARN, "built without PSI"), "CONFIG_PSI=y");
}

/* Which kernels forget outstanding faults at an SMI. */
static void test_keeps_queue(void **state)
{
	static const struct {
		const char *release, *version, *signature;
		int keeps;
	} table[] = {
		{ "6.19.0", "", "", 1 },
		{ "7.3.4+deb14-amd64", "", "", 1 },
		{ "6.18.2", "", "", 0 },
		{ "6.18.3-200.fc43.x86_64", "", "", 1 },
		{ "6.12.63", "", "", 0 },
		{ "6.12.107+deb13-amd64", "", "", 1 },
		{ "6.6.119", "", "", 0 },
		{ "6.6.120", "", "", 1 },
		{ "6.17.9-300.fc43.x86_64", "", "", 0 },
		{ "6.1.0-40-amd64", "Linux version 6.1.0-40-amd64 (x) Debian 6.1.153-1 (x)\n", "",
		  0 },
		{ "6.1.0-44-amd64", "Linux version 6.1.0-44-amd64 (x) Debian 6.1.164-1 (x)\n", "",
		  1 },
		{ "6.8.0-31-generic", "", "Ubuntu 6.8.0-31.31-generic 6.8.1\n", 0 },
		{ "6.8.0-31-generic", "", "", -1 },
		{ "6.17.2-1-pve", "", "", -1 },
		{ "7.0.6-2-pve", "", "", 1 },
		{ "5.14.0-600.2.1.el9_7.x86_64", "", "", -1 },
		{ "6.12.0-160000.9-default", "", "", -1 },
		{ "", "", "", -1 },
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		struct host_kernel k;

		fixture_file("proc/sys/kernel/osrelease", table[i].release);
		fixture_file("proc/version", table[i].version);
		fixture_file("proc/version_signature", table[i].signature);
		if (!table[i].signature[0])
			fixture_remove("proc/version_signature");
		host_kernel_read(&host.roots, &k);
		if (host_kernel_keeps_queue(&host.roots, &k) != table[i].keeps)
			fail_msg("%s: not %d", table[i].release, table[i].keeps);
	}
}

static void test_zswap(void **state)
{
	fixture_file("proc/meminfo", "MemTotal: 1 kB\nZswap: 5 kB\nZswapped:   2097152 kB\n");
	fixture_file("sys/module/zswap/parameters/enabled", "Y\n");
	look(CHECK_ZSWAP, DIAG_WARN, "(2048 MiB of swapped memory now)");
	fixture_remove("proc/meminfo");
	fixture_file("sys/module/zswap/parameters/enabled", "Y\n");
	assert_non_null(strstr(look(CHECK_ZSWAP, DIAG_WARN, "on:")->remedy, "\n  echo N > "));
	fixture_remove("sys/module/zswap");
	look(CHECK_ZSWAP, DIAG_OK, "none");
}

static void test_tunables(void **state)
{
	fixture_file("proc/sys/vm/swappiness", "0\n");
	look(CHECK_SWAPPINESS, DIAG_WARN, "is 0");
	fixture_file("proc/sys/vm/swappiness", "10\n");
	look(CHECK_SWAPPINESS, DIAG_OK, "is 10");

	fixture_file("proc/sys/vm/page-cluster", "0\n");
	look(CHECK_READ_AHEAD, DIAG_OK, "at most 1 page");
	fixture_file("proc/sys/kernel/osrelease", "6.1.0\n");
	look(CHECK_READ_AHEAD, DIAG_WARN, "waits for every page");
	host.nowait = APF_NOWAIT_ACTIVE;
	look(CHECK_READ_AHEAD, DIAG_OK, "at most 1 page");
	fixture_file("proc/sys/vm/page-cluster", "77\n");
	look(CHECK_READ_AHEAD, DIAG_UNKNOWN, "");

	look(CHECK_THP, DIAG_OK, "madvise: huge pages are split");
	fixture_file("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
	look(CHECK_THP, DIAG_OK, "never");
	fixture_file("sys/kernel/mm/lru_gen/enabled", "0x0000\n");
	look(CHECK_MGLRU, DIAG_OK, "off");
	fixture_file("sys/fs/cgroup/cgroup.controllers", "cpu io\n");
	look(CHECK_CGROUP, DIAG_WARN, "no memory controller");
	/* Hybrid: version 2 is mounted elsewhere, and does not have the memory. */
	fixture_remove("sys/fs/cgroup/cgroup.controllers");
	fixture_file("sys/fs/cgroup/unified/cgroup.controllers", "\n");
	fixture_file("sys/fs/cgroup/memory/memory.stat", "\n");
	want(look(CHECK_CGROUP, DIAG_WARN, "accounted by cgroup v1"),
	     "systemd.unified_cgroup_hierarchy=1");
}

#define OOMD_EVENTS "sys/fs/cgroup/system.slice/systemd-oomd.service/cgroup.events"

static void test_oomd(void **state)
{
	static const char *const units[] = { "machine.slice", "user-1000.slice", "user@1000.service", NULL };
	const struct diag_finding *f;
	size_t n = 0;

	/* Who sets it, and nobody acts on it. */
	fixture_file("root/usr/lib/systemd/system/machine.slice.d/10-oomd.conf",
		     "[Slice]\nManagedOOMSwap=kill\n");
	look(CHECK_OOMD, DIAG_OK, "does not run");
	fixture_file(OOMD_EVENTS, "populated 0\nfrozen 0\n");
	look(CHECK_OOMD, DIAG_OK, "does not run");
	fixture_file(OOMD_EVENTS, "populated 1\nfrozen 0\n");
	f = look(CHECK_OOMD, DIAG_WARN, "ends a whole VM when swap is nearly full: machine.slice has "
					"ManagedOOMSwap=kill;");
	assert_string_equal(strchr(f->remedy, '\n'),
			    "\n  systemctl set-property machine.slice ManagedOOMSwap=auto");

	/* What the remedy does: a file whose name comes later. */
	fixture_file("root/etc/systemd/system.control/machine.slice.d/50-ManagedOOMSwap.conf",
		     "# by systemctl\n[Slice]\nManagedOOMSwap=auto\n");
	look(CHECK_OOMD, DIAG_OK, "runs, and no setting lets it end VMs");
	/* One of the same name, in a folder that comes before, replaces it. */
	fixture_remove("root/etc/systemd/system.control");
	fixture_file("root/etc/systemd/system/machine.slice.d/10-oomd.conf", "[Slice]\n");
	look(CHECK_OOMD, DIAG_OK, "no setting");
	/* The unit itself, both settings; drop-ins come after it. */
	fixture_file("root/etc/systemd/system/machine.slice",
		     "[Slice]\n ManagedOOMMemoryPressure = kill \nManagedOOMSwap=kill\n"
		     "ManagedOOMSwapX=auto\n#ManagedOOMSwap=auto\n");
	fixture_file("root/usr/lib/systemd/system/machine.slice", "[Slice]\nManagedOOMSwap=auto\n");
	f = look(CHECK_OOMD, DIAG_WARN, "machine.slice has ManagedOOMSwap=kill and "
					"ManagedOOMMemoryPressure=kill");
	want(f, "\n  systemctl set-property machine.slice ManagedOOMSwap=auto "
		"ManagedOOMMemoryPressure=auto");
	/* For all slices, and a slice's own word against it. */
	fixture_remove("root");
	fixture_file("root/usr/lib/systemd/system/slice.d/10-all.conf", "ManagedOOMMemoryPressure=kill\n");
	fixture_file("root/usr/lib/systemd/system/machine.slice.d/90-not.conf",
		     "ManagedOOMMemoryPressure=auto\n");
	f = look(CHECK_OOMD, DIAG_WARN, "the root slice -.slice has ManagedOOMMemoryPressure=kill");
	want(f, "\n  systemctl set-property -- -.slice ManagedOOMMemoryPressure=auto");
	for (size_t i = 0; i < d.n; i++)
		n += d.findings[i].check == CHECK_OOMD;
	assert_int_equal(n, 1);

	/* Where the VMs of users are. */
	fixture_remove("root");
	fixture_file("root/usr/lib/systemd/system/user@.service.d/10-oomd.conf",
		     "[Service]\nManagedOOMMemoryPressure=kill\n");
	look(CHECK_OOMD, DIAG_OK, "no setting");
	host.units = units;
	f = look(CHECK_OOMD, DIAG_WARN, "user@1000.service has ManagedOOMMemoryPressure=kill");
	want(f, "\n  systemctl set-property user@1000.service ManagedOOMMemoryPressure=auto");
	host.units = NULL;
}

/* Whatever is in these files, it is cut and not believed. */
static void test_garbage(void **state)
{
	static const char *const files[] = {
		"proc/sys/kernel/osrelease",
		"proc/sys/vm/swappiness",
		"proc/sys/vm/page-cluster",
		"proc/swaps",
		"sys/module/apf_host/version",
		"sys/kernel/mm/transparent_hugepage/enabled",
		"cgroup/cgroup.controllers",
		"sys/kernel/security/lockdown",
		"sys/module/module/parameters/sig_enforce",
		"modules/" RELEASE "/modules.dep",
		"modules/" RELEASE "/modules.builtin",
		"boot/config-" RELEASE,
		"proc/kallsyms",
		"proc/cpuinfo",
		"proc/cmdline",
		"proc/meminfo",
		"proc/version",
		"proc/version_signature",
		"proc/pressure/memory",
		"sys/class/block/sda2/backing_dev",
		"var/dkms/mok.pub",
		"root/etc/systemd/system/machine.slice",
		"root/usr/lib/systemd/system/machine.slice.d/a.conf",
		"var/dkms/apf-host/1/build/make.log",
	};
	static const char *const texts[] = { "", "\n", "[", "%s%n%s\n", "\xff\xfe" };
	char long_text[4096];

	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	/* Else what there is of it is not looked for. */
	fixture_remove("sys/module/apf_host");
	for (size_t i = 0; i < ELEMENTSOF(files); i++) {
		for (size_t k = 0; k < ELEMENTSOF(texts); k++) {
			fixture_file(files[i], texts[k]);
			memset(&d, 0, sizeof(d));
			doctor_host(&host, &d);
		}
		fixture_file(files[i], long_text);
		memset(&d, 0, sizeof(d));
		doctor_host(&host, &d);
		assert_true(d.n > 5);
	}
}

static void test_diagnosis_is_bounded(void **state)
{
	char long_text[2 * DIAG_REMEDY_MAX];

	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	diag_remedy(&d, "of nothing");
	for (int i = 0; i < 2 * DIAG_FINDINGS_MAX; i++) {
		diag_add(&d, CHECK_SWAP, DIAG_OK, "%s", long_text);
		diag_remedy(&d, "%s", long_text);
	}
	assert_int_equal(d.n, DIAG_FINDINGS_MAX);
	assert_int_equal(strlen(d.findings[0].fact), DIAG_FACT_MAX - 1);
	assert_int_equal(strlen(d.findings[0].remedy), DIAG_REMEDY_MAX - 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_healthy),	 TEST(test_empty),
		TEST(test_kernel),	 TEST(test_module),
		TEST(test_kvm_built_in), TEST(test_hybrid),
		TEST(test_pvm),		 TEST(test_zram_with_writeback),
		TEST(test_psi),		 TEST(test_keeps_queue),
		TEST(test_unbuilt),	 TEST(test_signature),
		TEST(test_hooks),	 TEST(test_nowait),
		TEST(test_guard),	 TEST(test_swap),
		TEST(test_zswap),	 TEST(test_tunables),
		TEST(test_oomd),	 TEST(test_garbage),
		TEST(test_diagnosis_is_bounded),
	};

	return cmocka_run_group_tests_name("doctor-host", tests, NULL, NULL);
}
