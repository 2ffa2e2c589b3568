/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <limits.h>

#include "suggest.h"
#include "util.h"

static void test_distance(void **state)
{
	char longest[257];

	assert_int_equal(edit_distance("", ""), 0);
	assert_int_equal(edit_distance("abc", ""), 3);
	assert_int_equal(edit_distance("kitten", "sitting"), 3);
	assert_int_equal(edit_distance("sitting", "kitten"), 3);
	assert_int_equal(edit_distance("Demo", "dEMO"), 0);
	/* Two letters swapped are one mistake. */
	assert_int_equal(edit_distance("dmeo", "demo"), 1);

	memset(longest, 'x', 256);
	longest[256] = '\0';
	assert_int_equal(edit_distance(longest, "x"), UINT_MAX);
	longest[255] = '\0';
	assert_int_equal(edit_distance(longest, "x"), 254);
}

static void check_near(const char *wanted, const char *expected)
{
	static const char *const names[] = {
		"web1", "web2", "web10", "database", "mail", "webcache"
	};
	char *text = (char *)"untouched";

	assert_int_equal(suggest_near(wanted, names, ELEMENTSOF(names), &text), expected ? 1 : 0);
	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
	free(text);
}

static void test_near(void **state)
{
	check_near("Web1", "web1, web2 or web10");
	check_near("databse", "database");
	check_near("base", "database");
	check_near("cache", "webcache");
	check_near("m", NULL);
	check_near("", NULL);
	check_near("nothing-like-it", NULL);
	check_near("mial", "mail");
}

static void test_near_in_order(void **state)
{
	static const char *const names[] = { "abcdefgh1", "abcdefgh", "abcdefgh12", "abcdefghi" };
	_cleanup_free_ char *text = NULL;

	assert_int_equal(suggest_near("abcdefgh", names, ELEMENTSOF(names), &text), 1);
	assert_string_equal(text, "abcdefgh, abcdefgh1 or abcdefghi");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_near_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
