/* SPDX-License-Identifier: GPL-2.0 */
/* Settings in files: what is written is read again, and what is wrong harms nothing else. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "fixture.h"
#include "store.h"
#include "stored.h"

#define UUID_A	 "6f1d0c7e-0000-4000-8000-000000000101"
#define DAY_USEC (24 * 3600 * USEC_PER_SEC)

static sd_event *event;
static struct stored *s;
static struct {
	int calls, error;
	char uuid[UUID_LEN + 1], text[512];
	void *cookie;
} written;

static const struct identity web = {
	.name = "web-01", .id = "101", .uuid = UUID_A, .scope = "proxmox:101"
};
static const struct identity fc = { .name = "fc", .scope = "cgroup:/firecracker" };

static void on_written(const char *uuid, int error, const char *text, void *cookie, void *userdata)
{
	written.calls++;
	written.error = error;
	written.cookie = cookie;
	snprintf(written.uuid, sizeof(written.uuid), "%s", uuid);
	snprintf(written.text, sizeof(written.text), "%s", text);
}

static void on_daily(void *userdata)
{
}

static const struct stored_ops ops = { .written = on_written, .daily = on_daily };

static void open_stored(void)
{
	assert_int_equal(stored_new(event, fixture_path("state/vms"), &ops, NULL, &s), 0);
	assert_int_equal(stored_load(s), 0);
}

static void reopen(void)
{
	s = stored_free(s);
	open_stored();
}

static int setup(void **state)
{
	fixture_begin();
	memset(&written, 0, sizeof(written));
	assert_true(sd_event_new(&event) >= 0);
	open_stored();
	return 0;
}

static int teardown(void **state)
{
	stored_free(s);
	s = NULL;
	sd_event_unref(event);
	return fixture_end();
}

static void wait_for(int calls)
{
	for (int i = 0; i < 1000 && written.calls < calls; i++)
		assert_true(sd_event_run(event, 10000) >= 0);
	assert_int_equal(written.calls, calls);
}

static struct settings make(int mode, const char *vcpus)
{
	struct settings settings = { .mode = mode };

	assert_int_equal(settings_parse_vcpus(&settings, vcpus), 0);
	return settings;
}

static void put(const struct identity *i, int mode, const char *vcpus)
{
	_cleanup_(settings_done) struct settings settings = SETTINGS_NONE;
	int calls = written.calls;

	settings.mode = mode;
	if (vcpus)
		settings = make(mode, vcpus);
	assert_int_equal(stored_put(s, i, &settings, i->uuid, &event), 0);
	wait_for(calls + 1);
}

static size_t count_files(const char *suffix)
{
	_cleanup_(closedirp) DIR *dir = opendir(fixture_path("state/vms"));
	struct dirent *de;
	size_t n = 0;

	while (dir && (de = readdir(dir)))
		n += strstr(de->d_name, suffix) != NULL;
	return n;
}

static void test_lasts(void **state)
{
	_cleanup_(settings_done) struct settings wanted = make(POLICY_MODE_OFF, "0:pv,2:on");
	struct stored_vm *vm;

	put(&web, POLICY_MODE_OFF, "0:pv,2:on");
	assert_int_equal(written.error, 0);
	assert_ptr_equal(written.cookie, &event);
	assert_string_equal(written.uuid, UUID_A);
	put(&fc, POLICY_MODE_PV, NULL);
	reopen();
	vm = stored_find(s, &web);
	assert_non_null(vm);
	assert_true(settings_equal(&vm->settings, &wanted));
	assert_string_equal(vm->file, "web-01.vm");
	assert_string_equal(vm->id, "101");
	assert_string_equal(vm->error, "");
	assert_true(clock_usec(CLOCK_REALTIME) - vm->used_usec < 60 * USEC_PER_SEC);
	assert_int_equal(stored_find(s, &fc)->settings.mode, POLICY_MODE_PV);
	assert_int_equal(count_files(".tmp"), 0);
}

/* Another VM has the same UUID or the same name, but it is not where the first one is. */
static void test_scope(void **state)
{
	struct identity other = web;

	put(&web, POLICY_MODE_OFF, NULL);
	put(&fc, POLICY_MODE_OFF, NULL);
	strcpy(other.scope, "proxmox:102");
	assert_null(stored_find(s, &other));
	other = fc;
	strcpy(other.scope, "user:1000");
	assert_null(stored_find(s, &other));
	/* A UUID is not the name of a VM that has one. */
	other = fc;
	strcpy(other.uuid, UUID_A);
	assert_null(stored_find(s, &other));
	/* A VM that was renamed is the same VM. */
	other = web;
	strcpy(other.name, "renamed");
	assert_non_null(stored_find(s, &other));
	other.scope[0] = '\0';
	assert_null(stored_find(s, &other));
	assert_int_equal(
		stored_put(s, &other, &(struct settings){ .mode = POLICY_MODE_ON }, "", NULL),
		-EOPNOTSUPP);
}

