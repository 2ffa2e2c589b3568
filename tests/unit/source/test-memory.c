/* SPDX-License-Identifier: GPL-2.0 */
/* How much of a VM is on swap, from files in the place of /proc and of the control groups. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <math.h>
#include <sys/vfs.h>

#include "memory.h"

#define SCOPE "/machine.slice/machine-qemu\\x2d7\\x2dwin10.scope"
#define MIB   UINT64_C(1048576)

enum { ANON = 100, SHARED = 200 };

enum { AT_ONCE = 4 }; /* so many processes' mappings are read */

static sd_event *event;
static struct cgroup_users users;
static struct memory memory[AT_ONCE + 1];
static struct memory_swapped swapped;
static struct pressure_reading reading;
static double figures[PRESSURE_FIGURE_MAX + 1];
static bool is_cgroup2;

/* The daemon writes triggers only to files of this file system; the tests have none. */
int fstatfs(int fd, struct statfs *ret)
{
	*ret = (struct statfs){ .f_type = is_cgroup2 ? CGROUP2_SUPER_MAGIC : TMPFS_MAGIC };
	return 0;
}

static void on_waited(void *userdata)
{
}

static void set_status(pid_t pid, uint64_t shmem_mib, uint64_t swap_mib)
{
	char name[64], text[128];

	snprintf(name, sizeof(name), "proc/%d/status", pid);
	snprintf(text, sizeof(text), "Name:\tqemu\nRssShmem:\t%lu kB\nVmSwap:\t%lu kB\n",
		 shmem_mib << 10, swap_mib << 10);
	fixture_file(name, text);
}

static void set_group(pid_t pid, const char *path)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "proc/%d/cgroup", pid);
	snprintf(text, sizeof(text), "0::%s\n", path);
	fixture_file(name, text);
}

static void set_swap(const char *path, uint64_t swap_mib, uint64_t cached_mib)
{
	char name[256], text[128];

	snprintf(name, sizeof(name), "cgroup%s/memory.current", path);
	fixture_file(name, "5431894016\n");
	snprintf(name, sizeof(name), "cgroup%s/memory.swap.current", path);
	snprintf(text, sizeof(text), "%lu\n", swap_mib * MIB);
	fixture_file(name, text);
	snprintf(name, sizeof(name), "cgroup%s/memory.stat", path);
	snprintf(text, sizeof(text), "swapcached %lu\npgmajfault 402118\n", cached_mib * MIB);
	fixture_file(name, text);
}

static void read_once(size_t i, pid_t pid)
{
	static uint64_t usec;
	const struct memory_env env = {
		.event = event,
		.proc_root = fixture_path("proc"),
		.cgroup_root = fixture_path("cgroup"),
		.users = &users,
		.pid = pid,
		.name = "win10",
		.waited = on_waited,
	};

	usec += USEC_PER_SEC;
	reading = (struct pressure_reading){ .stall_ratio = NAN,
					     .waiting = NAN,
					     .swapin_rate = NAN };
	memory_read(&memory[i], &env, &reading, usec, &swapped, figures);
}

/* The mappings were read, if a thread reads them. */
static void settle(size_t i)
{
	for (int k = 0; k < 1000 && memory[i].maps_job; k++)
		assert_true(sd_event_run(event, 10000) >= 0);
	assert_null(memory[i].maps_job);
}

/* With a second reading if the first one had to wait for the mappings. */
static void read_memory(size_t i, pid_t pid)
{
	read_once(i, pid);
	if (!memory[i].maps_job)
		return;
	settle(i);
	read_once(i, pid);
}

#define assert_swapped(mib, from)                         \
	do {                                              \
		assert_int_equal(swapped.source, (from)); \
		assert_int_equal(swapped.bytes, (mib) * MIB); \
	} while (0)

