/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proc.h"
#include "util.h"

/* A fixture tree, built anew for each test. */
static char root[] = "/tmp/apfd-test-proc-XXXXXX";

static void make_file(const char *name, const char *text)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
}

static void make_dir(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *name, const char *target)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	strcpy(root + strlen(root) - 6, "XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_pid_file(void **state)
{
	pid_t pid = 77;

	make_file("good.pid", "4711");
	make_file("newline.pid", "4712\n");
	make_file("dots.in.name.pid", "1");
	assert_int_equal(proc_read_pid_file(root, "good", &pid), 0);
	assert_int_equal(pid, 4711);
	assert_int_equal(proc_read_pid_file(root, "newline", &pid), 0);
	assert_int_equal(pid, 4712);
	assert_int_equal(proc_read_pid_file(root, "dots.in.name", &pid), 0);
	assert_int_equal(pid, 1);
}

static void test_pid_file_refused(void **state)
{
	static const char *const bad[] = {
		"",	"\n",	       "0",	  "-1",
		"+5",	" 5",	       "5 6",	  "4711x",
		"0x10", "99999999999", "4194305", "11111111111111111111111111111111111111111111",
	};
	pid_t pid = 77;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		make_file("bad.pid", bad[i]);
		assert_int_equal(proc_read_pid_file(root, "bad", &pid), -EINVAL);
	}
	assert_int_equal(proc_read_pid_file(root, "none", &pid), -ENOENT);
	assert_int_equal(proc_read_pid_file(root, "", &pid), -EINVAL);
	assert_int_equal(proc_read_pid_file(root, "../bad", &pid), -EINVAL);
	assert_int_equal(pid, 77);
}

static void test_kvm_vms(void **state)
{
	int fds[4] = { -1, -1, -1, -1 };

	make_dir("100");
	make_dir("100/fd");
	make_link("100/fd/0", "/dev/null");
	make_link("100/fd/10", "anon_inode:kvm-vm");
	make_link("100/fd/9", "anon_inode:kvm-vm");
	make_link("100/fd/11", "anon_inode:kvm-vcpu:0");
	make_link("100/fd/12", "anon_inode:kvm-vm-not");
	make_link("100/fd/13", "anon_inode:kvm-v");
	make_link("100/fd/x", "anon_inode:kvm-vm");
	assert_int_equal(proc_find_kvm_vms(root, 100, fds, 4), 2);
	assert_int_equal(fds[0], 9);
	assert_int_equal(fds[1], 10);
	assert_int_equal(proc_find_kvm_vms(root, 100, fds, 1), 1);
}

static void test_kvm_vms_none(void **state)
{
	int fds[4];

	make_dir("101");
	make_dir("101/fd");
	make_link("101/fd/3", "socket:[1234]");
	assert_int_equal(proc_find_kvm_vms(root, 101, fds, 4), 0);
	assert_int_equal(proc_find_kvm_vms(root, 102, fds, 4), -ESRCH);
}

static void test_swapped(void **state)
{
	uint64_t bytes = 77, shmem = 77;

	make_dir("200");
	make_file("200/status",
		  "Name:\tqemu\nVmPeak:\t 900 kB\nVmSwap:\t  123456 kB\nThreads:\t9\n");
	assert_int_equal(proc_swapped_bytes(root, 200, &bytes, &shmem), 0);
	assert_int_equal(bytes, UINT64_C(123456) * 1024);
	/* Linux before 4.5 does not tell it. */
	assert_int_equal(shmem, 0);
	make_file("200/status", "Name:\tRssShmem:\nRssShmem:\t 5060728 kB\nVmSwap:\t 4 kB\n");
	assert_int_equal(proc_swapped_bytes(root, 200, &bytes, &shmem), 0);
	assert_int_equal(bytes, 4096);
	assert_int_equal(shmem, UINT64_C(5060728) * 1024);

	/* A process may call itself what it likes. */
	make_file("200/status", "Name:\tVmSwap:\nVmSwap:\t0 kB\n");
	assert_int_equal(proc_swapped_bytes(root, 200, &bytes, &shmem), 0);
	assert_int_equal(bytes, 0);
}