static void test_files_of_equal_names(void **state)
{
	struct identity other = fc, odd = fc;

	strcpy(other.scope, "user:1000");
	strcpy(odd.name, "../x/\xc3\xbc");
	put(&fc, POLICY_MODE_OFF, NULL);
	put(&other, POLICY_MODE_ON, NULL);
	put(&odd, POLICY_MODE_PV, NULL);
	assert_string_equal(stored_find(s, &other)->file, "fc-2.vm");
	assert_string_equal(stored_find(s, &odd)->file, "_._x___.vm");
	reopen();
	assert_int_equal(stored_find(s, &fc)->settings.mode, POLICY_MODE_OFF);
	assert_int_equal(stored_find(s, &other)->settings.mode, POLICY_MODE_ON);
	assert_int_equal(stored_find(s, &odd)->settings.mode, POLICY_MODE_PV);
}

static void test_removed(void **state)
{
	put(&web, POLICY_MODE_OFF, NULL);
	assert_int_equal(count_files(".vm"), 1);
	put(&web, SETTINGS_UNSET, NULL);
	assert_int_equal(count_files(".vm"), 0);
	assert_null(stored_find(s, &web));
	/* One that does not exist can be removed, too. */
	put(&fc, SETTINGS_UNSET, NULL);
	assert_int_equal(written.error, 0);
}

static int removals, removal_error;

static void on_removed(int error, const char *text, void *userdata)
{
	assert_ptr_equal(userdata, &removals);
	removals++;
	removal_error = error;
}

static void forget(const char *file)
{
	int n = removals;

	assert_int_equal(stored_forget(s, stored_find_file(s, file), on_removed, &removals), 0);
	for (int i = 0; i < 1000 && removals == n; i++)
		assert_true(sd_event_run(event, 10000) >= 0);
	assert_int_equal(removals, n + 1);
}

static void test_forgotten(void **state)
{
	fixture_file("state/vms/bad.vm", "");
	reopen();
	put(&web, POLICY_MODE_OFF, NULL);
	put(&fc, POLICY_MODE_PV, NULL);
	assert_null(stored_find_file(s, "web"));
	/* From the request on, no VM gets the settings, and new ones get another file. */
	assert_int_equal(stored_forget(s, stored_find(s, &web), on_removed, &removals), 0);
	assert_null(stored_find(s, &web));
	put(&web, POLICY_MODE_ON, NULL);
	assert_int_equal(removal_error, 0);
	assert_null(stored_find_file(s, "web-01.vm"));
	assert_string_equal(stored_find(s, &web)->file, "web-01-2.vm");
	/* A file that cannot be used. */
	forget("bad.vm");
	assert_int_equal(removal_error, 0);
	assert_null(stored_find_file(s, "bad.vm"));
	assert_int_equal(count_files(".vm"), 2);
	reopen();
	assert_int_equal(stored_find(s, &web)->settings.mode, POLICY_MODE_ON);
	assert_int_equal(stored_find(s, &fc)->settings.mode, POLICY_MODE_PV);
}