static int setup(void **state)
{
	fixture_begin();
	memset(memory, 0, sizeof(memory));
	is_cgroup2 = false;
	assert_true(sd_event_new(&event) >= 0);
	set_status(ANON, 0, 1000);
	set_group(ANON, SCOPE "/libvirt/emulator");
	set_swap(SCOPE "/libvirt", 1010, 0);
	fixture_file("proc/100/maps", "1000-2000 r--p 0 fe:01 1 /usr/bin/qemu\n");
	/* 8 GiB in a memfd; VmSwap does not contain what of it is on swap. */
	set_status(SHARED, 4942, 0);
	set_group(SHARED, "/memfd.scope/libvirt/emulator");
	set_swap("/memfd.scope/libvirt", 3145, 0);
	fixture_file("proc/200/maps", "7f0000000000-7f0200000000 rw-s 0 00:01 2053 /memfd:ram\n");
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(memory); i++)
		memory_reset(&memory[i], figures);
	assert_int_equal(cgroup_users_count(&users, "/machine.slice"), 0);
	event = sd_event_unref(event);
	return fixture_end();
}

static void test_anonymous_memory(void **state)
{
	read_once(0, ANON);
	settle(0);
	assert_true(memory[0].active);
	read_once(0, ANON);
	assert_false(memory[0].active);
	/* The group has a helper of the VM besides. */
	assert_swapped(1000, MEMORY_SOURCE_PROCESS);
	assert_float_equal(figures[PRESSURE_SWAP_BYTES], 1010.0 * MIB, 0);
}

static void test_shared_memory(void **state)
{
	read_memory(0, SHARED);
	assert_swapped(3145, MEMORY_SOURCE_CGROUP);
	/* What is back in memory, but keeps its place on swap, is not swapped out. */
	set_swap("/memfd.scope/libvirt", 3145, 145);
	read_memory(0, SHARED);
	assert_swapped(3000, MEMORY_SOURCE_CGROUP);
	assert_float_equal(figures[PRESSURE_SWAP_BYTES], 3145.0 * MIB, 0);
	/* The process's own memory is on swap, too; the group's figure is from a moment before. */
	set_swap("/memfd.scope/libvirt", 7, 9);
	set_status(SHARED, 4942, 20);
	read_memory(0, SHARED);
	assert_swapped(20, MEMORY_SOURCE_CGROUP);
}

static void test_shared_memory_all_on_swap(void **state)
{
	/* Nothing of it is resident, as of a VM that was suspended long ago. */
	set_status(SHARED, 0, 1);
	read_memory(0, SHARED);
	assert_swapped(3145, MEMORY_SOURCE_CGROUP);
	/* Small buffers are not the memory of a VM. */
	memory_reset(&memory[0], figures);
	fixture_file("proc/200/maps", "7f0000000000-7f0000fff000 rw-s 0 00:01 2053 /memfd:log\n");
	read_memory(0, SHARED);
	assert_swapped(1, MEMORY_SOURCE_PROCESS);
	/* Memory is added to the VM: that is seen after a while. */
	fixture_file("proc/200/maps", "7f0000000000-7f0200000000 rw-s 0 00:01 2053 /memfd:ram\n");
	for (int i = 0; i < 16; i++)
		read_memory(0, SHARED);
	assert_swapped(3145, MEMORY_SOURCE_CGROUP);
	/* Without the list of mappings, resident memory decides. */
	memory_reset(&memory[0], figures);
	fixture_remove("proc/200/maps");
	read_memory(0, SHARED);
	assert_swapped(1, MEMORY_SOURCE_PROCESS);
}

/* Lets all that have opened the pipe at @path, or wait for that, go on with nothing to read. */
static void let_go(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		close(fd);
}

