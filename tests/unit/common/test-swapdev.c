/* SPDX-License-Identifier: GPL-2.0 */
#include "fixture.h"

#include <errno.h>

#include "swapdev.h"

static int setup(void **state)
{
	fixture_begin();
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static void test_parse(void **state)
{
	struct swapdevs s;

	swapdevs_parse(
		HEAD "/dev/apfswap                            partition\t1048572\t\t139008\t\t-2\n"
		     "/var/a\\040swap\\134file file\t100\t\t0\t\t5\n"
		     "/dev/dm-0 partition\t7\t7\t-3",
		&s);
	assert_int_equal(s.n, 3);
	assert_string_equal(s.dev[0].path, "/dev/apfswap");
	assert_int_equal(s.dev[0].size_bytes, UINT64_C(1048572) * 1024);
	assert_int_equal(s.dev[0].used_bytes, UINT64_C(139008) * 1024);
	assert_int_equal(s.dev[0].kind, SWAPDEV_OTHER);
	assert_string_equal(s.dev[1].path, "/var/a swap\\file");
	assert_int_equal(s.dev[1].kind, SWAPDEV_FILE);
	assert_string_equal(s.dev[2].path, "/dev/dm-0");
}

static void test_parse_refused(void **state)
{
	static const char *const bad[] = {
		"",
		HEAD,
		"/dev/a",
		"/dev/a partition",
		"/dev/a partition 1",
		"/dev/a partition 1 2 -1\n", /* more used than there is */
		"/dev/a partition x 0 -1\n",
		"/dev/a partition -1 0 -1\n",
		"/dev/a partition 18446744073709551615 0 -1\n",
		"/dev/a\\000b partition 1 0 -1\n",
		"dev/a partition 1 0 -1\n",
	};
	struct swapdevs s;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		swapdevs_parse(bad[i], &s);
		assert_int_equal(s.n, 0);
	}
	/* A line that makes no sense does not take the next with it. */
	swapdevs_parse("/dev/a x\n/dev/b partition 1 0 -1\n", &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.dev[0].path, "/dev/b");
}

static void test_parse_is_bounded(void **state)
{
	char text[20000] = "", path[400];
	struct swapdevs s;
	size_t len = 0;

	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"/dev/sd%d partition 10 1 -1\n", i);
	swapdevs_parse(text, &s);
	assert_int_equal(s.n, SWAPDEVS_MAX);

	memset(path, 'x', sizeof(path));
	snprintf(text, sizeof(text), "/%.*s partition 10 1 -1\n", (int)sizeof(path) - 1, path);
	swapdevs_parse(text, &s);
	assert_int_equal(s.n, 0);
}

static void test_path_is_fit_for_the_bus(void **state)
{
	struct swapdevs s;

	swapdevs_parse("/dev/\xff\xfe\\012 partition 10 1 -1\n", &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.dev[0].path, "/dev/???");
}

static void test_stat(void **state)
{
	static const char *const bad[] = { "", "1 2 3", "1 2 x 4\n", "-1 2 3 4\n", "1 2 3 4x\n" };
	uint64_t reads = 7, msec = 8;

	assert_int_equal(
		swapdev_parse_stat("    6094      246    52632    41407     1687\n", &reads, &msec),
		0);
	assert_int_equal(reads, 6094);
	assert_int_equal(msec, 41407);
	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		assert_int_equal(swapdev_parse_stat(bad[i], &reads, &msec), -EBADMSG);
	assert_int_equal(reads, 6094);
}

/* ---- files ---- */

static int look(struct swapdevs *s)
{
	return swapdevs_read(s, fixture_path("proc"), fixture_path("sys"));
}

static void device(const char *name, uint64_t reads, uint64_t msec)
{
	char path[128], text[128];

	snprintf(path, sizeof(path), "sys/class/block/%s/stat", name);
	snprintf(text, sizeof(text), "%llu 0 0 %llu 0 0 0 0 0 0 0\n", (unsigned long long)reads,
		 (unsigned long long)msec);
	fixture_file(path, text);
}

static void test_kinds(void **state)
{
	struct swapdevs s = {};

	fixture_file("proc/swaps", HEAD "/dev/zram0 partition 100 50 100\n"
					"/dev/sda2 partition 100 0 -2\n"
					"/dev/mapper/vg-swap partition 100 0 -3\n"
					"/swapfile file 100 0 -4\n"
					"/dev/ram0 partition 100 0 -5\n"
					"/dev/ramdisk partition 100 0 -6\n"
					"/dev/pmem0s partition 100 0 -7\n"
					"/dev/strange partition 100 0 -8\n");
	device("zram0", 1, 0);
	device("sda2", 1, 0);
	device("dm-0", 1, 0);
	device("dm-1", 1, 0);
	fixture_file("sys/class/block/dm-0/dm/name", "vg-root\n");
	fixture_file("sys/class/block/dm-1/dm/name", "vg-swap\n");
	device("ram0", 1, 0);
	device("ramdisk", 1, 0);
	device("pmem0s", 1, 0);
	assert_int_equal(look(&s), 1);
	assert_int_equal(s.n, 8);
	static const struct {
		enum swapdev_kind kind;
		const char *name;
		bool synchronous;
	} expected[] = {
		{ SWAPDEV_ZRAM, "zram0", true },  { SWAPDEV_DISK, "sda2", false },
		{ SWAPDEV_DISK, "dm-1", false },  { SWAPDEV_FILE, "", false },
		{ SWAPDEV_DISK, "ram0", true },	  { SWAPDEV_DISK, "ramdisk", false },
		{ SWAPDEV_DISK, "pmem0s", true }, { SWAPDEV_OTHER, "", false },
	};
	for (size_t i = 0; i < s.n; i++) {
		assert_int_equal(s.dev[i].kind, expected[i].kind);
		assert_string_equal(s.dev[i].name, expected[i].name);
		assert_int_equal(s.dev[i].synchronous, expected[i].synchronous);
	}
	/* Nothing is new. */
	assert_int_equal(look(&s), 0);
}

