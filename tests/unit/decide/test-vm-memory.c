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
		cmocka_unit_test_setup_teardown(test_process_that_is_not_known, setup, teardown),
	};

	return cmocka_run_group_tests_name("vm-memory", tests, NULL, NULL);
}