/* Pipes without a writer in the place of mappings that somebody has locked. */
static void test_mappings_that_cannot_be_read_now(void **state)
{
	char path[PATH_MAX];
	bool known = false;

	/* A copy: read_once() uses up the buffers of fixture_path(). */
	snprintf(path, sizeof(path), "%s", fixture_path("proc/200/maps"));
	fixture_remove("proc/200/maps");
	assert_int_equal(mkfifo(path, 0600), 0);
	set_status(SHARED, 0, 1);
	set_group(SHARED, "/");
	for (size_t i = 0; i < ELEMENTSOF(memory); i++) {
		read_once(i, SHARED);
		assert_swapped(0, MEMORY_SOURCE_UNKNOWN);
		/* The last one has to wait until another one is done. */
		assert_int_equal(memory[i].maps_job != NULL, i < AT_ONCE);
	}
	/* VMs may end meanwhile. */
	for (size_t i = 0; i < ELEMENTSOF(memory); i++)
		memory_reset(&memory[i], figures);
	/* And when the threads have ended, there is room for others. */
	for (int k = 0; k < 1000 && !known; k++) {
		let_go(path);
		read_once(0, SHARED);
		(void)sd_event_run(event, 10000);
		known = memory[0].maps_known;
	}
	assert_true(known);
	assert_true(memory[0].active);
	read_once(0, SHARED);
	assert_swapped(1, MEMORY_SOURCE_PROCESS);
}

static void test_shared_memory_without_a_group(void **state)
{
	set_group(SHARED, "/");
	read_memory(0, SHARED);
	assert_swapped(0, MEMORY_SOURCE_UNKNOWN);
	assert_true(isnan(figures[PRESSURE_SWAP_BYTES]));
	/* A group that does not tell is none. */
	set_group(SHARED, "/memfd.scope/libvirt/emulator");
	fixture_remove("cgroup/memfd.scope/libvirt/memory.swap.current");
	read_memory(0, SHARED);
	assert_swapped(0, MEMORY_SOURCE_UNKNOWN);
	set_group(ANON, "/");
	read_memory(1, ANON);
	assert_swapped(1000, MEMORY_SOURCE_PROCESS);
	assert_float_equal(figures[PRESSURE_SWAP_BYTES], 1000.0 * MIB, 0);
}

static void test_two_vms_in_one_group(void **state)
{
	set_swap("/vms.service", 5000, 0);
	set_group(ANON, "/vms.service");
	set_group(SHARED, "/vms.service");
	read_memory(0, SHARED);
	assert_swapped(5000, MEMORY_SOURCE_CGROUP);
	assert_float_equal(figures[PRESSURE_MEMORY_BYTES], 5431894016, 0);
	/* The other comes: the sum is no VM's. */
	read_memory(1, ANON);
	assert_swapped(1000, MEMORY_SOURCE_PROCESS);
	assert_true(isnan(figures[PRESSURE_MEMORY_BYTES]));
	assert_float_equal(figures[PRESSURE_SWAP_BYTES], 1000.0 * MIB, 0);
	read_memory(0, SHARED);
	assert_swapped(0, MEMORY_SOURCE_UNKNOWN);
	assert_true(isnan(figures[PRESSURE_MEMORY_BYTES]));
	assert_true(isnan(figures[PRESSURE_SWAP_BYTES]));
	assert_string_equal(cgroup_path(memory[0].cgroup), "/vms.service");
	/* It moves to a group below: its own figures are right, and are still in the sum. */
	set_swap("/vms.service/anon", 1001, 0);
	set_group(ANON, "/vms.service/anon");
	read_memory(1, ANON);
	assert_float_equal(figures[PRESSURE_SWAP_BYTES], 1001.0 * MIB, 0);
	read_memory(0, SHARED);
	assert_swapped(0, MEMORY_SOURCE_UNKNOWN);
	/* And it ends. */
	memory_reset(&memory[1], figures);
	read_memory(0, SHARED);
	assert_swapped(5000, MEMORY_SOURCE_CGROUP);
	assert_true(isnan(figures[PRESSURE_MAJOR_FAULT_RATE]));
}

static void test_process_that_moves(void **state)
{
	read_memory(0, SHARED);
	memory[0].cgroup_changed = false;
	read_memory(0, SHARED);
	assert_false(memory[0].cgroup_changed);
	assert_false(isnan(figures[PRESSURE_MAJOR_FAULT_RATE]));

	set_swap("/new.scope", 99, 0);
	set_group(SHARED, "/new.scope");
	read_memory(0, SHARED);
	assert_swapped(99, MEMORY_SOURCE_CGROUP);
	assert_true(memory[0].cgroup_changed);
	assert_string_equal(cgroup_path(memory[0].cgroup), "/new.scope");
	/* Two groups' totals make no rate. */
	assert_true(isnan(figures[PRESSURE_MAJOR_FAULT_RATE]));
	assert_int_equal(cgroup_users_count(&users, "/memfd.scope"), 0);

	/* The group is removed, and the process is somewhere else at the next reading. */
	fixture_remove("cgroup/new.scope");
	read_memory(0, SHARED);
	assert_swapped(0, MEMORY_SOURCE_UNKNOWN);
	set_group(SHARED, "/memfd.scope/libvirt/emulator");
	read_memory(0, SHARED);
	assert_swapped(3145, MEMORY_SOURCE_CGROUP);
}

