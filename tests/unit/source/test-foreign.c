/* SPDX-License-Identifier: GPL-2.0 */
/* Real processes, in a /proc made for them: no KVM is needed to hold a link that is called so. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "foreign.h"

enum { CHILDREN = 4, FOUND_MAX = 16 };

static char root[64];
static char pid_dir[80], run_dir[80], sys_dir[80];
static pid_t child[CHILDREN];
static sd_event *event;
static struct foreign *f;

static struct {
	pid_t pid;
	char uuid[UUID_LEN + 1];
	char name[128];
	int vm_fd;
	struct identity identity;
} found[FOUND_MAX];
static size_t n_found;
static pid_t known_pid;

static void make_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* A process of that number, started at @ticks, that holds @link as descriptor 3. */
static void make_process(pid_t pid, unsigned int ticks, const char *link)
{
	char path[PATH_MAX], text[256];

	snprintf(path, sizeof(path), "%s/%d", root, (int)pid);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%d/fd", root, (int)pid);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%d/fd/3", root, (int)pid);
	assert_int_equal(symlink(link, path), 0);
	snprintf(path, sizeof(path), "%s/%d/exe", root, (int)pid);
	assert_int_equal(symlink("/usr/bin/other-vmm", path), 0);
	snprintf(path, sizeof(path), "%s/%d/stat", root, (int)pid);
	snprintf(text, sizeof(text), "%d (x) S 1 7 7 0 -1 4 5 6 7 8 9 10 11 12 20 0 4 0 %u 1 2\n",
		 (int)pid, ticks);
	make_file(path, text);
}

