// SPDX-License-Identifier: GPL-2.0
/* Which VMs a filter accepts: cli/select.c. Finding VMs is tested in tests/cli. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "select.h"

#define PATH "/org/apfd/vm/"

static void test_accepts(void **state)
{
	char *paths[] = { PATH "a", PATH "b" };
	char *patterns[] = { "web-[12]", "d?b" };
	const struct vm_filter all = {};
	const struct vm_filter named = { .paths = paths, .n_paths = 2 };
	const struct vm_filter both = { paths, patterns, 1, 2 };
	static const struct {
		const char *path;
		const char *name;
		bool named;
		bool both;
	} cases[] = {
		{ PATH "a", "x", true, true },	      { PATH "b", "", true, false },
		{ PATH "c", "web-1", false, true },   { PATH "c", "web-3", false, false },
		{ PATH "c", "dxb", false, true },     { PATH "c", "db", false, false },
		{ PATH "c", "web-12", false, false }, { PATH "c", "WEB-1", false, false },
		{ PATH "ab", "", false, false },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		assert_true(vm_filter_accepts(&all, cases[i].path, cases[i].name));
		assert_int_equal(vm_filter_accepts(&named, cases[i].path, cases[i].name),
				 cases[i].named);
		assert_int_equal(vm_filter_accepts(&both, cases[i].path, cases[i].name),
				 cases[i].both);
	}
}

static struct vm vm_of(const char *path, const char *name)
{
	return (struct vm){ .path = strdup(path), .name = strdup(name), .uuid = strdup("uuid") };
}

/* The others are freed, which the sanitizers check. */
static void test_apply(void **state)
{
	char *patterns[] = { "k*", "uuid" };
	const struct vm_filter filter = { .patterns = patterns, .n_patterns = 2 };
	struct vm_list list = { .vms = calloc(4, sizeof(*list.vms)), .n = 4 };

	list.vms[0] = vm_of("/1", "gone");
	list.vms[1] = vm_of("/2", "kept");
	/* A VM without a name is shown and matched by its UUID. */
	list.vms[2] = vm_of("/3", "");
	list.vms[3] = vm_of("/4", "gone");
	vm_filter_apply(&filter, &list);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.vms[0].path, "/2");
	assert_string_equal(list.vms[1].path, "/3");
	vm_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_apply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