static void test_cannot_forget(void **state)
{
	put(&web, POLICY_MODE_OFF, NULL);
	fixture_remove("state/vms");
	fixture_file("state/vms", "");
	forget("web-01.vm");
	assert_int_equal(removal_error, -ENOTDIR);
	assert_int_equal(stored_find(s, &web)->settings.mode, POLICY_MODE_OFF);
}

#define GOOD "Scope=user:1\nName=good\nUsed=1790000000\nMode=pv\nEnd=\n"

static void test_wrong_files(void **state)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{ "", "truncated" },
		{ "Scope=user:1\nName=x\nUsed=1\nMode=of", "line 4: it is truncated" },
		{ "Scope=user:1\nName=x\nUsed=1\nMode=off\n", "truncated" },
		{ "Scope=user:1\nName=x\nUsed=1\nMode=off\nEnd=", "truncated" },
		{ "Scope=user:1\nName=x\nMode=often\nEnd=\n", "line 3: Mode=often" },
		{ "Scope=user:1\nName=x\nVCPUModes=0:of\nEnd=\n", "line 3: VCPUModes=0:of" },
		{ "Scope=user:1\nUUID=x\nEnd=\n", "line 2: UUID=x" },
		{ "Scope=user:1\nUsed=-1\nEnd=\n", "line 2: Used=-1" },
		{ "Scope=user:1\nMode=off\nEnd=\n", "are missing" },
		{ "Name=x\nMode=off\nEnd=\n", "are missing" },
		{ "nonsense\nEnd=\n", "line 1" },
		{ "Scope=user:1\nName=x\nEnd=\nMode=off\n", "line 4" },
		{ "Scope=\xff\nName=\nEnd=\n", "line 2" },
	};
	const struct identity good = { .name = "good", .scope = "user:1" };

	for (size_t i = 0; i < ELEMENTSOF(table); i++) {
		const struct stored_vm *vm;

		print_message("%s\n", table[i].text);
		fixture_file("state/vms/bad.vm", table[i].text);
		fixture_file("state/vms/good.vm", GOOD);
		reopen();
		assert_int_equal(stored_find(s, &good)->settings.mode, POLICY_MODE_PV);
		TAILQ_FOREACH(vm, stored_all(s), list)
			if (strcmp(vm->file, "bad.vm") == 0)
				break;
		assert_non_null(vm);
		assert_true(vm->unread);
		assert_non_null(strstr(vm->error, table[i].error));
		assert_true(settings_empty(&vm->settings));
	}
	/* The file stays, and new settings get another one. */
	put(&(struct identity){ .name = "bad", .scope = "user:1" }, POLICY_MODE_ON, NULL);
	reopen();
	assert_int_equal(stored_find(s, &(struct identity){ .name = "bad", .scope = "user:1" })
				 ->settings.mode,
			 POLICY_MODE_ON);
	assert_int_equal(count_files(".vm"), 3);
}

static void test_strange_files(void **state)
{
	char path[PATH_MAX];
	size_t n = 0;
	const struct stored_vm *vm;

	fixture_file("state/vms/good.vm", GOOD);
	fixture_file("state/vms/second.vm", GOOD);
	fixture_bytes("state/vms/binary.vm", "Scope=a\0b", 9);
	fixture_link("state/vms/link.vm", "good.vm");
	fixture_file("state/vms/README", "nothing for apfd");
	fixture_file("state/vms/.web.vm.tmp", "Scope=");
	snprintf(path, sizeof(path), "%s/state/vms/pipe.vm", fixture_root);
	assert_int_equal(mkfifo(path, 0600), 0);
	reopen();
	TAILQ_FOREACH(vm, stored_all(s), list)
		n += vm->unread;
	assert_int_equal(n, 4);
	assert_int_equal(count_files(".tmp"), 0);
	assert_int_equal(count_files("README"), 1);
}

static void test_unknown_keys_are_ignored(void **state)
{
	fixture_file("state/vms/new.vm", "# comment\nScope=user:1\nName=good\nFuture=1\nEnd=\n");
	reopen();
	assert_non_null(stored_find(s, &(struct identity){ .name = "good", .scope = "user:1" }));
}

