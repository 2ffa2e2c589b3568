// SPDX-License-Identifier: GPL-2.0
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>

#include "recall-pages.h"

enum { PID = 42 };

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)

static uint64_t page_bytes;

static int setup(void **state)
{
	fixture_begin();
	page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static int teardown(void **state)
{
	return fixture_end();
}

/* Entries of consecutive pages from @address on; the file is sparse. */
static void pagemap(uint64_t address, const uint64_t *entries, size_t n)
{
	int fd = open(fixture_path("42/pagemap"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, entries, n * sizeof(*entries),
				(off_t)(address / page_bytes * sizeof(*entries))),
			 n * sizeof(*entries));
	close(fd);
}

/* All pages, at most @n_max at once. */
static size_t find(struct recall_pages *p, uint64_t *addresses, size_t n_max)
{
	size_t n = 0, found;
	int r;

	do {
		r = recall_pages_next(p, addresses + n, n_max, &found);
		assert_true(r >= 0);
		assert_true(found <= n_max);
		n += found;
	} while (r > 0);
	return n;
}

static void test_finds_what_is_on_swap(void **state)
{
	const uint64_t begin = 16 * page_bytes;
	const uint64_t entries[] = { SWAPPED, 0, PRESENT, SWAPPED | 12345, SWAPPED };
	_cleanup_(recall_pages_freep) struct recall_pages *p = NULL;
	uint64_t addresses[16];
	char maps[512];

	snprintf(maps, sizeof(maps),
		 "%lx-%lx rw-p 00000000 00:00 0 [heap]\n"
		 "%lx-%lx r--p 00001000 fd:01 77 /usr/bin/a name with blanks\n"
		 "nonsense\n"
		 "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n",
		 begin, begin + 3 * page_bytes, begin + 3 * page_bytes, begin + 5 * page_bytes);
	fixture_file("42/maps", maps);
	pagemap(begin, entries, ELEMENTSOF(entries));
	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), 0);
	for (size_t n_max = 1; n_max <= 4; n_max++) {
		assert_int_equal(find(p, addresses, n_max), 3);
		assert_int_equal(addresses[0], begin);
		assert_int_equal(addresses[1], begin + 3 * page_bytes);
		assert_int_equal(addresses[2], begin + 4 * page_bytes);
		recall_pages_rewind(p);
	}
}

static void test_large_mapping_takes_turns(void **state)
{
	const uint64_t begin = 16 * page_bytes, n = 3 * 4096 + 5, swapped = SWAPPED;
	_cleanup_(recall_pages_freep) struct recall_pages *p = NULL;
	uint64_t addresses[16];
	size_t found;
	char maps[256];

	snprintf(maps, sizeof(maps), "%lx-%lx rw-p 00000000 00:00 0\n", begin,
		 begin + n * page_bytes);
	fixture_file("42/maps", maps);
	pagemap(begin + (n - 1) * page_bytes, &swapped, 1);
	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), 0);
	assert_int_equal(recall_pages_next(p, addresses, 16, &found), 1);
	assert_int_equal(found, 0);
	assert_int_equal(find(p, addresses, 16), 1);
	assert_int_equal(addresses[0], begin + (n - 1) * page_bytes);
}

/* The kernel has no entry in the page table for what of a shared file is on swap. */
static void test_shared_memory_has_data_or_not(void **state)
{
	const uint64_t entries[8] = { 0, 0, PRESENT };
	_cleanup_(recall_pages_freep) struct recall_pages *p = NULL;
	uint64_t addresses[16], begin = 16 * page_bytes;
	char maps[512], number[16];
	struct stat st;
	int fd;

	fd = memfd_create("ram", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(16 * page_bytes)), 0);
	assert_int_equal(fstat(fd, &st), 0);
	/* The mapping begins with the third page of the file, which has data in its 3, 5, 6 and 12.
	 */
	assert_int_equal(pwrite(fd, "x", 1, (off_t)(3 * page_bytes)), 1);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)(5 * page_bytes)), 1);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)(6 * page_bytes)), 1);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)(12 * page_bytes)), 1);
	snprintf(maps, sizeof(maps), "%lx-%lx rw-s %08lx %02x:%02x %lu /memfd:ram (deleted)\n",
		 begin, begin + 8 * page_bytes, 3 * page_bytes, (unsigned int)(st.st_dev >> 8),
		 (unsigned int)(st.st_dev & 0xff), (unsigned long)st.st_ino);
	fixture_file("42/maps", maps);
	pagemap(begin, entries, ELEMENTSOF(entries));

	/* Without a descriptor nothing is known about the file. */
	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), 0);
	assert_int_equal(find(p, addresses, 16), 0);
	recall_pages_free(TAKE_PTR(p));

	snprintf(number, sizeof(number), "42/fd/%d", fd);
	snprintf(maps, sizeof(maps), "/proc/self/fd/%d", fd);
	fixture_link(number, maps);
	fixture_link("42/fd/0", "/dev/null");
	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), 0);
	/* The page with data 2 pages further is mapped. */
	assert_int_equal(find(p, addresses, 16), 2);
	assert_int_equal(addresses[0], begin);
	assert_int_equal(addresses[1], begin + 3 * page_bytes);
	close(fd);
}

static void test_no_process(void **state)
{
	struct recall_pages *p;

	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), -ESRCH);
	fixture_file("42/pagemap", "");
	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), -ESRCH);
}

static void test_memory_that_is_gone(void **state)
{
	_cleanup_(recall_pages_freep) struct recall_pages *p = NULL;
	uint64_t address;
	size_t n;

	fixture_file("42/maps", "10000-20000 rw-p 00000000 00:00 0\n");
	fixture_file("42/pagemap", "");
	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), 0);
	assert_int_equal(recall_pages_next(p, &address, 1, &n), -ESRCH);
}

static void test_no_mapping(void **state)
{
	_cleanup_(recall_pages_freep) struct recall_pages *p = NULL;
	uint64_t address;
	size_t n;

	fixture_file("42/maps", "");
	fixture_file("42/pagemap", "");
	assert_int_equal(recall_pages_open(fixture_path(""), PID, &p), 0);
	assert_int_equal(recall_pages_next(p, &address, 1, &n), 0);
	assert_int_equal(n, 0);
}

static void test_touch_skips_what_cannot_be_read(void **state)
{
	const size_t size = 8 * page_bytes;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char resident[8];
	uint64_t addresses[8];
	int pidfd = pidfd_open(getpid(), 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_true(pidfd >= 0);
	for (size_t i = 0; i < 8; i++)
		addresses[i] = (uintptr_t)memory + i * page_bytes;
	assert_int_equal(munmap(memory + 2 * page_bytes, 2 * page_bytes), 0);
	assert_int_equal(recall_pages_request(pidfd, addresses, 8, page_bytes), 0);
	assert_int_equal(recall_pages_touch(getpid(), addresses, 8), 0);
	assert_int_equal(mincore(memory + 4 * page_bytes, 4 * page_bytes, resident), 0);
	for (int i = 0; i < 4; i++)
		assert_true(resident[i] & 1);
	/* A PID that no process can have. */
	assert_int_equal(recall_pages_touch(1 << 22, addresses, 8), -ESRCH);
	munmap(memory, size);
	close(pidfd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_finds_what_is_on_swap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_mapping_takes_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_memory_has_data_or_not, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_that_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_mapping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_touch_skips_what_cannot_be_read, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
