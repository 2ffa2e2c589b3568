// SPDX-License-Identifier: GPL-2.0
/* Numbers and names for people: cli/format.c. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apf/cleanup.h"
#include "format.h"

static void test_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 1, "1 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		/* Rounding must not make 1024.0 KiB of it. */
		{ 1024 * 1024 - 1, "1.0 MiB" },
		{ 1024 * 1024, "1.0 MiB" },
		{ 327155712, "312.0 MiB" },
		{ 5ULL << 30, "5.0 GiB" },
		{ 3ULL << 40, "3.0 TiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char buffer[FORMAT_MAX];

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_string_equal(format_bytes(buffer, cases[i].bytes), cases[i].text);
}

static void test_nsec(void **state)
{
	static const struct {
		uint64_t nsec;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1 ns" },
		{ 999, "999 ns" },
		{ 1000, "1.0 us" },
		{ 9949, "9.9 us" },
		{ 9950, "10 us" },
		{ 999499, "999 us" },
		/* Rounding must not make 1000 us of it. */
		{ 999500, "1.0 ms" },
		{ 5100000, "5.1 ms" },
		{ 999499999, "999 ms" },
		{ 999500000, "1.0 s" },
		{ 59499999999, "59 s" },
		{ 59500000000, "1 min 0 s" },
		{ 310000000000, "5 min 10 s" },
		{ 12000000000000, "3 h 20 min" },
		{ 1051200000000000, "12 d 4 h" },
		{ UINT64_MAX, "213503 d 23 h" },
	};
	char buffer[FORMAT_MAX];

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_string_equal(format_nsec(buffer, cases[i].nsec), cases[i].text);
	assert_string_equal(format_usec(buffer, 8200), "8.2 ms");
	/* Does not wrap. */
	assert_string_equal(format_usec(buffer, UINT64_MAX), "213503 d 23 h");
}

static void test_rate_and_share(void **state)
{
	char buffer[FORMAT_MAX];

	assert_string_equal(format_rate(buffer, 0), "0");
	assert_string_equal(format_rate(buffer, -1), "0");
	assert_string_equal(format_rate(buffer, __builtin_nan("")), "-");
	assert_string_equal(format_rate(buffer, 0.4), "0.4");
	assert_string_equal(format_rate(buffer, 99.94), "99.9");
	assert_string_equal(format_rate(buffer, 99.96), "100");
	assert_string_equal(format_rate(buffer, 1e300), "1000000000000000");

	assert_string_equal(format_share(buffer, 0), "0 %");
	assert_string_equal(format_share(buffer, __builtin_nan("")), "-");
	assert_string_equal(format_share(buffer, 0.0001), "<0.1 %");
	assert_string_equal(format_share(buffer, 0.024), "2.4 %");
	assert_string_equal(format_share(buffer, 0.0994), "9.9 %");
	assert_string_equal(format_share(buffer, 0.0996), "10 %");
	assert_string_equal(format_share(buffer, 1), "100 %");
	assert_string_equal(format_share(buffer, 7), "100 %");
	assert_string_equal(format_vcpu_share(buffer, 0.41), "41 %");
	assert_string_equal(format_vcpu_share(buffer, 2.3), "230 %");
	assert_string_equal(format_vcpu_share(buffer, __builtin_nan("")), "-");
	assert_string_equal(format_vcpu_share(buffer, 1e300), "1000000000 %");
}

static void test_printable(void **state)
{
	static const struct {
		const char *text;
		const char *printable;
	} cases[] = {
		{ "", "" },
		{ "web1", "web1" },
		{ "\u6771\u4eac", "\u6771\u4eac" },
		{ "a\x1b[2Jb", "a\\x1b[2Jb" },
		{ "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f" },
		/* A C1 control in UTF-8: the one-byte escape of some terminals. */
		{ "\xc2\x9b"
		  "2J",
		  "\\xc2\\x9b2J" },
		/* Not UTF-8: a lone byte, an overlong '/', half a character. */
		{ "a\xff", "a\\xff" },
		{ "\xc0\xaf", "\\xc0\\xaf" },
		{ "x\xe6\x9d", "x\\xe6\\x9d" },
		{ "a\u202eb", "a\\xe2\\x80\\xaeb" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *printable = text_printable(cases[i].text);

		assert_string_equal(printable, cases[i].printable);
	}
}

static void test_columns_and_fit(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		const char *fitted;
	} cases[] = {
		{ "web1", 4, "web1" },
		{ "web1", 3, "we~" },
		{ "web1", 1, "~" },
		{ "web1", 0, "" },
		{ "", 0, "" },
		/* Half of a wide character is not shown. */
		{ "\u6771\u4eac", 4, "\u6771\u4eac" },
		{ "\u6771\u4eac", 3, "\u6771~" },
		{ "\u6771\u4eac", 2, "~" },
		/* An accent stays with its letter. */
		{ "e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301" },
		{ "e\u0301e\u0301e\u0301", 2, "e\u0301~" },
	};

	assert_int_equal(text_columns("web1"), 4);
	assert_int_equal(text_columns("\u6771\u4eac"), 4);
	assert_int_equal(text_columns("e\u0301"), 1);
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *fitted = text_fit(cases[i].text, cases[i].columns, "~");

		assert_string_equal(fitted, cases[i].fitted);
		assert_true(text_columns(fitted) <= cases[i].columns);
	}
}

static void test_buckets(void **state)
{
	char buffer[FORMAT_MAX];

	assert_string_equal(format_bucket(buffer, 0, 32), "< 1 us");
	assert_string_equal(format_bucket(buffer, 1, 32), "1 us - 2 us");
	assert_string_equal(format_bucket(buffer, 10, 32), "512 us - 1.0 ms");
	assert_string_equal(format_bucket(buffer, 13, 32), "4.1 ms - 8.2 ms");
	assert_string_equal(format_bucket(buffer, 31, 32), ">= 1074 s");
	assert_string_equal(format_bucket(buffer, 0, 1), "< 1 us");
	/* As many buckets as there can be: nothing overflows. */
	assert_string_equal(format_bucket(buffer, 63, 64), ">= 4611686018427 s");
	format_bucket(buffer, 62, 64);
	assert_true(strlen(buffer) < FORMAT_MAX);
}

static void test_bar(void **state)
{
	char buffer[11];

	assert_string_equal(format_bar(buffer, 0, 100, 10), "");
	assert_string_equal(format_bar(buffer, 0, 0, 10), "");
	/* Something is never nothing. */
	assert_string_equal(format_bar(buffer, 1, UINT64_MAX, 10), "#");
	assert_string_equal(format_bar(buffer, 50, 100, 10), "#####");
	assert_string_equal(format_bar(buffer, 100, 100, 10), "##########");
	assert_string_equal(format_bar(buffer, 200, 100, 10), "##########");
	assert_string_equal(format_bar(buffer, UINT64_MAX, UINT64_MAX, 10), "##########");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_nsec),
		cmocka_unit_test(test_rate_and_share),
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_columns_and_fit),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_bar),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
