// SPDX-License-Identifier: GPL-2.0
#include "unit.h"

#include <errno.h>

#include "number.h"

static void test_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} right[] = {
		{ "0", 0 },
		{ "17", 17 },
		{ "1K", 1024 },
		{ "64M", 64 << 20 },
		{ "3G", UINT64_C(3) << 30 },
		{ "2T", UINT64_C(2) << 40 },
	};
	static const char *const wrong[] = {
		"", "M", "-1", "1.5M", "1 M", "1MB", "1k", "1KK", "x"
	};
	static const char *const large[] = { "18446744073709551616", "9223372036854775808",
					     "8388608T", "9007199254740992K" };
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_int_equal(number_parse_bytes(right[i].text, &bytes), 0);
		assert_true(bytes == right[i].bytes);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(number_parse_bytes(wrong[i], &bytes), -EINVAL);
	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		assert_int_equal(number_parse_bytes(large[i], &bytes), -ERANGE);
}

static void test_lines(void **state)
{
	static const char text[] =
		"total 1\ntotal_now:  7 kB\nbad x\nbad 3\nlast 18446744073709551615";
	const char *line = text;
	uint64_t n = 42;

	assert_int_equal(number_after_key(text, "total ", &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(number_after_key(text, "now", &n), -ENOENT);
	assert_int_equal(number_find(text, "total_now:", &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(number_find(text, "last ", &n), 0);
	assert_true(n == UINT64_MAX);
	/* The first line with the key counts. */
	n = 42;
	assert_int_equal(number_find(text, "bad ", &n), -EBADMSG);
	assert_int_equal(number_find(text, "now: ", &n), -ENOENT);
	assert_int_equal(number_find("", "x", &n), -ENOENT);
	assert_int_equal(n, 42);
	for (int i = 0; i < 4; i++)
		line = number_next_line(line);
	assert_memory_equal(line, "last ", 5);
	line = number_next_line(line);
	assert_true(line == text + sizeof(text) - 1);
	assert_true(number_next_line(line) == line);
}

static void test_rate(void **state)
{
	uint64_t rate;

	assert_int_equal(number_parse_rate("unlimited", &rate), 0);
	assert_true(rate == UINT64_MAX);
	assert_int_equal(number_parse_rate("1M", &rate), 0);
	assert_true(rate == 1 << 20);
	assert_int_equal(number_parse_rate("1T", &rate), 0);
	assert_int_equal(number_parse_rate("1023K", &rate), -ERANGE);
	assert_int_equal(number_parse_rate("2T", &rate), -ERANGE);
	assert_int_equal(number_parse_rate("fast", &rate), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
