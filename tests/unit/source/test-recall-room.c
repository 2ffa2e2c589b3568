// SPDX-License-Identifier: GPL-2.0
#include "fixture.h"

#include <fcntl.h>

#include "recall-plan.h"
#include "recall-room.h"
#include "util.h"

#define MIB   (UINT64_C(1) << 20)
#define GROUP "/machine.slice/a.scope"

static int setup(void **state)
{
	fixture_begin();
	fixture_file("proc/meminfo", "MemTotal:       3276800 kB\nMemFree:  1 kB\n"
				     "MemAvailable:    1024000 kB\n");
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

static void group(const char *path, const char *max, const char *high, const char *current)
{
	char name[256];

	snprintf(name, sizeof(name), "cgroup%s/memory.max", path);
	fixture_file(name, max);
	snprintf(name, sizeof(name), "cgroup%s/memory.high", path);
	fixture_file(name, high);
	snprintf(name, sizeof(name), "cgroup%s/memory.current", path);
	fixture_file(name, current);
}

static struct recall_room read_room(const char *path)
{
	_cleanup_close_ int fd = -1;
	struct recall_room room;
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s%s", fixture_path("cgroup"), path);
	fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(recall_room_read(fixture_path("proc"), fd, path, RECALL_RESERVE_REQUESTED,
					  &room),
			 0);
	return room;
}

static void test_host(void **state)
{
	struct recall_room room = read_room("");

	assert_int_equal(room.host_bytes, 900 * MIB);
	assert_true(room.group_bytes == RECALL_UNLIMITED);
	assert_int_equal(recall_room_bytes(&room), 900 * MIB);
	/* Groups that do not exist have no limit. */
	room = read_room("/no/such/group");
	assert_true(room.group_bytes == RECALL_UNLIMITED);
}

static void test_least_room_of_all_groups(void **state)
{
	struct recall_room room;

	group(GROUP, "max\n", "max\n", "104857600\n");
	group("/machine.slice", "max\n", "max\n", "104857600\n");
	room = read_room(GROUP);
	assert_true(room.group_bytes == RECALL_UNLIMITED);

	group(GROUP, "335544320\n", "max\n", "104857600\n"); /* 320 and 100 MiB */
	room = read_room(GROUP);
	assert_int_equal(room.group_bytes, 210 * MIB);
	assert_string_equal(room.group, GROUP);
	/* memory.high counts, too. */
	group(GROUP, "335544320\n", "167772160\n", "104857600\n");
	assert_int_equal(read_room(GROUP).group_bytes, 55 * MIB);
	/* And so do the groups above. */
	group("/machine.slice", "134217728\n", "max\n", "104857600\n");
	room = read_room(GROUP);
	assert_int_equal(room.group_bytes, 24 * MIB);
	assert_string_equal(room.group, "/machine.slice");
	/* Page cache that nobody uses makes room. */
	fixture_file("cgroup/machine.slice/memory.stat", "anon 5\ninactive_file 10485760\n");
	assert_int_equal(read_room(GROUP).group_bytes, 34 * MIB);
	/* Over the limit. */
	group(GROUP, "335544320\n", "1048576\n", "104857600\n");
	assert_int_equal(read_room(GROUP).group_bytes, 0);
}

static void test_text(void **state)
{
	struct recall_room room = { .host_bytes = 5 * MIB, .group_bytes = 7 * MIB, .group = "/g" };
	char text[256];

	recall_room_text(&room, 9 * MIB, text, sizeof(text));
	assert_string_equal(text, "9 MiB do not fit into the 5 MiB that the host has available");
	room.host_bytes = 8 * MIB;
	recall_room_text(&room, 9 * MIB, text, sizeof(text));
	assert_string_equal(
		text, "9 MiB do not fit into the 7 MiB below the limit of the control group /g");
}

static void test_meminfo(void **state)
{
	uint64_t total, available;

	assert_int_equal(recall_room_parse_meminfo("MemAvailable: 2 kB\nMemTotal: 4 kB\n", &total,
						   &available),
			 0);
	assert_int_equal(total, 4096);
	assert_int_equal(available, 2048);
	assert_true(recall_room_parse_meminfo("", &total, &available) < 0);
	assert_true(recall_room_parse_meminfo("MemTotal: 4 kB\n", &total, &available) < 0);
	assert_true(recall_room_parse_meminfo("MemTotal: x\nMemAvailable: 1 kB\n", &total,
					      &available) < 0);
	assert_true(recall_room_parse_meminfo("MemTotal: 18446744073709551615 kB\n"
					      "MemAvailable: 1 kB\n",
					      &total, &available) < 0);
	fixture_remove("proc");
	struct recall_room room;
	assert_true(recall_room_read(fixture_path("proc"), -1, "", RECALL_RESERVE_REQUESTED,
				     &room) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_least_room_of_all_groups, setup, teardown),
		cmocka_unit_test(test_text),
		cmocka_unit_test_setup_teardown(test_meminfo, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
