/* SPDX-License-Identifier: GPL-2.0 */
/* What the doctor says of made-up hosts. */
#include "unit.h"

#include <limits.h>
#include <string.h>
#include <uapi/apf_host.h>

#include "doctor-host.h"
#include "fixture.h"
#include "util.h"

static struct doctor_host host;
static struct diagnosis d;

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
	fixture_file("modules/6.12.107+deb13-amd64/modules.dep",
		     "kernel/fs/x.ko.xz:\nupdates/dkms/apf_host.ko: kernel/arch/x86/kvm/kvm.ko\n");
	host = (struct doctor_host){
		.proc_root = fixture_path("proc"),
		.sys_root = fixture_path("sys"),
		.modules_root = fixture_path("modules"),
		.nowait = -1,
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
	host.proc_root = host.sys_root = host.modules_root = fixture_path("nowhere");
	look(CHECK_KVM, DIAG_FAIL, "neither");
	look(CHECK_KERNEL, DIAG_UNKNOWN, "");
	look(CHECK_MODULE, DIAG_FAIL, "not loaded");
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
		{ "5.13.0-rc1\n", DIAG_OK, DIAG_FAIL },
		{ "6.1.0-56-amd64\n", DIAG_OK, DIAG_FAIL },
		{ "6.5.13\n", DIAG_OK, DIAG_FAIL },
		{ "6.6.0\n", DIAG_OK, DIAG_OK },
		{ "6.12.107+deb13\n", DIAG_OK, DIAG_OK },
		{ "7.0.0\n", DIAG_OK, DIAG_OK },
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
	fixture_file("modules/6.12.107+deb13-amd64/modules.dep",
		     "extra/other.ko: updates/apf_host.ko\nextra/my_apf_host.ko:\n");
	f = look(CHECK_MODULE, DIAG_FAIL, "not loaded");
	assert_non_null(strstr(f->remedy, "\n  dkms autoinstall\n  modprobe apf_host"));

	/* Where modules are not to be seen, nothing is said of them. */
	fixture_remove("modules");
	f = look(CHECK_MODULE, DIAG_FAIL, "not loaded");
	assert_null(strstr(f->remedy, "dkms autoinstall"));
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
	assert_non_null(strstr(f->fact, "those on /dev/sda2 do"));
	assert_string_equal(f->remedy, "take the one in memory out of use:\n  swapoff /dev/zram0");

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

static void test_zswap(void **state)
{
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
}

/* Whatever is in these files, it is cut and not believed. */
static void test_garbage(void **state)
{
	static const char *const files[] = {
		"proc/sys/kernel/osrelease",	    "proc/sys/vm/swappiness",
		"proc/sys/vm/page-cluster",	    "proc/swaps",
		"sys/module/apf_host/version",	    "sys/kernel/mm/transparent_hugepage/enabled",
		"sys/fs/cgroup/cgroup.controllers",
	};
	static const char *const texts[] = { "", "\n", "[", "%s%n%s\n", "\xff\xfe" };
	char long_text[4096];

	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
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
		TEST(test_healthy),
		TEST(test_empty),
		TEST(test_kernel),
		TEST(test_module),
		TEST(test_nowait),
		TEST(test_guard),
		TEST(test_swap),
		TEST(test_zswap),
		TEST(test_tunables),
		TEST(test_garbage),
		TEST(test_diagnosis_is_bounded),
	};

	return cmocka_run_group_tests_name("doctor-host", tests, NULL, NULL);
}
