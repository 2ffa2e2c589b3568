/* SPDX-License-Identifier: GPL-2.0 */
/* VMs in one control group, as the tick reads them: in turns, but the active ones each time. */
#include "fixture.h"

#include <math.h>

#include "context.h"
#include "vm.h"
#include "vm-memory.h"

enum { VMS = 3 };

static struct context context;
static struct vm *vms[VMS];

static void set_group(int i, const char *path)
{
	char name[64], text[64];

	snprintf(name, sizeof(name), "proc/%d/cgroup", 100 + i);
	snprintf(text, sizeof(text), "0::%s\n", path);
	fixture_file(name, text);
}

static void set_swap(const char *path, const char *bytes)
{
	char name[64];

	snprintf(name, sizeof(name), "cgroup%s/memory.current", path);
	fixture_file(name, "1\n");
	snprintf(name, sizeof(name), "cgroup%s/memory.swap.current", path);
	fixture_file(name, bytes);
}

static void read_memory(int i)
{
	static uint64_t usec;

	usec += USEC_PER_SEC;
	vm_read_memory(vms[i], usec);
}

static int setup(void **state)
{
	fixture_begin();
	context = (struct context){ .proc_root = (char *)fixture_path("proc"),
				    .cgroup_root = (char *)fixture_path("cgroup") };
	registry_init(&context.vms);
	for (int i = 0; i < VMS; i++) {
		struct virt_domain d = { .name = (char *)"web", .id = i };
		char name[64];

		snprintf(d.uuid, sizeof(d.uuid), "11111111-aaaa-4bbb-8ccc-00000000000%d", i);
		assert_int_equal(vm_new(&context, &d, true, &vms[i]), 0);
		vms[i]->view.pid = 100 + (uint32_t)i;
		registry_insert(&context.vms, vms[i]);
		/* Memory that VmSwap does not contain. */
		snprintf(name, sizeof(name), "proc/%d/status", 100 + i);
		fixture_file(name, "RssShmem:\t 4000000 kB\nVmSwap:\t 0 kB\n");
	}
	set_swap("/vms", "5000\n");
	set_swap("/own", "7000\n");
	return 0;
}

static int teardown(void **state)
{
	registry_done(&context.vms);
	return fixture_end();
}

static void test_another_vm_comes(void **state)
{
	set_group(0, "/vms");
	set_group(1, "/own");
	for (int i = 0; i < 2; i++) {
		read_memory(i);
		read_memory(i);
		assert_int_equal(vms[i]->view.swapped.source, MEMORY_SOURCE_CGROUP);
		assert_false(vms[i]->memory.active);
	}
	assert_int_equal(vms[0]->view.swapped.bytes, 5000);

	set_group(2, "/vms");
	read_memory(2);
	assert_int_equal(vms[2]->view.swapped.source, MEMORY_SOURCE_UNKNOWN);
	/* What is shown of the first is not right any more: the next tick reads it. */
	assert_true(vms[0]->memory.active);
	assert_false(vms[1]->memory.active);
	read_memory(0);
	assert_int_equal(vms[0]->view.swapped.source, MEMORY_SOURCE_UNKNOWN);
	assert_true(isnan(vms[0]->view.pressure[PRESSURE_SWAP_BYTES]));

	/* Its process ends. */
	vm_clear_process(vms[2]);
	assert_int_equal(vms[2]->view.swapped.source, MEMORY_SOURCE_UNKNOWN);
	read_memory(0);
	assert_int_equal(vms[0]->view.swapped.bytes, 5000);
}

static void want(int i, enum vm_memory figure, uint64_t value)
{
	const struct memory_figures *f = &vms[i]->memory_figures;

	if (!memory_figure_known(f, figure) || f->value[figure] != value)
		fail_msg("%s: known %d, %llu and not %llu", vm_memory_names[figure].bus,
			 memory_figure_known(f, figure), (unsigned long long)f->value[figure],
			 (unsigned long long)value);
}