static void end_child(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static bool on_known(pid_t pid, int vm_fd, bool first, void *userdata)
{
	return pid == known_pid;
}

static void on_found(struct foreign_process *p, void *userdata)
{
	assert_true(n_found < FOUND_MAX);
	assert_true(p->pidfd >= 0);
	found[n_found].pid = p->pid;
	memcpy(found[n_found].uuid, p->uuid, sizeof(p->uuid));
	snprintf(found[n_found].name, sizeof(found[n_found].name), "%s", p->name);
	found[n_found].vm_fd = p->vm_fd;
	found[n_found].identity = p->identity;
	n_found++;
}

static const struct foreign_ops ops = { .known = on_known, .found = on_found };

static int setup(void **state)
{
	snprintf(root, sizeof(root), "/tmp/apfd-test-foreign-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(pid_dir, sizeof(pid_dir), "%s/pid-files", root);
	assert_int_equal(mkdir(pid_dir, 0700), 0);
	for (int i = 0; i < CHILDREN; i++) {
		child[i] = fork();
		assert_true(child[i] >= 0);
		if (child[i] == 0) {
			/* A test that aborts must not leave what holds its output open. */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	n_found = 0;
	known_pid = 0;
	assert_true(sd_event_new(&event) >= 0);
	snprintf(run_dir, sizeof(run_dir), "%s/run", root);
	snprintf(sys_dir, sizeof(sys_dir), "%s/sys", root);
	const struct foreign_env env = { .roots = { root, run_dir, run_dir },
					 .sys_root = sys_dir,
					 .pid_dir = pid_dir };
	assert_int_equal(foreign_new(event, &env, &ops, NULL, &f), 0);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	foreign_free(f);
	f = NULL;
	sd_event_unref(event);
	for (int i = 0; i < CHILDREN; i++)
		end_child(&child[i]);
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* One look: all slices, which end well before the next look begins. */
static void look(void)
{
	assert_int_equal(foreign_search(f, FOREIGN_OFF), 0);
	assert_int_equal(foreign_search(f, FOREIGN_ON), 0);
	while (sd_event_run(event, 300 * USEC_PER_MSEC) > 0)
		;
}

static void test_found(void **state)
{
	char name[64], uuid[UUID_LEN + 1];

	make_process(child[0], 5000, "anon_inode:kvm-vm");
	make_process(child[1], 5000, "anon_inode:kvm-vcpu:0");
	make_process(child[2], 5000, "/dev/kvm");
	look();
	assert_int_equal(n_found, 1);
	assert_int_equal(found[0].pid, child[0]);
	snprintf(name, sizeof(name), "pid-other-vmm-%d", (int)child[0]);
	assert_string_equal(found[0].name, name);
	assert_int_equal(uuid_parse(found[0].uuid, uuid), 0);
	assert_string_equal(found[0].uuid, uuid);
}

static void test_uuid_tells_processes_apart(void **state)
{
	make_process(child[0], 5000, "anon_inode:kvm-vm");
	make_process(child[1], 5000, "anon_inode:kvm-vm");
	look();
	assert_int_equal(n_found, 2);
	assert_string_not_equal(found[0].uuid, found[1].uuid);
}

/* The number alone says nothing: a later process of that number is another VM. */
static void test_uuid_tells_lives_of_a_number_apart(void **state)
{
	char path[PATH_MAX];

	make_process(child[0], 5000, "anon_inode:kvm-vm");
	look();
	snprintf(path, sizeof(path), "%s/%d", root, (int)child[0]);
	assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	make_process(child[0], 6000, "anon_inode:kvm-vm");
	look();
	assert_int_equal(n_found, 2);
	assert_int_equal(found[0].pid, found[1].pid);
	assert_string_not_equal(found[0].uuid, found[1].uuid);
}

static void test_known_ones_are_left_out(void **state)
{
	char path[PATH_MAX], text[32];

	make_process(child[0], 1, "anon_inode:kvm-vm");
	make_process(child[1], 1, "anon_inode:kvm-vm");
	make_process(child[2], 1, "anon_inode:kvm-vm");
	known_pid = child[0];
	snprintf(path, sizeof(path), "%s/domain.pid", pid_dir);
	snprintf(text, sizeof(text), "%d\n", (int)child[1]);
	make_file(path, text);
	snprintf(path, sizeof(path), "%s/broken.pid", pid_dir);
	make_file(path, "no number");
	look();
	assert_int_equal(n_found, 1);
	assert_int_equal(found[0].pid, child[2]);
}

static void test_one_that_has_ended(void **state)
{
	pid_t pid = child[0];

	make_process(pid, 1, "anon_inode:kvm-vm");
	kill(pid, SIGKILL);
	/* A zombie: its number is still its own, but there is nothing left to watch. */
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	look();
	assert_int_equal(n_found, 0);
	end_child(&child[0]);
	look();
	assert_int_equal(n_found, 0);
}

static void test_disabled(void **state)
{
	make_process(child[0], 1, "anon_inode:kvm-vm");
	assert_int_equal(foreign_search(f, FOREIGN_ON), 0);
	assert_int_equal(foreign_search(f, FOREIGN_ON), 0);
	assert_int_equal(foreign_search(f, FOREIGN_OFF), 0);
	while (sd_event_run(event, 100 * USEC_PER_MSEC) > 0)
		;
	assert_int_equal(n_found, 0);
}

/* ---- identity ---- */

static void write_cmdline(pid_t pid, const char *bytes, size_t len)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d/cmdline", root, (int)pid);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void make_exe(pid_t pid, const char *program)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%d/exe", root, (int)pid);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(program, path), 0);
}

static void make_qemu(pid_t pid, const char *name)
{
	char line[128] = "kvm\0-name\0";
	size_t len = sizeof("kvm\0-name\0") - 1;

	make_process(pid, 5000, "anon_inode:kvm-vm");
	make_exe(pid, "/usr/bin/qemu-system-x86_64");
	strcpy(line + len, name);
	write_cmdline(pid, line, len + strlen(name) + 1);
}

static void test_identity(void **state)
{
	make_qemu(child[0], "web");
	look();
	assert_int_equal(n_found, 1);
	assert_string_equal(found[0].identity.name, "web");
	assert_int_equal(found[0].identity.vmm, VMM_QEMU);
	assert_int_equal(found[0].vm_fd, -1);
}

/* More processes than threads may read: they take turns. */
static void test_many(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	unsigned int seen = 0;

	for (int i = 0; i < CHILDREN; i++)
		make_qemu(child[i], names[i]);
	look();
	assert_int_equal(n_found, CHILDREN);
	for (size_t i = 0; i < n_found; i++)
		seen |= 1U << (found[i].identity.name[0] - 'a');
	assert_int_equal(seen, 0xf);
}

/* A command line that cannot be read, like that of a process that hangs, delays no other VM. */
static void test_hanging(void **state)
{
	char path[PATH_MAX];
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + 20 * USEC_PER_SEC;
	int fd;

	make_process(child[0], 5000, "anon_inode:kvm-vm");
	snprintf(path, sizeof(path), "%s/%d/cmdline", root, (int)child[0]);
	assert_int_equal(mkfifo(path, 0600), 0);
	make_exe(child[0], "/usr/bin/kvm");
	make_qemu(child[1], "web");
	look();
	assert_int_equal(n_found, 1);
	assert_string_equal(found[0].identity.name, "web");
	known_pid = child[1];

	/* After some seconds it is reported under the name of its process. */
	while (n_found < 2 && clock_usec(CLOCK_MONOTONIC) < end_usec)
		assert_true(sd_event_run(event, USEC_PER_SEC) >= 0);
	assert_int_equal(n_found, 2);
	assert_int_equal(found[1].pid, child[0]);
	assert_string_equal(found[1].identity.name, "");
	/* And with its own name as soon as that can be read. */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "kvm\0-name\0late", 15), 15);
	close(fd);
	while (n_found < 3 && clock_usec(CLOCK_MONOTONIC) < end_usec)
		assert_true(sd_event_run(event, USEC_PER_SEC) >= 0);
	assert_int_equal(n_found, 3);
	assert_int_equal(found[2].pid, child[0]);
	assert_string_equal(found[2].identity.name, "late");
	assert_string_equal(found[2].uuid, found[1].uuid);
}

