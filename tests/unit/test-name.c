/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <limits.h>

#include "name.h"
#include "util.h"

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define PATH "/org/apfd/vm/6695eb01_f6a4_8304_79aa_97f2502e193f"

static void test_parse_uuid(void **state)
{
	char uuid[NAME_UUID_LEN + 1] = "untouched";

	assert_int_equal(name_parse_uuid("6695EB01-F6a4-8304-79AA-97f2502e193F", uuid), 0);
	assert_string_equal(uuid, UUID);

	strcpy(uuid, "untouched");
	assert_int_equal(name_parse_uuid("", uuid), -EINVAL);
	assert_int_equal(name_parse_uuid("6695eb01-f6a4-8304-79aa-97f2502e193", uuid), -EINVAL);
	assert_int_equal(name_parse_uuid(UUID "0", uuid), -EINVAL);
	assert_int_equal(name_parse_uuid("6695eb01-f6a4-8304-79aa-97f2502e193g", uuid), -EINVAL);
	assert_int_equal(name_parse_uuid("6695eb01f6a4-8304-79aa-97f2502e193f0", uuid), -EINVAL);
	assert_string_equal(uuid, "untouched");
}

static void test_paths(void **state)
{
	char path[NAME_PATH_LEN + 1], uuid[NAME_UUID_LEN + 1];

	name_uuid_to_path(UUID, path);
	assert_string_equal(path, PATH);
	assert_int_equal(name_path_to_uuid(path, uuid), 0);
	assert_string_equal(uuid, UUID);

	assert_int_equal(name_path_to_uuid("/org/apfd/vm", uuid), -EINVAL);
	assert_int_equal(name_path_to_uuid("/org/apfd/vm/", uuid), -EINVAL);
	assert_int_equal(name_path_to_uuid(PATH "/x", uuid), -EINVAL);
	/* One VM must not have two paths. */
	assert_int_equal(
		name_path_to_uuid("/org/apfd/vm/6695EB01_f6a4_8304_79aa_97f2502e193f", uuid),
		-EINVAL);
	assert_int_equal(
		name_path_to_uuid("/org/apfd/vm/6695eb01-f6a4-8304-79aa-97f2502e193f", uuid),
		-EINVAL);
	assert_int_equal(
		name_path_to_uuid("/org/apfx/vm/6695eb01_f6a4_8304_79aa_97f2502e193f", uuid),
		-EINVAL);
}

static void test_distance(void **state)
{
	char longest[257];

	assert_int_equal(name_distance("", ""), 0);
	assert_int_equal(name_distance("abc", ""), 3);
	assert_int_equal(name_distance("kitten", "sitting"), 3);
	assert_int_equal(name_distance("sitting", "kitten"), 3);
	assert_int_equal(name_distance("Demo", "dEMO"), 0);
	/* Two letters swapped are one mistake. */
	assert_int_equal(name_distance("dmeo", "demo"), 1);

	memset(longest, 'x', 256);
	longest[256] = '\0';
	assert_int_equal(name_distance(longest, "x"), UINT_MAX);
	longest[255] = '\0';
	assert_int_equal(name_distance(longest, "x"), 254);
}

static void check_near(const char *wanted, const char *expected)
{
	static const char *const names[] = {
		"web1", "web2", "web10", "database", "mail", "webcache"
	};
	char *text = (char *)"untouched";

	assert_int_equal(name_near(wanted, names, ELEMENTSOF(names), &text), expected ? 1 : 0);
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

	assert_int_equal(name_near("abcdefgh", names, ELEMENTSOF(names), &text), 1);
	assert_string_equal(text, "abcdefgh, abcdefgh1 or abcdefghi");
}

static void check_utf8(const char *in, const char *expected)
{
	char buf[64];

	strcpy(buf, in);
	name_make_utf8(buf);
	assert_string_equal(buf, expected);
}

static void test_make_utf8(void **state)
{
	check_utf8("", "");
	check_utf8("plain", "plain");
	check_utf8("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	check_utf8("\xe2\x82\xac \xf0\x9f\x90\xa7", "\xe2\x82\xac \xf0\x9f\x90\xa7");
	check_utf8("a\nb\x7f"
		   "c",
		   "a?b?c");
	/* A lone continuation, a sequence cut short, an overlong one, a surrogate, too large. */
	check_utf8("\x80", "?");
	check_utf8("x\xe2\x82", "x??");
	check_utf8("\xc0\xaf", "??");
	check_utf8("\xe0\x80\xaf", "???");
	check_utf8("\xed\xa0\x80", "???");
	check_utf8("\xf4\x90\x80\x80", "????");
	check_utf8("\xff\xfe", "??");
}

static void check_excerpt(const char *in, size_t size, const char *expected)
{
	char buf[64];

	memset(buf, 'x', sizeof(buf));
	name_excerpt(in, buf, size);
	assert_string_equal(buf, expected);
	assert_true(strlen(buf) < size);
}

static void test_excerpt(void **state)
{
	check_excerpt("abc", 10, "abc");
	check_excerpt("abc", 4, "abc");
	check_excerpt("abc", 3, "ab");
	check_excerpt("abc", 1, "");
	check_excerpt("", 1, "");
	/* Never half a character. */
	check_excerpt("a\xc3\xbc"
		      "b",
		      4, "a\xc3\xbc");
	check_excerpt("a\xc3\xbc"
		      "b",
		      3, "a");
	check_excerpt("\xf0\x9f\x90\xa7", 4, "");
	check_excerpt("\xf0\x9f\x90\xa7", 5, "\xf0\x9f\x90\xa7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_uuid),    cmocka_unit_test(test_paths),
		cmocka_unit_test(test_distance),      cmocka_unit_test(test_near),
		cmocka_unit_test(test_near_in_order), cmocka_unit_test(test_make_utf8),
		cmocka_unit_test(test_excerpt),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
