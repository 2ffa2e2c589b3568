/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include "utf8.h"
#include "util.h"

static void check_utf8(const char *in, const char *expected)
{
	char buf[64];

	strcpy(buf, in);
	utf8_make_valid(buf);
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
	utf8_excerpt(in, buf, size);
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
		cmocka_unit_test(test_make_utf8),
		cmocka_unit_test(test_excerpt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