/* Two KVM VMs of one process, one of which has two descriptors. */
static void test_several_vms(void **state)
{
	static const int fds[] = { 20, 21, 22 };
	char path[PATH_MAX];
	pid_t pid;

	end_child(&child[3]);
	child[3] = pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(open("/dev/null", O_RDONLY), fds[0]);
		dup2(fds[0], fds[1]);
		dup2(open("/dev/zero", O_RDONLY), fds[2]);
		kill(getppid(), SIGUSR1);
		for (;;)
			pause();
	}
	sigset_t ready;
	int number;

	sigemptyset(&ready);
	sigaddset(&ready, SIGUSR1);
	assert_int_equal(sigwait(&ready, &number), 0);

	make_process(pid, 5000, "/dev/kvm");
	make_exe(pid, "/usr/bin/kvm");
	write_cmdline(pid, "kvm\0-name\0web", 14);
	for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
		snprintf(path, sizeof(path), "%s/%d/fd/%d", root, (int)pid, fds[i]);
		assert_int_equal(symlink("anon_inode:kvm-vm", path), 0);
	}
	look();
	assert_int_equal(n_found, 2);
	/* Two threads read; either may be the first. */
	if (found[0].vm_fd > found[1].vm_fd) {
		typeof(found[0]) first = found[0];

		found[0] = found[1];
		found[1] = first;
	}
	assert_int_equal(found[0].vm_fd, 20);
	assert_string_equal(found[0].identity.name, "web");
	assert_int_equal(found[1].vm_fd, 22);
	/* The command line is that of the first. */
	assert_string_equal(found[1].identity.name, "");
	assert_non_null(strstr(found[1].name, ".22"));
	assert_string_not_equal(found[0].uuid, found[1].uuid);
}

static void make_sys(const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", sys_dir, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	make_file(path, text);
}

static size_t found_if_used(void)
{
	n_found = 0;
	assert_int_equal(foreign_search(f, FOREIGN_OFF), 0);
	assert_int_equal(foreign_search(f, FOREIGN_IF_KVM_USED), 0);
	while (sd_event_run(event, 300 * USEC_PER_MSEC) > 0)
		;
	return n_found;
}

static void test_only_while_kvm_is_used(void **state)
{
	make_qemu(child[0], "web");
	assert_int_equal(found_if_used(), 0);
	/* Built into the kernel, KVM has no count of its users. */
	make_sys("module/kvm/parameters/x", "");
	assert_int_equal(found_if_used(), 1);
	make_sys("module/kvm_intel/refcnt", "0\n");
	assert_int_equal(found_if_used(), 0);
	make_sys("module/kvm_amd/refcnt", "3\n");
	assert_int_equal(found_if_used(), 1);
}

static void test_rescan(void **state)
{
	make_qemu(child[0], "web");
	look();
	assert_int_equal(n_found, 1);
	foreign_rescan(f);
	while (sd_event_run(event, 300 * USEC_PER_MSEC) > 0)
		;
	assert_int_equal(n_found, 2);
}

int main(void)
{
	sigset_t ready;

	/* A child sends this signal when its descriptors are open. */
	sigemptyset(&ready);
	sigaddset(&ready, SIGUSR1);
	sigprocmask(SIG_BLOCK, &ready, NULL);
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_found),
		TEST(test_uuid_tells_processes_apart),
		TEST(test_uuid_tells_lives_of_a_number_apart),
		TEST(test_known_ones_are_left_out),
		TEST(test_one_that_has_ended),
		TEST(test_disabled),
		TEST(test_identity),
		TEST(test_many),
		TEST(test_hanging),
		TEST(test_several_vms),
		TEST(test_only_while_kvm_is_used),
		TEST(test_rescan),
	};

	return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}
