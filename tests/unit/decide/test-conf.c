/* SPDX-License-Identifier: GPL-2.0 */
/* Configurations in a root directory of their own. */
#include "unit.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <syslog.h>

#include "conf.h"

static char root[64];
static struct conf *c;
static char problems[8192];
static unsigned int n_warnings;

/* What a file system with errors does; the C library's functions otherwise. */
static bool fstat_fails, readdir_fails;

int fstat(int fd, struct stat *ret)
{
	if (!fstat_fails)
		return fstatat(fd, "", ret, AT_EMPTY_PATH);
	errno = EIO;
	return -1;
}

struct dirent *readdir(DIR *dir)
{
	static struct dirent *(*next)(DIR *dir);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "readdir64");
	if (!readdir_fails)
		return next(dir);
	errno = EIO;
	return NULL;
}

static int setup(void **state)
{
	snprintf(root, sizeof(root), "/tmp/apfd-test-conf-XXXXXX");
	assert_non_null(mkdtemp(root));
	c = NULL;
	return 0;
}

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	conf_free(c);
	fstat_fails = readdir_fails = false;
	return nftw(root, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0755);
		*p = '/';
	}
}

/* @path below the root. */
static const char *put(const char *path, const char *text, size_t size)
{
	static char whole[256];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	make_parents(whole);
	f = fopen(whole, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
	return whole;
}

static const char *put_text(const char *path, const char *text)
{
	return put(path, text, strlen(text));
}

static void on_problem(bool error, const char *text, void *userdata)
{
	size_t n = strlen(problems);

	n_warnings += !error;
	snprintf(problems + n, sizeof(problems) - n, "%s\n", text);
}

/* Returns the number of errors. */
static int load(void)
{
	struct conf_source source = { .root = root };

	conf_free(c);
	c = NULL;
	problems[0] = '\0';
	n_warnings = 0;
	return conf_load(&source, on_problem, NULL, &c);
}

static int load_text(const char *text)
{
	put_text("/etc/apfd/apfd.conf", text);
	return load();
}

static void test_defaults(void **state)
{
	struct policy_params defaults;

	assert_int_equal(load(), 0);
	assert_string_equal(problems, "");
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->tick_usec, USEC_PER_SEC);
	assert_int_equal(c->on_exit, CONF_ON_EXIT_KEEP);
	assert_int_equal(c->foreign_vms, CONF_FOREIGN_AUTO);
	assert_false(c->dry_run);
	assert_int_equal(c->n_files, 0);
	assert_null(c->files[0]);
	policy_params_init(&defaults);
	assert_memory_equal(&c->policy, &defaults, sizeof(defaults));
}

static void test_files_with_errors(void **state)
{
	put_text("/etc/apfd/apfd.conf", "[Daemon]\nDryRun=yes\n");
	put_text("/usr/lib/apfd/apfd.conf", "[Daemon]\nForeignVMs=yes\n");
	put_text("/etc/apfd/apfd.conf.d/a.conf", "[Daemon]\nOnExit=restore\n");
	/* A file that cannot be examined is not a missing one, which the next folder replaces. */
	fstat_fails = true;
	assert_int_equal(load(), 2);
	fstat_fails = false;
	assert_non_null(strstr(problems, "/etc/apfd/apfd.conf: Cannot read the file: Input/output error"));
	assert_non_null(strstr(problems, "/a.conf: Cannot read the file: Input/output error"));
	assert_int_equal(c->foreign_vms, CONF_FOREIGN_AUTO);
	assert_false(c->dry_run);
	/* Nor is a folder an empty one. */
	readdir_fails = true;
	assert_int_equal(load(), 1);
	readdir_fails = false;
	assert_non_null(strstr(problems, "/etc/apfd/apfd.conf.d: Cannot read the folder: Input/output"));
	assert_true(c->dry_run);
	assert_int_equal(c->on_exit, CONF_ON_EXIT_KEEP);
	assert_int_equal(load(), 0);
	assert_int_equal(c->on_exit, CONF_ON_EXIT_RESTORE);
}

static void test_all_keys(void **state)
{
	assert_int_equal(load_text("; comment\n"
				   "  # another\n"
				   "[Daemon]\r\n"
				   "LogLevel = debug\n"
				   "TickSec=1.5\n"
				   "OnExit=restore\n"
				   "ForeignVMs=yes\n"
				   "DryRun=true\n"
				   "[Policy]\n"
				   "Rest=pv\n"
				   "EnterStallRatio=0.25\n"
				   "LeaveHoldSec=1min 30s\n"
				   "CoolDownSec=7\n"),
			 0);
	assert_string_equal(problems, "");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->tick_usec, 1500000);
	assert_int_equal(c->on_exit, CONF_ON_EXIT_RESTORE);
	assert_int_equal(c->foreign_vms, CONF_FOREIGN_YES);
	assert_true(c->dry_run);
	assert_int_equal(c->policy.rest, APF_STATE_PV);
	assert_true(c->policy.enter_stall_ratio == 0.25);
	assert_true(c->policy.leave_hold_sec == 90);
	assert_true(c->policy.cool_down_sec == 7);
}