/* Pages that zram wrote back are read from a disk: it is no fast swap for the policy. */
static void test_zram_with_writeback(void **state)
{
	struct swapdevs s = {};

	fixture_file("proc/swaps", HEAD "/dev/zram0 partition 100 50 100\n"
					"/dev/zram1 partition 100 50 100\n");
	device("zram0", 1, 0);
	device("zram1", 1, 0);
	fixture_file("sys/class/block/zram0/backing_dev", "/dev/sdb\n");
	fixture_file("sys/class/block/zram1/backing_dev", "none\n");
	assert_int_equal(look(&s), 1);
	assert_int_equal(s.dev[0].kind, SWAPDEV_ZRAM);
	assert_string_equal(s.dev[0].backing, "/dev/sdb");
	assert_false(s.dev[0].synchronous);
	assert_string_equal(s.dev[1].backing, "");
	assert_true(s.dev[1].synchronous);
	assert_int_equal(swapdevs_synchronous(&s), 0);
}

static void test_latency(void **state)
{
	struct swapdevs s = {};

	fixture_file("proc/swaps", HEAD "/dev/sda2 partition 100 50 -2\n");
	device("sda2", 1000, 77000);
	look(&s);
	/* What was read before is of no interest. */
	assert_int_equal(s.dev[0].read_latency_usec, 0);
	assert_int_equal(swapdevs_read_latency_usec(&s), 0);
	/* Too few; they count with those to come. */
	device("sda2", 1015, 77075);
	assert_int_equal(look(&s), 1);
	assert_int_equal(s.dev[0].read_latency_usec, 0);
	device("sda2", 1020, 77100);
	look(&s);
	assert_int_equal(s.dev[0].read_latency_usec, 5000);
	assert_int_equal(swapdevs_read_latency_usec(&s), 5000);
	/* An interval without reads keeps what is known. */
	assert_int_equal(look(&s), 0);
	assert_int_equal(s.dev[0].read_latency_usec, 5000);
	/* Faster than a millisecond each. */
	device("sda2", 2020, 77150);
	look(&s);
	assert_int_equal(s.dev[0].read_latency_usec, 50);
	/* Another device of that name. */
	device("sda2", 10, 10);
	look(&s);
	device("sda2", 110, 310);
	look(&s);
	assert_int_equal(s.dev[0].read_latency_usec, 3000);
}

static void test_synchronous(void **state)
{
	static const struct {
		const char *swaps;
		int expected;
	} table[] = {
		{ "", -ENODATA },
		{ "/dev/zram0 partition 100 0 1\n", 1 },
		{ "/dev/zram0 partition 100 50 1\n", 1 },
		{ "/dev/sda2 partition 100 50 1\n", 0 },
		{ "/dev/zram0 partition 100 0 1\n/dev/sda2 partition 100 0 -2\n", 0 },
		/* A disk that is not used yet is not read, either. */
		{ "/dev/zram0 partition 100 50 1\n/dev/sda2 partition 100 0 -2\n", 1 },
		{ "/dev/zram0 partition 100 100 1\n/dev/sda2 partition 100 1 -2\n", 0 },
	};

	device("zram0", 1, 0);
	device("sda2", 1, 0);
	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		struct swapdevs s = {};

		fixture_file("proc/swaps", table[i].swaps);
		look(&s);
		assert_int_equal(swapdevs_synchronous(&s), table[i].expected);
	}
}

static void test_unreadable(void **state)
{
	struct swapdevs s = {};

	fixture_file("proc/swaps", HEAD "/dev/sda2 partition 100 50 -2\n");
	device("sda2", 100, 500);
	assert_int_equal(look(&s), 1);
	fixture_remove("sys/class/block/sda2/stat");
	assert_int_equal(look(&s), 0);
	assert_int_equal(s.dev[0].reads, 100);
	fixture_remove("proc/swaps");
	assert_int_equal(look(&s), -ENOENT);
	assert_int_equal(s.n, 1);
}

int main(void)
{
#define FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refused),
		cmocka_unit_test(test_parse_is_bounded),
		cmocka_unit_test(test_path_is_fit_for_the_bus),
		cmocka_unit_test(test_stat),
		FIXTURE(test_kinds),
		FIXTURE(test_zram_with_writeback),
		FIXTURE(test_latency),
		FIXTURE(test_synchronous),
		FIXTURE(test_unreadable),
	};

	return cmocka_run_group_tests_name("swapdev", tests, NULL, NULL);
}