static void test_swapped_refused(void **state)
{
	char status[700];
	uint64_t bytes = 77, shmem = 78;

	make_dir("201");
	make_file("201/status", "Name:\tkthreadd\nState:\tS\n");
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -ENODATA);
	make_file("201/status", "");
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -ENODATA);
	make_file("201/status", "VmSwap:\t12 MB\n");
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -EBADMSG);
	make_file("201/status", "VmSwap:\tlots kB\n");
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -EBADMSG);
	make_file("201/status", "VmSwap:\t18446744073709551615 kB\n");
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -EBADMSG);
	make_file("201/status", "RssShmem:\tmuch kB\nVmSwap:\t12 kB\n");
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -EBADMSG);
	make_file("201/status", "VmSwap:\t12");
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -EBADMSG);

	/* The middle of a line longer than the buffer is no new line. */
	memset(status, 'x', sizeof(status));
	strcpy(status + 255, "VmSwap:\t5 kB\n");
	make_file("201/status", status);
	assert_int_equal(proc_swapped_bytes(root, 201, &bytes, &shmem), -ENODATA);

	assert_int_equal(proc_swapped_bytes(root, 202, &bytes, &shmem), -ESRCH);
	assert_int_equal(bytes, 77);
	assert_int_equal(shmem, 78);
}

#define MAPPING(begin, end, perms, dev, inode, name) \
	begin "-" end " " perms " 00000000 " dev " " inode "                          " name "\n"

static void test_shmem_mapped(void **state)
{
	static const struct {
		const char *text;
		uint64_t kib;
	} table[] = {
		{ "", 0 },
		/* the program, its heap, anonymous memory of a guest */
		{ MAPPING("55d0c0a00000", "55d0c1000000", "r-xp", "fe:01", "1311", "/usr/bin/qemu")
		  MAPPING("55d0c2000000", "55d0c3000000", "rw-p", "00:00", "0", "[heap]")
		  "7f0000000000-7f0200000000 rw-p 00000000 00:00 0 \n", 0 },
		{ MAPPING("7f0000000000", "7f0200000000", "rw-s", "00:01", "2053",
			  "/memfd:memory-backend-memfd (deleted)"), 8 << 20 },
		{ MAPPING("7f0000000000", "7f0000004000", "rw-s", "00:01", "1", "/dev/zero (deleted)")
		  MAPPING("7f0000004000", "7f0000005000", "rw-s", "00:01", "7", "/SYSV00000000 (deleted)")
		  MAPPING("7f0000005000", "7f0000006000", "rw-p", "00:19", "9", "/dev/shm/pc.ram"), 24 },
		/* a tmpfs of its own is one of the file systems without a device */
		{ MAPPING("7f0000000000", "7f0000400000", "rw-s", "00:2e", "12", "/run/vms/a b.ram"), 4096 },
		{ MAPPING("7f0000000000", "7f0000400000", "rw-s", "fe:02", "12", "/srv/on-disk.ram")
		  MAPPING("7f0000000000", "7f0000400000", "r--p", "00:2e", "12", "/nix/store/libc.so")
		  MAPPING("7f0000000000", "7f0000003000", "rw-s", "00:0e", "1", "anon_inode:kvm-vcpu:0")
		  MAPPING("7f0000000000", "7f0000020000", "rw-s", "00:12", "1", "/[aio] (deleted)")
		  MAPPING("7f0000000000", "7f0040000000", "rw-s", "00:1f", "1", "/dev/hugepages/ram")
		  MAPPING("7f0000000000", "7f0000001000", "rw-s", "00:05", "1", "/dev/dri/card0"), 0 },
		/* not from a kernel */
		{ "7f0000001000-7f0000000000 rw-s 0 00:01 1 /memfd:x\nrw-s /memfd:x\n-\n/memfd:\n", 0 },
	};
	_cleanup_free_ char *long_name = malloc(3000), *many = NULL;
	uint64_t bytes = 77;
	size_t size;
	FILE *f;

	make_dir("203");
	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		make_file("203/maps", table[i].text);
		assert_int_equal(proc_shmem_mapped_bytes(root, 203, &bytes), 0);
		assert_int_equal(bytes, table[i].kib * 1024);
	}
	/* The end of a long name is no line of its own. */
	memset(long_name, 'x', 3000);
	memcpy(long_name, "1000-2000 r--p 0 fe:01 1 /", 26);
	strcpy(long_name + 255, "7f0000000000-7f0200000000 rw-s 0 00:01 1 /memfd:x\n");
	make_file("203/maps", long_name);
	assert_int_equal(proc_shmem_mapped_bytes(root, 203, &bytes), 0);
	assert_int_equal(bytes, 0);

	bytes = 77;
	assert_int_equal(proc_shmem_mapped_bytes(root, 204, &bytes), -ESRCH);
	f = open_memstream(&many, &size);
	assert_non_null(f);
	for (int i = 0; i < 9000; i++)
		fputs("1000-2000 r--p 0 fe:01 1 /x\n", f);
	fclose(f);
	make_file("203/maps", many);
	assert_int_equal(proc_shmem_mapped_bytes(root, 203, &bytes), -E2BIG);
	assert_int_equal(bytes, 77);
}