static void test_figures(void **state)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	set_group(0, "/own");
	fixture_file("cgroup/own/memory.max", "9000\n");
	fixture_file("cgroup/own/memory.high", "8000\n");
	fixture_file("cgroup/own/memory.swap.max", "7500\n");
	fixture_file("cgroup/own/memory.numa_stat", "anon N0=4 N1=5\n");
	fixture_file("cgroup/own/memory.pressure",
		     "some avg10=1.00 avg60=0.00 avg300=0.00 total=21\n"
		     "full avg10=1.00 avg60=0.00 avg300=0.00 total=12\n");
	fixture_file("cgroup/own/memory.stat",
		     "pswpin 2\npswpout 3\nworkingset_refault_anon 4\n"
		     "workingset_activate_anon 5\npgmajfault 6\nactive_anon 7\nzswap 8\n"
		     "zswapped 1000\n");
	read_memory(0);
	want(0, VM_MEMORY_LIMIT, 9000);
	want(0, VM_MEMORY_ROOM, 8999);
	want(0, VM_MEMORY_HIGH, 8000);
	want(0, VM_MEMORY_SWAP_LIMIT, 7500);
	want(0, VM_MEMORY_SWAP_ROOM, 500);
	want(0, VM_MEMORY_SWAPPED_IN, 2 * page);
	want(0, VM_MEMORY_SWAPPED_OUT, 3 * page);
	want(0, VM_MEMORY_REFAULTS, 4);
	want(0, VM_MEMORY_ACTIVATIONS, 5);
	want(0, VM_MEMORY_MAJOR_FAULTS, 6);
	want(0, VM_MEMORY_SOME, 21);
	want(0, VM_MEMORY_FULL, 12);
	want(0, VM_MEMORY_ACTIVE, 7);
	want(0, VM_MEMORY_ZSWAP, 8);
	want(0, VM_MEMORY_ZSWAPPED, 1000);
	want(0, VM_MEMORY_ZRAM, 0);
	assert_int_equal(vms[0]->memory.limits.nodes, 3);

	/* Limits are read rarely; another group is read at once. */
	fixture_file("cgroup/own/memory.max", "9100\n");
	read_memory(0);
	want(0, VM_MEMORY_LIMIT, 9000);
	for (int i = 0; i < 60; i++)
		read_memory(0);
	want(0, VM_MEMORY_LIMIT, 9100);
	set_group(0, "/vms");
	read_memory(0);
	assert_false(memory_figure_known(&vms[0]->memory_figures, VM_MEMORY_LIMIT));
	assert_false(memory_figure_known(&vms[0]->memory_figures, VM_MEMORY_SWAPPED_IN));
	vm_clear_process(vms[0]);
	assert_int_equal(vms[0]->memory_figures.known, 0);
}

/* Of zram the kernel has no figure for a group. */
static void test_zram(void **state)
{
	context.swap.n = 2;
	context.swap.dev[0] = (struct swapdev){ .kind = SWAPDEV_ZRAM, .used_bytes = 1 };
	context.swap.dev[1] = (struct swapdev){ .kind = SWAPDEV_DISK };
	set_group(0, "/own");
	read_memory(0);
	want(0, VM_MEMORY_ZRAM, 7000);
	fixture_file("cgroup/own/memory.stat", "zswapped 1000\n");
	read_memory(0);
	want(0, VM_MEMORY_ZRAM, 6000);
	/* Of two kinds it cannot be told. */
	context.swap.dev[1].used_bytes = 1;
	read_memory(0);
	assert_false(memory_figure_known(&vms[0]->memory_figures, VM_MEMORY_ZRAM));
	context.swap.dev[0].used_bytes = 0;
	read_memory(0);
	want(0, VM_MEMORY_ZRAM, 0);
}

/* The limits of a group with several VMs are those of none of them. */
static void test_figures_of_a_shared_group(void **state)
{
	set_group(0, "/own");
	set_group(1, "/own");
	fixture_file("cgroup/own/memory.max", "9000\n");
	fixture_file("cgroup/own/memory.stat", "pswpin 2\npgmajfault 6\n");
	read_memory(0);
	want(0, VM_MEMORY_LIMIT, 9000);
	read_memory(1);
	read_memory(0);
	for (int i = 0; i < 2; i++) {
		assert_false(memory_figure_known(&vms[i]->memory_figures, VM_MEMORY_LIMIT));
		assert_false(memory_figure_known(&vms[i]->memory_figures, VM_MEMORY_SWAPPED_IN));
	}
}

static void test_process_that_is_not_known(void **state)
{
	vms[0]->view.pid = 0;
	read_memory(0);
	assert_int_equal(vms[0]->view.swapped.source, MEMORY_SOURCE_UNKNOWN);
	assert_null(vms[0]->memory.cgroup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_another_vm_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_figures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_figures_of_a_shared_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_process_that_is_not_known, setup, teardown),
	};

	return cmocka_run_group_tests_name("vm-memory", tests, NULL, NULL);
}