static void test_process_that_ends(void **state)
{
	read_memory(0, SHARED);
	fixture_file("proc/200/status", "Name:\tqemu\nState:\tZ (zombie)\n");
	set_swap("/memfd.scope/libvirt", 0, 0);
	read_memory(0, SHARED);
	assert_swapped(0, MEMORY_SOURCE_PROCESS);
	/* What cannot be read is not 0. */
	fixture_file("proc/200/status", "VmSwap:\tmuch kB\n");
	set_swap("/memfd.scope/libvirt", 50, 0);
	read_memory(0, SHARED);
	assert_swapped(0, MEMORY_SOURCE_UNKNOWN);
}

/* Does anybody read the pipe in the place of the group's memory.pressure? */
static bool is_triggered(const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		assert_int_equal(errno, ENXIO);
	else
		close(fd);
	return fd >= 0;
}

static void test_trigger_is_let_go(void **state)
{
	char pipe[PATH_MAX];

	snprintf(pipe, sizeof(pipe), "%s/cgroup/memfd.scope/libvirt/memory.pressure", fixture_root);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	set_swap("/memfd.scope/libvirt", 0, 0);
	read_memory(0, SHARED);
	assert_false(is_triggered(pipe));
	assert_int_equal(memory[0].psi_error, 0);
	/* A file of another file system. */
	set_swap("/memfd.scope/libvirt", 1, 0);
	read_memory(0, SHARED);
	assert_int_equal(memory[0].psi_error, -EOPNOTSUPP);
	memory_reset(&memory[0], figures);
	assert_int_equal(memory[0].psi_error, 0);
	is_cgroup2 = true;
	set_swap("/memfd.scope/libvirt", 1, 0);
	read_memory(0, SHARED);
	assert_true(is_triggered(pipe));
	assert_non_null(memory[0].psi_source);
	/* Nothing is on swap any more; then something is again. */
	set_swap("/memfd.scope/libvirt", 0, 0);
	read_memory(0, SHARED);
	assert_false(is_triggered(pipe));
	assert_null(memory[0].psi_source);
	set_swap("/memfd.scope/libvirt", 1, 0);
	read_memory(0, SHARED);
	assert_true(is_triggered(pipe));
	/* Another VM comes: its waits are not this VM's. */
	set_group(ANON, "/memfd.scope/libvirt");
	read_memory(1, ANON);
	read_memory(0, SHARED);
	assert_false(is_triggered(pipe));
	memory_reset(&memory[1], figures);
	read_memory(0, SHARED);
	assert_true(is_triggered(pipe));
	/* It moves; and a VM that ends leaves none. */
	set_group(SHARED, SCOPE "/libvirt");
	read_memory(0, SHARED);
	assert_false(is_triggered(pipe));
	set_group(SHARED, "/memfd.scope/libvirt");
	read_memory(0, SHARED);
	assert_true(is_triggered(pipe));
	memory_reset(&memory[0], figures);
	assert_false(is_triggered(pipe));
}

int main(void)
{
#define FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		FIXTURE(test_anonymous_memory),
		FIXTURE(test_shared_memory),
		FIXTURE(test_shared_memory_all_on_swap),
		FIXTURE(test_mappings_that_cannot_be_read_now),
		FIXTURE(test_shared_memory_without_a_group),
		FIXTURE(test_two_vms_in_one_group),
		FIXTURE(test_process_that_moves),
		FIXTURE(test_process_that_ends),
		FIXTURE(test_trigger_is_let_go),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