/* Every parameter of the policy is a key here, takes its default and no more than its bounds. */
static void test_policy_keys(void **state)
{
	char text[256];

	for (size_t i = 0; i < POLICY_KEYS; i++) {
		const struct policy_key *k = &policy_keys[i];
		const double *value;

		snprintf(text, sizeof(text), "[Policy]\n%s=%.6f\n", k->name, k->value);
		assert_int_equal(load_text(text), 0);
		assert_string_equal(problems, "");
		value = (const double *)((const char *)&c->policy + k->offset);
		assert_true(*value == k->value);

		snprintf(text, sizeof(text), "[Policy]\n%s=%.1f\n", k->name, k->max * 2);
		assert_int_equal(load_text(text), 1);
		assert_non_null(strstr(problems, k->name));
		snprintf(text, sizeof(text), "[Policy]\n%s=-1\n", k->name);
		assert_int_equal(load_text(text), 1);
	}
}

static void test_empty_value_is_the_default(void **state)
{
	assert_int_equal(load_text("[Daemon]\nLogLevel=err\nTickSec=3\nForeignVMs=yes\nLogLevel=\n"
				   "TickSec=\nForeignVMs=\n"
				   "[Policy]\nCoolDownSec=7\nCoolDownSec=\nRest=off\nRest=\n"),
			 0);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->tick_usec, USEC_PER_SEC);
	assert_int_equal(c->foreign_vms, CONF_FOREIGN_AUTO);
	assert_true(c->policy.cool_down_sec != 7);
	assert_int_equal(c->policy.rest, APF_STATE_ON);
	assert_int_equal(load_text("[Daemon]\nForeignVMs=no\n"), 0);
	assert_int_equal(c->foreign_vms, CONF_FOREIGN_NO);
	assert_int_equal(load_text("[Daemon]\nForeignVMs=no\nForeignVMs=auto\n"), 0);
	assert_int_equal(c->foreign_vms, CONF_FOREIGN_AUTO);
	assert_int_equal(load_text("[Daemon]\nForeignVMs=some\n"), 1);
	assert_non_null(strstr(problems, "it must be yes, no or auto"));
	assert_int_equal(load_text("[Policy]\nRest=auto\n"), 1);
	assert_non_null(strstr(problems, "Rest=auto is not understood: it must be on, pv or off"));
	assert_int_equal(c->policy.rest, APF_STATE_ON);
}

static void test_errors_name_the_line(void **state)
{
	char where[128];
	int r;

	r = load_text("x=y\n"
		      "[Daemon]\n"
		      "LogLevel=\xff\x01loud\n"
		      "DryRun=yes\n"
		      "nonsense\n"
		      "TickSec=1ms\n"
		      "[Daemon\n"
		      "ForeignVMs=yes\n"
		      "[VM]\n"
		      "[VM \"a\"b\"]\n"
		      "[VM \"\"]\n");
	assert_int_equal(r, 8);
	for (int line = 1; line <= 11; line++) {
		bool wrong = line != 2 && line != 4 && line != 8;

		snprintf(where, sizeof(where), "%s/etc/apfd/apfd.conf:%d: ", root, line);
		assert_int_equal(strstr(problems, where) != NULL, wrong);
	}
	assert_non_null(strstr(problems, "LogLevel=??loud is not understood"));
	/* What is right counts; what stands under a broken section does not. */
	assert_true(c->dry_run);
	assert_int_equal(c->foreign_vms, CONF_FOREIGN_AUTO);
}

static void test_unknown_is_a_warning(void **state)
{
	assert_int_equal(
		load_text("[Daemon]\nNew=1\n[New]\nKey=1\n[VM \"*\"]\nNew=1\n[Policy]\nNew=1\n"),
		0);
	assert_int_equal(n_warnings, 4);
}

static void test_thresholds_that_contradict(void **state)
{
	struct policy_params defaults;

	policy_params_init(&defaults);
	assert_int_equal(load_text("[Policy]\nEnterStallRatio=0.1\nLeaveStallRatio=0.5\n"), 1);
	assert_memory_equal(&c->policy, &defaults, sizeof(defaults));
}

