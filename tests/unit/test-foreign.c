/* SPDX-License-Identifier: GPL-2.0 */
/* Real processes, in a /proc made for them: no KVM is needed to hold a link that is called so. */
#include "unit.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "foreign.h"

enum { CHILDREN = 4, FOUND_MAX = 16 };

static char root[64];
static char pid_dir[80];
static pid_t child[CHILDREN];
static sd_event *event;
static struct foreign *f;

static struct {
	pid_t pid;
	char uuid[NAME_UUID_LEN + 1];
	char name[128];
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

static bool on_known(pid_t pid, void *userdata)
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
		if (child[i] == 0)
			for (;;)
				pause();
	}
	n_found = 0;
	known_pid = 0;
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(foreign_new(event, root, pid_dir, &ops, NULL, &f), 0);
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
	assert_int_equal(foreign_enable(f, false), 0);
	assert_int_equal(foreign_enable(f, true), 0);
	while (sd_event_run(event, 300 * USEC_PER_MSEC) > 0)
		;
}

static void test_found(void **state)
{
	char name[64], uuid[NAME_UUID_LEN + 1];

	make_process(child[0], 5000, "anon_inode:kvm-vm");
	make_process(child[1], 5000, "anon_inode:kvm-vcpu:0");
	make_process(child[2], 5000, "/dev/kvm");
	look();
	assert_int_equal(n_found, 1);
	assert_int_equal(found[0].pid, child[0]);
	snprintf(name, sizeof(name), "pid-other-vmm-%d", (int)child[0]);
	assert_string_equal(found[0].name, name);
	assert_int_equal(name_parse_uuid(found[0].uuid, uuid), 0);
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
	assert_int_equal(foreign_enable(f, true), 0);
	assert_int_equal(foreign_enable(f, true), 0);
	assert_int_equal(foreign_enable(f, false), 0);
	while (sd_event_run(event, 100 * USEC_PER_MSEC) > 0)
		;
	assert_int_equal(n_found, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_found),
		TEST(test_uuid_tells_processes_apart),
		TEST(test_uuid_tells_lives_of_a_number_apart),
		TEST(test_known_ones_are_left_out),
		TEST(test_one_that_has_ended),
		TEST(test_disabled),
	};

	return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}
