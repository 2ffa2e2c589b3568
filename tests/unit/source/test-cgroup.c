/* SPDX-License-Identifier: GPL-2.0 */
#include "fixture.h"

#include <errno.h>
#include <unistd.h>

#include "cgroup.h"

/* libvirt's: the backslashes are part of the name. */
#define SCOPE "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope"

static int setup(void **state)
{
	fixture_begin();
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

/* ---- parsers ---- */

static void test_membership(void **state)
{
	static const struct {
		const char *text;
		int expected;
		const char *path;
	} table[] = {
		{ "0::/user.slice\n", 0, "/user.slice" },
		{ "0::/", 0, "/" },
		{ "12:cpu:/a\n0::/b c\n", 0, "/b c" },
		{ "1:name=systemd:/x\n", -ENOENT, NULL },
		{ "10::/x\n", -ENOENT, NULL },
		{ "", -ENOENT, NULL },
		{ "\n\n", -ENOENT, NULL },
		{ "0::", -ENOENT, NULL },
		{ "0::relative\n", -ENOENT, NULL },
		{ "0::/../outside\n", -EBADMSG, NULL },
		{ "0::/a/..\n", -EBADMSG, NULL },
		{ "0::/..\n", -EBADMSG, NULL },
		{ "0::/a..b/..c\n", 0, "/a..b/..c" },
		{ "0::/longer than there is room for\n", -EBADMSG, NULL },
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		char path[20] = "untouched";

		assert_int_equal(cgroup_parse_membership(table[i].text, path, sizeof(path)),
				 table[i].expected);
		if (table[i].path)
			assert_string_equal(path, table[i].path);
	}
}

static void test_stat(void **state)
{
	struct cgroup_facts f = {};

	cgroup_parse_stat("anon 1\nworkingset_refault_anon 6103\nworkingset_refault_anon_x 1\n"
			  "swapcached 8192\npgfault 9\npgmajfault 5837\npswpin 77\nlast 1",
			  &f);
	assert_int_equal(f.known, CGROUP_REFAULTS | CGROUP_MAJOR_FAULTS | CGROUP_SWAPINS |
					  CGROUP_SWAPCACHED);
	assert_int_equal(f.swapcached_bytes, 8192);
	assert_int_equal(f.refaults, 6103);
	assert_int_equal(f.major_faults, 5837);
	assert_int_equal(f.swapins, 77);

	/* Neither the largest number nor the last line without its end is a problem. */
	f = (struct cgroup_facts){};
	cgroup_parse_stat("pgmajfault 18446744073709551615\npswpin 1", &f);
	assert_int_equal(f.known, CGROUP_MAJOR_FAULTS | CGROUP_SWAPINS);
	assert_true(f.major_faults == UINT64_MAX);
}

static void test_stat_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"pgmajfault",
		"pgmajfault \n",
		"pgmajfault -1\n",
		"pgmajfault +1\n",
		"pgmajfault 1x\n",
		"pgmajfault 1 2\n",
		"pgmajfault  1\n",
		" pgmajfault 1\n",
		"xpgmajfault 1\n",
		"pgmajfault 18446744073709551616\n",
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		struct cgroup_facts f = {};

		cgroup_parse_stat(bad[i], &f);
		assert_int_equal(f.known, 0);
	}
}

static void test_pressure(void **state)
{
	struct cgroup_facts f = {};

	cgroup_parse_pressure("some avg10=14.51 avg60=8.53 avg300=2.30 total=7392524\n"
			      "full avg10=100.00 avg60=4.78 avg300=1.32 total=4338173\n",
			      &f);
	assert_int_equal(f.known,
			 CGROUP_SOME | CGROUP_FULL | CGROUP_SOME_TOTAL | CGROUP_FULL_TOTAL);
	assert_int_equal(f.some_usec, 7392524);
	assert_int_equal(f.full_usec, 4338173);
	assert_float_equal(f.some_avg10, 14.51, 1e-9);
	assert_float_equal(f.full_avg10, 100, 1e-9);
}

static void test_pressure_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"some avg10=",
		"some avg10=1",
		"some avg10=1.",
		"some avg10=1.2",
		"some avg10=1.23",
		"some avg10=1,23 avg60=0.00\n",
		"some avg10=101.00 avg60=0.00\n",
		"some avg10=-1.00 avg60=0.00\n",
		"some avg60=1.00 avg10=1.00\n",
		"some  avg10=1.00 avg60=0.00\n",
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		struct cgroup_facts f = {};

		cgroup_parse_pressure(bad[i], &f);
		assert_int_equal(f.known, 0);
	}
}