static void test_executable(void **state)
{
	char *path = NULL;

	make_dir("7");
	make_link("7/exe", "/usr/bin/qemu\nx\xff (deleted)");
	assert_int_equal(proc_executable(root, 7, &path), 0);
	assert_string_equal(path, "/usr/bin/qemu?x?");
	free(path);
	assert_int_equal(proc_executable(root, 8, &path), -ENOENT);
}

static void test_start_time(void **state)
{
	static const struct {
		const char *stat;
		int r;
		uint64_t ticks;
	} rows[] = {
		{ "7 (qemu) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 4 0 987654 1 2\n", 0, 987654 },
		{ "7 (a) b (c) S) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 4 0 5 1 2\n", 0, 5 },
		{ "7 (qemu) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 4 0 42", 0, 42 },
		{ "7 (qemu) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 4 0", -EBADMSG, 0 },
		{ "7 (qemu) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 4 0 x 1", -EBADMSG, 0 },
		{ "7 qemu", -EBADMSG, 0 },
		{ "", -EBADMSG, 0 },
	};

	make_dir("7");
	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		uint64_t ticks = 0;

		make_file("7/stat", rows[i].stat);
		assert_int_equal(proc_start_time(root, 7, &ticks), rows[i].r);
		assert_int_equal(ticks, rows[i].ticks);
	}
	assert_int_equal(proc_start_time(root, 8, &(uint64_t){ 0 }), -ESRCH);
}

static void test_pid(void **state)
{
	static const char *const wrong[] = { "",   "0",	 "-1",	    "self",
					     "1x", " 1", "4194305", "99999999999999999999" };
	pid_t pid = 0;

	assert_int_equal(proc_parse_pid("4194304", &pid), 0);
	assert_int_equal(pid, 4194304);
	for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
		assert_int_equal(proc_parse_pid(wrong[i], &pid), -EINVAL);
}

static void test_major_faults(void **state)
{
	static const char *const bad[] = { "", "201", "201 (x", "201 (x) S 1 2 3 4 5 6 7 8",
					   "201 (x) S a" };
	uint64_t faults = 77;

	make_dir("300");
	/* A name that looks like what comes after it. */
	make_file("300/stat", "300 (a) S 9 9) S 1 300 300 0 -1 4194560 1234 0 5678 0 8 9\n");
	assert_int_equal(proc_major_faults(root, 300, &faults), 0);
	assert_int_equal(faults, 5678);
	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		make_file("300/stat", bad[i]);
		assert_int_equal(proc_major_faults(root, 300, &faults), -EBADMSG);
	}
	assert_int_equal(proc_major_faults(root, 301, &faults), -ESRCH);
	assert_int_equal(faults, 5678);
}

static void make_label(pid_t pid, const char *label)
{
	char name[32];

	snprintf(name, sizeof(name), "%d", (int)pid);
	make_dir(name);
	snprintf(name, sizeof(name), "%d/attr", (int)pid);
	make_dir(name);
	snprintf(name, sizeof(name), "%d/attr/current", (int)pid);
	make_file(name, label);
}