static void test_cannot_write(void **state)
{
	struct settings settings = { .mode = POLICY_MODE_OFF };

	/* A file where the folder should be. */
	fixture_file("state/vms", "");
	assert_int_equal(stored_put(s, &web, &settings, UUID_A, NULL), 0);
	wait_for(1);
	assert_int_equal(written.error, -ENOTDIR);
	assert_non_null(strstr(written.text, "state/vms/web-01.vm: Not a directory"));
	assert_non_null(strstr(stored_find(s, &web)->error, "not written: Not a directory"));
	/* And when that is mended, the next attempt succeeds. */
	fixture_remove("state/vms");
	put(&web, POLICY_MODE_OFF, NULL);
	assert_int_equal(written.error, 0);
	assert_string_equal(stored_find(s, &web)->error, "");
}

static void test_ends_with_a_write_under_way(void **state)
{
	struct settings settings = { .mode = POLICY_MODE_OFF };

	assert_int_equal(stored_put(s, &web, &settings, UUID_A, &event), 0);
	s = stored_free(s);
	assert_int_equal(written.calls, 1);
	assert_ptr_equal(written.cookie, &event);
	open_stored();
	assert_non_null(stored_find(s, &web));
}

/* Files are read again only when no write is under way: its result is newer. */
static void test_load_during_a_write(void **state)
{
	struct settings settings = { .mode = POLICY_MODE_OFF };
	const struct identity good = { .name = "good", .scope = "user:1" };

	fixture_file("state/vms/good.vm", GOOD);
	assert_int_equal(stored_put(s, &web, &settings, UUID_A, NULL), 0);
	assert_int_equal(stored_load(s), 0);
	assert_null(stored_find(s, &good));
	wait_for(1);
	assert_non_null(stored_find(s, &good));
	assert_int_equal(stored_find(s, &web)->settings.mode, POLICY_MODE_OFF);
}

static void test_expire(void **state)
{
	uint64_t now_usec = clock_usec(CLOCK_REALTIME);
	char text[256];

	snprintf(text, sizeof(text), "Scope=user:1\nName=old\nUsed=%llu\nMode=on\nEnd=\n",
		 (unsigned long long)((now_usec - 364 * DAY_USEC) / USEC_PER_SEC));
	fixture_file("state/vms/old.vm", text);
	/* Written while the clock was wrong. */
	snprintf(text, sizeof(text), "Scope=user:1\nName=future\nUsed=%llu\nMode=on\nEnd=\n",
		 (unsigned long long)((now_usec + 700 * DAY_USEC) / USEC_PER_SEC));
	fixture_file("state/vms/future.vm", text);
	fixture_file("state/vms/bad.vm", "");
	reopen();
	put(&web, POLICY_MODE_OFF, NULL);
	stored_expire(s, now_usec);
	reopen();
	assert_int_equal(count_files(".vm"), 4);
	/* A VM that runs is seen; two days later only the other one is a year old. */
	stored_seen(s, &(struct identity){ .name = "future", .scope = "user:1" });
	stored_expire(s, now_usec + 2 * DAY_USEC);
	reopen();
	assert_int_equal(count_files("old.vm"), 0);
	assert_int_equal(count_files(".vm"), 3);
	assert_true(stored_find(s, &(struct identity){ .name = "future", .scope = "user:1" })
			    ->used_usec <= clock_usec(CLOCK_REALTIME));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_lasts),
		TEST(test_scope),
		TEST(test_files_of_equal_names),
		TEST(test_removed),
		TEST(test_forgotten),
		TEST(test_cannot_forget),
		TEST(test_wrong_files),
		TEST(test_strange_files),
		TEST(test_unknown_keys_are_ignored),
		TEST(test_cannot_write),
		TEST(test_ends_with_a_write_under_way),
		TEST(test_load_during_a_write),
		TEST(test_expire),
	};

	return cmocka_run_group_tests_name("stored", tests, NULL, NULL);
}