static void test_bytes(void **state)
{
	uint64_t v = 7;

	assert_int_equal(cgroup_parse_bytes("209592320\n", &v), 0);
	assert_int_equal(v, 209592320);
	assert_int_equal(cgroup_parse_bytes("0", &v), 0);
	assert_int_equal(v, 0);
	v = 7;
	assert_int_equal(cgroup_parse_bytes("max\n", &v), -EBADMSG);
	assert_int_equal(cgroup_parse_bytes("", &v), -EBADMSG);
	assert_int_equal(cgroup_parse_bytes("1 \n", &v), -EBADMSG);
	assert_int_equal(v, 7);
}

/* ---- files ---- */

static int find(pid_t pid, struct cgroup **ret)
{
	return cgroup_new(fixture_path("proc"), fixture_path("cgroup"), pid, ret);
}

static void test_group_with_memory(void **state)
{
	_cleanup_(cgroup_freep) struct cgroup *c = NULL;
	struct cgroup_facts f;

	fixture_file("proc/100/cgroup", "0::" SCOPE "/libvirt/emulator\n");
	fixture_file("cgroup" SCOPE "/libvirt/emulator/cgroup.type", "threaded\n");
	fixture_file("cgroup" SCOPE "/libvirt/memory.current", "4096\n");
	/* That of the scope has everything besides the VM, too. */
	fixture_file("cgroup" SCOPE "/memory.current", "8192\n");
	assert_int_equal(find(100, &c), 0);
	assert_string_equal(cgroup_path(c), SCOPE "/libvirt");

	cgroup_read(c, &f);
	assert_int_equal(f.known, CGROUP_CURRENT);
	assert_int_equal(f.current_bytes, 4096);

	fixture_file("cgroup" SCOPE "/libvirt/memory.swap.current", "12288\n");
	fixture_file("cgroup" SCOPE "/libvirt/memory.stat", "pgmajfault 3\n");
	fixture_file("cgroup" SCOPE "/libvirt/memory.pressure",
		     "some avg10=1.00 avg60=0.00 avg300=0.00 total=1\n");
	cgroup_read(c, &f);
	assert_int_equal(f.known, CGROUP_CURRENT | CGROUP_SWAP | CGROUP_MAJOR_FAULTS | CGROUP_SOME |
					  CGROUP_SOME_TOTAL);
	assert_int_equal(f.swap_bytes, 12288);

	/* Not a control group's file: nothing is written to it. */
	assert_int_equal(cgroup_trigger(c, 100000, 1000000), -EOPNOTSUPP);
	cgroup_read(c, &f);
	assert_true(f.known & CGROUP_SOME);

	/* Gone: nothing is known of it any more. */
	fixture_remove("cgroup");
	cgroup_read(c, &f);
	assert_int_equal(f.known, 0);
}

static void test_no_group(void **state)
{
	struct cgroup *c = NULL;

	assert_int_equal(find(99, &c), -ESRCH);
	fixture_file("proc/101/cgroup", "0::/\n");
	fixture_file("cgroup/memory.current", "1\n");
	assert_int_equal(find(101, &c), -ENOENT);
	fixture_file("proc/102/cgroup", "0::/init.scope\n");
	fixture_file("cgroup/init.scope/cgroup.procs", "102\n");
	assert_int_equal(find(102, &c), -ENOENT);
	fixture_file("proc/103/cgroup", "3:memory:/x\n");
	assert_int_equal(find(103, &c), -ENOENT);
	fixture_file("proc/104/cgroup", "0::/../x\n");
	assert_int_equal(find(104, &c), -EBADMSG);
	fixture_file("proc/105/cgroup", "");
	assert_int_equal(find(105, &c), -ENOENT);
	assert_null(c);
}

/* 1: *c is replaced, as the daemon does it. */
static int renew(pid_t pid, bool thorough, struct cgroup **c)
{
	struct cgroup *found = NULL;
	int r;

	r = cgroup_renew(fixture_path("proc"), fixture_path("cgroup"), pid, thorough, *c, &found);
	if (r > 0) {
		cgroup_free(*c);
		*c = found;
	} else {
		assert_null(found);
	}
	return r;
}

