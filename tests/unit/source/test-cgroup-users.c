/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <stdio.h>

#include "cgroup-users.h"
#include "util.h"

static struct cgroup_users users;

static bool is_empty(void)
{
	for (size_t i = 0; i < ELEMENTSOF(users.buckets); i++)
		if (!LIST_EMPTY(&users.buckets[i]))
			return false;
	return true;
}

static void test_same_group(void **state)
{
	assert_int_equal(cgroup_users_count(&users, "/vms"), 0);
	assert_int_equal(cgroup_users_add(&users, "/vms"), 0);
	assert_int_equal(cgroup_users_count(&users, "/vms"), 1);
	assert_int_equal(cgroup_users_add(&users, "/vms"), 0);
	assert_int_equal(cgroup_users_count(&users, "/vms"), 2);
	cgroup_users_remove(&users, "/vms");
	assert_int_equal(cgroup_users_count(&users, "/vms"), 1);
	cgroup_users_remove(&users, "/vms");
	assert_true(is_empty());
}

static void test_groups_below(void **state)
{
	assert_int_equal(cgroup_users_add(&users, "/a/b"), 0);
	assert_int_equal(cgroup_users_add(&users, "/a/b/c"), 0);
	assert_int_equal(cgroup_users_add(&users, "/a/bc"), 0);
	/* Its sums contain the group below, but not one with a longer name. */
	assert_int_equal(cgroup_users_count(&users, "/a/b"), 2);
	assert_int_equal(cgroup_users_count(&users, "/a/b/c"), 1);
	assert_int_equal(cgroup_users_count(&users, "/a/bc"), 1);
	assert_int_equal(cgroup_users_count(&users, "/a"), 3);
	assert_int_equal(cgroup_users_count(&users, "/a/"), 0);
	cgroup_users_remove(&users, "/a/b");
	assert_int_equal(cgroup_users_count(&users, "/a/b"), 1);
	cgroup_users_remove(&users, "/a/bc");
	cgroup_users_remove(&users, "/a/b/c");
	assert_true(is_empty());
}

static void test_many(void **state)
{
	char path[64];

	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/machine.slice/vm%d.scope/libvirt", i);
		assert_int_equal(cgroup_users_add(&users, path), 0);
	}
	assert_int_equal(cgroup_users_count(&users, "/machine.slice"), 5000);
	assert_int_equal(cgroup_users_count(&users, "/machine.slice/vm4999.scope"), 1);
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/machine.slice/vm%d.scope/libvirt", i);
		cgroup_users_remove(&users, path);
	}
	assert_true(is_empty());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_group),
		cmocka_unit_test(test_groups_below),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("cgroup-users", tests, NULL, NULL);
}
