/* SPDX-License-Identifier: GPL-2.0 */
#include "fixture.h"

#include <errno.h>
#include <math.h>

#include "host-memory.h"
#include "numa.h"
#include "util.h"

static int setup(void **state)
{
	fixture_begin();
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

static void want(const struct memory_figures *f, enum host_memory_figure figure, uint64_t value)
{
	if (!memory_figure_known(f, figure) || f->value[figure] != value)
		fail_msg("%s: known %d, %llu and not %llu", host_memory_names[figure].bus,
			 memory_figure_known(f, figure), (unsigned long long)f->value[figure],
			 (unsigned long long)value);
}

static void test_meminfo(void **state)
{
	struct memory_figures f = {};

	host_memory_parse_meminfo("MemTotal:       65843648 kB\nMemFree:         1000000 kB\n"
				  "MemAvailable:    5000000 kB\nSwapCached:        77 kB\n"
				  "SwapTotal:       8388604 kB\nSwapFree:        8000000 kB\n"
				  "Zswap:              3000 kB\nZswapped:           9000 kB\n",
				  &f);
	want(&f, HOST_MEMORY_TOTAL, UINT64_C(65843648) * 1024);
	want(&f, HOST_MEMORY_FREE, UINT64_C(1000000) * 1024);
	want(&f, HOST_MEMORY_AVAILABLE, UINT64_C(5000000) * 1024);
	want(&f, HOST_MEMORY_RECLAIMABLE, UINT64_C(4000000) * 1024);
	want(&f, HOST_MEMORY_SWAP_TOTAL, UINT64_C(8388604) * 1024);
	want(&f, HOST_MEMORY_SWAP_FREE, UINT64_C(8000000) * 1024);
	want(&f, HOST_MEMORY_ZSWAP, 3000 * 1024);
	want(&f, HOST_MEMORY_ZSWAPPED, 9000 * 1024);
}

static void test_full_host(void **state)
{
	struct memory_figures f = {};

	host_memory_parse_meminfo("MemFree: 90000 kB\nMemAvailable: 0 kB\n", &f);
	want(&f, HOST_MEMORY_RECLAIMABLE, 0);
	assert_false(memory_figure_known(&f, HOST_MEMORY_ZSWAP));
}

static void test_vmstat(void **state)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct memory_figures f = {};

	host_memory_parse_vmstat("nr_free_pages 9\nworkingset_refault_anon 31\n"
				 "workingset_refault_file 1000\npswpin 7\npswpout 11\n"
				 "pgscan_kswapd 100\npgscan_direct 20\npgscan_khugepaged 5\n"
				 "pgscan_direct_throttle 3\npgscan_anon 120\n",
				 &f);
	want(&f, HOST_MEMORY_SWAPPED_IN, 7 * page);
	want(&f, HOST_MEMORY_SWAPPED_OUT, 11 * page);
	want(&f, HOST_MEMORY_SCANNED, 120);
	want(&f, HOST_MEMORY_DIRECT_SCANNED, 20);
	want(&f, HOST_MEMORY_REFAULTS, 31);
}

static void test_text_that_makes_no_sense(void **state)
{
	struct memory_figures f = {};

	host_memory_parse_meminfo("MemTotal:\nMemFree: x kB\nMemAvailable: -1 kB\n"
				  "SwapTotal: 18446744073709551615 kB\nSwapFree",
				  &f);
	host_memory_parse_vmstat("pswpin\npswpout \npgscan_direct -5\n", &f);
	assert_int_equal(f.known, 0);
}

static void test_files(void **state)
{
	struct host_memory m;

	host_memory_read(fixture_path("proc"), &m);
	assert_int_equal(m.figures.known, 0);
	assert_true(isnan(m.some_avg10) && isnan(m.full_avg10));

	fixture_file("proc/meminfo", "MemTotal: 4 kB\n");
	fixture_file("proc/vmstat", "pgscan_kswapd 6\n");
	fixture_file("proc/pressure/memory", "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\n"
					     "full avg10=0.25 avg60=0.00 avg300=0.00 total=66\n");
	host_memory_read(fixture_path("proc"), &m);
	want(&m.figures, HOST_MEMORY_TOTAL, 4096);
	want(&m.figures, HOST_MEMORY_SCANNED, 6);
	want(&m.figures, HOST_MEMORY_SOME, 77);
	want(&m.figures, HOST_MEMORY_FULL, 66);
	assert_float_equal(m.some_avg10, 1.5, 1e-9);
	assert_float_equal(m.full_avg10, 0.25, 1e-9);
}

static void test_nodes(void **state)
{
	struct numa_node node;
	struct numa numa;

	numa_read(fixture_path("sys"), &numa);
	assert_int_equal(numa.n, 0);
	assert_int_equal(numa_read_node(fixture_path("sys"), 0, &node), -ENOENT);

	fixture_file("sys/devices/system/node/node0/meminfo",
		     "Node 0 MemTotal:       32000 kB\nNode 0 MemFree:        1000 kB\n"
		     "Node 0 Active(file):   20 kB\nNode 0 Inactive(file): 3 kB\n");
	/* A node with CPUs alone, and a gap. */
	fixture_file("sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 0 kB\n");
	fixture_file("sys/devices/system/node/node3/meminfo",
		     "Node 3 MemTotal: 16000 kB\nNode 3 MemFree: 2 kB\n");
	numa_read(fixture_path("sys"), &numa);
	assert_int_equal(numa.n, 2);
	assert_int_equal(numa.nodes[0].id, 0);
	assert_int_equal(numa.nodes[0].total_bytes, 32000 * 1024);
	assert_int_equal(numa.nodes[0].free_bytes, 1000 * 1024);
	assert_int_equal(numa.nodes[0].file_bytes, 23 * 1024);
	assert_int_equal(numa.nodes[1].id, 3);
	assert_int_equal(numa.nodes[1].free_bytes, 2048);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meminfo),
		cmocka_unit_test(test_full_host),
		cmocka_unit_test(test_vmstat),
		cmocka_unit_test(test_text_that_makes_no_sense),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nodes, setup, teardown),
	};

	return cmocka_run_group_tests_name("host-memory", tests, NULL, NULL);
}