static void test_drop_ins(void **state)
{
	put_text("/etc/apfd/apfd.conf", "[Daemon]\nTickSec=1.2\n");
	put_text("/run/apfd/apfd.conf", "[Daemon]\nDryRun=yes\n");
	put_text("/usr/lib/apfd/apfd.conf.d/10-a.conf", "[Daemon]\nTickSec=1.3\nLogLevel=err\n");
	put_text("/usr/lib/apfd/apfd.conf.d/20-b.conf", "[Daemon]\nTickSec=1.4\n");
	put_text("/run/apfd/apfd.conf.d/20-b.conf", "[Daemon]\nTickSec=1.5\n");
	put_text("/etc/apfd/apfd.conf.d/15-c.conf", "[Daemon]\nTickSec=1.6\n");
	put_text("/etc/apfd/apfd.conf.d/99-other.txt", "[Daemon]\nTickSec=1.7\n");
	put_text("/etc/apfd/apfd.conf.d/.99-hidden.conf", "[Daemon]\nTickSec=1.8\n");
	assert_int_equal(load(), 0);
	/* 20-b of /run hides that of /usr/lib; only one apfd.conf counts. */
	assert_int_equal(c->tick_usec, 1500000);
	assert_int_equal(c->log_level, LOG_ERR);
	assert_false(c->dry_run);
	assert_int_equal(c->n_files, 4);
	assert_non_null(strstr(c->files[0], "/etc/apfd/apfd.conf"));
	assert_non_null(strstr(c->files[1], "/usr/lib/apfd/apfd.conf.d/10-a.conf"));
	assert_non_null(strstr(c->files[2], "/etc/apfd/apfd.conf.d/15-c.conf"));
	assert_non_null(strstr(c->files[3], "/run/apfd/apfd.conf.d/20-b.conf"));
}

static void test_masked(void **state)
{
	char path[256];

	put_text("/usr/lib/apfd/apfd.conf.d/10-a.conf", "[Daemon]\nDryRun=yes\n");
	put_text("/etc/apfd/apfd.conf.d/00-x.conf", "");
	snprintf(path, sizeof(path), "%s/etc/apfd/apfd.conf.d/10-a.conf", root);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(load(), 0);
	assert_false(c->dry_run);
}

static void test_strange_files(void **state)
{
	_cleanup_free_ char *big = malloc(2 << 20);
	char path[256];

	/* Nothing that is no file is waited for. */
	put_text("/etc/apfd/apfd.conf.d/00-x.conf", "");
	snprintf(path, sizeof(path), "%s/etc/apfd/apfd.conf.d/10-pipe.conf", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/etc/apfd/apfd.conf.d/20-folder.conf", root);
	assert_int_equal(mkdir(path, 0755), 0);
	put("/etc/apfd/apfd.conf.d/30-nul.conf", "[Daemon]\n\0DryRun=yes\n", 21);
	memset(big, '\n', 2 << 20);
	put("/etc/apfd/apfd.conf.d/40-big.conf", big, 2 << 20);
	assert_int_equal(load(), 4);
	assert_non_null(strstr(problems, "10-pipe.conf: This is not a regular file"));
	assert_non_null(strstr(problems, "20-folder.conf: This is not a regular file"));
	assert_non_null(strstr(problems, "30-nul.conf: The file is not text"));
	assert_non_null(strstr(problems, "40-big.conf: The file is too large"));
	assert_false(c->dry_run);
}

static void test_one_file(void **state)
{
	struct conf_source source = { .root = root };

	put_text("/etc/apfd/apfd.conf", "[Daemon]\nTickSec=2\n");
	source.file = put_text("/mine", "[Daemon]\nDryRun=yes");
	problems[0] = '\0';
	assert_int_equal(conf_load(&source, on_problem, NULL, &c), 0);
	assert_true(c->dry_run);
	assert_int_equal(c->tick_usec, USEC_PER_SEC);
	assert_int_equal(c->n_files, 1);
}

static void assert_vm(const char *name, int mode, int vcpu0, int vcpu1)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_NONE;

	assert_int_equal(conf_vm_settings(c, name, "", &s), 0);
	assert_int_equal(s.mode, mode);
	assert_int_equal(settings_vcpu(&s, 0), vcpu0);
	assert_int_equal(settings_vcpu(&s, 1), vcpu1);
}