static void test_label(void **state)
{
	char label[PROC_LABEL_MAX], long_label[2 * PROC_LABEL_MAX];

	assert_int_equal(proc_label(root, 1, label), -ESRCH);
	make_label(2, "libvirt-0001 (enforce)\n");
	assert_int_equal(proc_label(root, 2, label), 0);
	assert_string_equal(label, "libvirt-0001 (enforce)");
	/* SELinux ends it with a NUL. */
	make_label(3, "system_u:system_r:svirt_t:s0:c1,c2");
	assert_int_equal(proc_label(root, 3, label), 0);
	assert_string_equal(label, "system_u:system_r:svirt_t:s0:c1,c2");
	make_label(4, "");
	assert_int_equal(proc_label(root, 4, label), -ENODATA);
	memset(long_label, 'x', sizeof(long_label) - 1);
	long_label[sizeof(long_label) - 1] = '\0';
	make_label(5, long_label);
	assert_int_equal(proc_label(root, 5, label), 0);
	assert_int_equal(strlen(label), PROC_LABEL_MAX - 1);
}

static void test_refusal(void **state)
{
	char text[PROC_REFUSAL_MAX] = "x";

	/* Without a security module there is nobody to ask. */
	proc_refusal_text(root, 2, text);
	assert_string_equal(text, "");
	make_label(2, "libvirt-0001 (enforce)\n");
	make_label(getpid(), "apfd (enforce)\n");
	proc_refusal_text(root, 2, text);
	assert_string_equal(text, "; apfd is confined as \"apfd (enforce)\", the process as "
				  "\"libvirt-0001 (enforce)\"");
}

static void test_refusal_not_confined(void **state)
{
	char text[PROC_REFUSAL_MAX] = "x";

	make_label(2, "libvirt-0001 (enforce)\n");
	make_label(getpid(), "unconfined\n");
	proc_refusal_text(root, 2, text);
	assert_string_equal(text, "");
}

/* The real thing, as far as it goes without KVM. */
static void test_self(void **state)
{
	uint64_t bytes, shmem, first, second;
	_cleanup_free_ char *path = NULL;
	void *memory;
	int fds[4];

	assert_int_equal(proc_executable("/proc", getpid(), &path), 0);
	assert_non_null(strstr(path, "test-proc"));
	assert_int_equal(proc_start_time("/proc", getpid(), &first), 0);
	assert_int_equal(proc_start_time("/proc", getpid(), &second), 0);
	assert_true(first > 0 && first == second);
	assert_int_equal(proc_find_kvm_vms("/proc", getpid(), fds, 4), 0);
	assert_int_equal(proc_swapped_bytes("/proc", getpid(), &bytes, &shmem), 0);
	assert_int_equal(proc_major_faults("/proc", getpid(), &bytes), 0);

	/* Not touched: no page of it is resident, but it is mapped. */
	fds[0] = memfd_create("test", MFD_CLOEXEC);
	assert_true(fds[0] >= 0 && ftruncate(fds[0], 1 << 25) == 0);
	memory = mmap(NULL, 1 << 25, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	assert_true(memory != MAP_FAILED);
	assert_int_equal(proc_shmem_mapped_bytes("/proc", getpid(), &bytes), 0);
	assert_int_equal(bytes, 1 << 25);
	munmap(memory, 1 << 25);
	close(fds[0]);
}

int main(void)
{
#define FIXTURE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		FIXTURE(test_pid_file),	     FIXTURE(test_pid_file_refused),
		FIXTURE(test_kvm_vms),	     FIXTURE(test_kvm_vms_none),
		FIXTURE(test_swapped),	     FIXTURE(test_swapped_refused),
		FIXTURE(test_executable),    FIXTURE(test_start_time),
		FIXTURE(test_major_faults),  FIXTURE(test_pid),
		FIXTURE(test_shmem_mapped),  FIXTURE(test_label),
		FIXTURE(test_refusal),	     FIXTURE(test_refusal_not_confined),
		cmocka_unit_test(test_self),
	};

	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