static void test_process_that_moves(void **state)
{
	_cleanup_(cgroup_freep) struct cgroup *c = NULL;
	struct cgroup_facts f;

	fixture_file("cgroup/a/memory.current", "1\n");
	fixture_file("cgroup/a/b/cgroup.procs", "100\n");
	fixture_file("cgroup/a/c/cgroup.procs", "");
	fixture_file("cgroup/d/memory.current", "2\n");
	fixture_file("proc/100/cgroup", "0::/a/b\n");
	assert_int_equal(renew(100, false, &c), 1);
	assert_string_equal(cgroup_path(c), "/a");
	assert_int_equal(renew(100, false, &c), 0);
	assert_int_equal(renew(100, true, &c), 0);

	/* Between groups that account nothing: the same group as before. */
	fixture_file("proc/100/cgroup", "0::/a/c\n");
	assert_int_equal(renew(100, false, &c), 0);
	fixture_file("proc/100/cgroup", "0::/d\n");
	assert_int_equal(renew(100, false, &c), 1);
	assert_string_equal(cgroup_path(c), "/d");
	cgroup_read(c, &f);
	assert_int_equal(f.current_bytes, 2);

	/* It ends: nobody says where it is, and a group above a removed one is not the VM's. */
	fixture_file("cgroup/memory.current", "9\n");
	fixture_file("proc/100/cgroup", "0::/a/gone (deleted)\n");
	assert_int_equal(renew(100, true, &c), 0);
	fixture_file("proc/100/cgroup", "0::/../outside\n");
	assert_int_equal(renew(100, true, &c), 0);
	assert_int_equal(renew(99, true, &c), 0);
	assert_string_equal(cgroup_path(c), "/d");

	/* To where nothing accounts it. */
	fixture_file("proc/100/cgroup", "0::/\n");
	assert_int_equal(renew(100, false, &c), 1);
	assert_null(c);
	assert_int_equal(renew(100, false, &c), 0);
	fixture_file("proc/100/cgroup", "0::/d/e (deleted)\n");
	assert_int_equal(find(100, &c), -ENOENT);
}

static void test_group_that_changes_under_a_process(void **state)
{
	_cleanup_(cgroup_freep) struct cgroup *c = NULL;
	struct cgroup_facts f;

	fixture_file("cgroup/a/memory.current", "1\n");
	fixture_file("cgroup/a/b/cgroup.procs", "100\n");
	fixture_file("proc/100/cgroup", "0::/a/b\n");
	assert_int_equal(renew(100, false, &c), 1);
	/* The controller is enabled below. The process has not moved: look thoroughly. */
	fixture_file("cgroup/a/b/memory.current", "2\n");
	assert_int_equal(renew(100, false, &c), 0);
	assert_int_equal(renew(100, true, &c), 1);
	assert_string_equal(cgroup_path(c), "/a/b");
	/* Another group of the same name. */
	fixture_remove("cgroup/a");
	fixture_file("cgroup/a/b/memory.current", "3\n");
	assert_int_equal(renew(100, true, &c), 1);
	cgroup_read(c, &f);
	assert_int_equal(f.current_bytes, 3);
}

static void test_files_that_make_no_sense(void **state)
{
	_cleanup_(cgroup_freep) struct cgroup *c = NULL;
	struct cgroup_facts f;
	char *text = malloc(100001);

	assert_non_null(text);
	memset(text, 'x', 100000);
	text[100000] = '\0';
	fixture_file("proc/100/cgroup", "0::/vm\n");
	fixture_file("cgroup/vm/memory.current", "x\n");
	fixture_file("cgroup/vm/memory.swap.current", "");
	fixture_file("cgroup/vm/memory.stat", text);
	fixture_file("cgroup/vm/memory.pressure/is/a", "directory");
	free(text);
	assert_int_equal(find(100, &c), 0);
	cgroup_read(c, &f);
	assert_int_equal(f.known, 0);
}

/* Of this very process, as far as this machine has such groups. */
static void test_self(void **state)
{
	_cleanup_(cgroup_freep) struct cgroup *c = NULL;
	struct cgroup_facts f;
	int r;

	r = cgroup_new("/proc", "/sys/fs/cgroup", getpid(), &c);
	if (r < 0) {
		assert_true(r == -ENOENT || r == -EACCES);
		return;
	}
	cgroup_read(c, &f);
	assert_true(f.known & CGROUP_CURRENT);
}

int main(void)
{
#define FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_membership),	 cmocka_unit_test(test_stat),
		cmocka_unit_test(test_stat_refused),	 cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_pressure_refused), cmocka_unit_test(test_bytes),
		FIXTURE(test_group_with_memory),	 FIXTURE(test_no_group),
		FIXTURE(test_process_that_moves),
		FIXTURE(test_group_that_changes_under_a_process),
		FIXTURE(test_files_that_make_no_sense),	 cmocka_unit_test(test_self),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