static void test_vms(void **state)
{
	assert_int_equal(load_text("[VM \"*\"]\n"
				   "VCPUModes=0:off\n"
				   "[VM \"db-*\"]\n"
				   "Mode=off\n"
				   "[VM \"db-test\"]\n"
				   "Mode=auto\n"
				   "VCPUModes=0:on\n"
				   "VCPUModes=1:pv\n"
				   "[VM \"*[1-3]\" ]\n"
				   "VCPUModes=\n"
				   "[VM \"pid-*\"]\n"
				   "Mode=on\n"
				   "Mode=\n"),
			 0);
	assert_string_equal(problems, "");
	assert_vm("web", SETTINGS_UNSET, POLICY_MODE_OFF, SETTINGS_UNSET);
	assert_vm("db-a", POLICY_MODE_OFF, POLICY_MODE_OFF, SETTINGS_UNSET);
	assert_vm("db-test", POLICY_MODE_AUTO, POLICY_MODE_ON, POLICY_MODE_PV);
	assert_vm("db-2", POLICY_MODE_OFF, SETTINGS_UNSET, SETTINGS_UNSET);
	assert_vm("pid-qemu-1/x", SETTINGS_UNSET, POLICY_MODE_OFF, SETTINGS_UNSET);
	/* A character, not a byte; a name that is not UTF-8 has bytes only. */
	assert_int_equal(load_text("[VM \"w?b\"]\nMode=off\n"), 0);
	assert_vm("wéb", POLICY_MODE_OFF, SETTINGS_UNSET, SETTINGS_UNSET);
	assert_vm("web", POLICY_MODE_OFF, SETTINGS_UNSET, SETTINGS_UNSET);
	assert_vm("weeb", SETTINGS_UNSET, SETTINGS_UNSET, SETTINGS_UNSET);
	assert_vm("w\xff" "b", POLICY_MODE_OFF, SETTINGS_UNSET, SETTINGS_UNSET);
	/* A line that is wrong changes nothing, not even its first half. */
	assert_int_equal(load_text("[VM \"*\"]\nVCPUModes=0:off,1:often\n"), 1);
	assert_vm("web", SETTINGS_UNSET, SETTINGS_UNSET, SETTINGS_UNSET);
}

static void test_recall(void **state)
{
	static const char *const wrong[] = { "yes", "0.5s", "25h", "-1", "5 minutes", "1s 2" };
	char text[128];

	assert_int_equal(load_text("[Recall]\n"), 0);
	assert_int_equal(c->when_calm_usec, 0);
	assert_int_equal(c->calm_rate_bytes, 16 << 20);
	assert_int_equal(load_text("[Recall]\nWhenCalm=5min\nCalmRatePerSec=1M\n"), 0);
	assert_int_equal(c->when_calm_usec, 300 * USEC_PER_SEC);
	assert_int_equal(c->calm_rate_bytes, 1 << 20);
	assert_int_equal(load_text("[Recall]\nWhenCalm=24h\nWhenCalm=no\n"), 0);
	assert_int_equal(c->when_calm_usec, 0);
	assert_int_equal(load_text("[Recall]\nWhenCalm=1\n"), 0);
	assert_int_equal(c->when_calm_usec, USEC_PER_SEC);
	for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
		snprintf(text, sizeof(text), "[Recall]\nWhenCalm=%s\n", wrong[i]);
		assert_int_equal(load_text(text), 1);
		assert_non_null(strstr(problems, "apfd.conf:2: WhenCalm="));
		assert_non_null(
			strstr(problems, "must be no, or a time from 1s to 24h, like 5min"));
		assert_int_equal(c->when_calm_usec, 0);
	}
	assert_int_equal(load_text("[Recall]\nCalmRatePerSec=16\n"), 1);
	assert_non_null(strstr(problems, "CalmRatePerSec=16 is out of range"));
}

static void test_recall_of_vms(void **state)
{
	assert_int_equal(load_text("[VM \"*\"]\nRecallWhenCalm=no\n"
				   "[VM \"db-*\"]\nRecallWhenCalm=yes\n"
				   "[VM \"db-test\"]\nRecallWhenCalm=no\nRecallWhenCalm=\n"
				   "[VM \"1?1\"]\nRecallWhenCalm=on\nMode=off\n"),
			 0);
	assert_false(conf_vm_recall(c, "web", ""));
	assert_true(conf_vm_recall(c, "db-a", ""));
	assert_true(conf_vm_recall(c, "db-test", ""));
	assert_true(conf_vm_recall(c, "web", "101"));
	assert_int_equal(load_text("[VM \"web\"]\nRecallWhenCalm=sometimes\n"), 1);
	assert_non_null(strstr(problems, "RecallWhenCalm=sometimes is not understood: "
					 "it must be yes or no"));
	assert_true(conf_vm_recall(c, "web", ""));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_files_with_errors),
		TEST(test_all_keys),
		TEST(test_policy_keys),
		TEST(test_empty_value_is_the_default),
		TEST(test_errors_name_the_line),
		TEST(test_unknown_is_a_warning),
		TEST(test_thresholds_that_contradict),
		TEST(test_drop_ins),
		TEST(test_masked),
		TEST(test_strange_files),
		TEST(test_one_file),
		TEST(test_vms),
		TEST(test_recall),
		TEST(test_recall_of_vms),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
