/* SPDX-License-Identifier: GPL-2.0 */
#include "fixture.h"

#include "cgroup-limits.h"

#define MIB UINT64_C(1048576)

static int setup(void **state)
{
	fixture_begin();
	fixture_file("proc/7/cgroup", "0::/machine.slice/vm.scope/libvirt\n");
	fixture_file("cg/machine.slice/vm.scope/libvirt/memory.current", "104857600\n");
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

static void set(const char *group, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "cg/machine.slice%s/%s", group, name);
	fixture_file(path, text);
}

static void read_limits(struct cgroup_limits *ret)
{
	_cleanup_(cgroup_freep) struct cgroup *c = NULL;

	assert_int_equal(cgroup_new(fixture_path("proc"), fixture_path("cg"), 7, &c), 0);
	cgroup_limits_read(c, ret);
}

static void test_no_limits(void **state)
{
	struct cgroup_limits l;

	read_limits(&l);
	assert_false(l.max.limited || l.high.limited || l.swap.limited);
	assert_int_equal(l.nodes, 0);
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "memory.max", "memory.high",
						     "memory.swap.max" };

		set("/vm.scope/libvirt", names[i], "max\n");
		set("", names[i], "nonsense\n");
	}
	read_limits(&l);
	assert_false(l.max.limited || l.high.limited || l.swap.limited);
}

/* The lowest limit and the least room may be of different groups. */
static void test_groups_above(void **state)
{
	struct cgroup_limits l;

	set("/vm.scope/libvirt", "memory.max", "209715200\n"); /* 200 MiB, 100 left */
	set("/vm.scope/libvirt", "memory.high", "max\n");
	set("/vm.scope/libvirt", "memory.swap.current", "1048576\n");
	set("/vm.scope/libvirt", "memory.swap.max", "10485760\n"); /* 10 MiB, 9 left */
	set("/vm.scope", "memory.max", "max\n");
	set("/vm.scope", "memory.current", "104857600\n");
	set("/vm.scope", "memory.high", "157286400\n");
	set("", "memory.max", "1073741824\n"); /* 1 GiB, 24 MiB left */
	set("", "memory.current", "1048576000\n");
	set("", "memory.swap.max", "20971520\n"); /* 20 MiB, more than that in use */
	set("", "memory.swap.current", "30000000\n");
	/* The root of the hierarchy has no limits; nor is anything above it looked at. */
	fixture_file("cg/memory.max", "1\n");
	fixture_file("cg/memory.current", "0\n");
	read_limits(&l);
	assert_true(l.max.limited && l.high.limited && l.swap.limited);
	assert_int_equal(l.max.limit_bytes, 200 * MIB);
	assert_int_equal(l.max.room_bytes, 24 * MIB);
	assert_int_equal(l.high.limit_bytes, 150 * MIB);
	assert_int_equal(l.swap.limit_bytes, 10 * MIB);
	assert_int_equal(l.swap.room_bytes, 0);
}

static void test_nodes(void **state)
{
	struct cgroup_limits l;

	set("/vm.scope/libvirt", "memory.numa_stat",
	    "anon N0=205000000 N1=0\nfile N0=7 N1=7\nkernel_stack N0=1 N1=1\n"
	    "shmem N0=1000 N1=3000\nfile_mapped N0=5 N1=5\nanon_thp N0=9 N1=9\n");
	read_limits(&l);
	assert_int_equal(l.nodes, 3);
	assert_int_equal(l.node_bytes[0], 205001000);
	assert_int_equal(l.node_bytes[1], 3000);
}

static void test_nodes_that_make_no_sense(void **state)
{
	struct cgroup_limits l = {};

	cgroup_parse_numa("anon\nanon \nanon N\nanon N=1\nanon Nx=1\nanon N0\nanon N1=\n"
			  "anon N2=-1\nanon N64=1 N99999999999999999999=1\nanon M3=1\n"
			  "anon N4=1x\nshmem N5=7",
			  &l);
	assert_int_equal(l.nodes, 1 << 5);
	assert_int_equal(l.node_bytes[5], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups_above, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nodes, setup, teardown),
		cmocka_unit_test(test_nodes_that_make_no_sense),
	};

	return cmocka_run_group_tests_name("cgroup-limits", tests, NULL, NULL);
}
