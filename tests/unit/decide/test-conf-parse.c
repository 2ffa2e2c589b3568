/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>
#include <syslog.h>

#include "conf-parse.h"
#include "util.h"

static void test_bool(void **state)
{
	bool b = false;

	assert_int_equal(conf_parse_bool("yes", &b), 0);
	assert_true(b);
	assert_int_equal(conf_parse_bool("off", &b), 0);
	assert_false(b);
	assert_int_equal(conf_parse_bool("Yes", &b), -EINVAL);
	assert_int_equal(conf_parse_bool("", &b), -EINVAL);
	assert_int_equal(conf_parse_bool("yes ", &b), -EINVAL);
}

static void test_span(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t usec;
	} rows[] = {
		{ "1", 0, 1000000 },
		{ "0", 0, 0 },
		{ "2.5", 0, 2500000 },
		{ ".5", 0, 500000 },
		{ "5.", 0, 5000000 },
		{ "500ms", 0, 500000 },
		{ "500 ms", 0, 500000 },
		{ "1min 30s", 0, 90000000 },
		{ "1min30s", 0, 90000000 },
		{ " 7us ", 0, 7 },
		{ "1h", 0, 3600000000 },
		{ "0.3s", 0, 300000 },
		{ "2h", -ERANGE, 0 },
		{ "999999999999999h", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ " ", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
		{ "nan", -EINVAL, 0 },
		{ "1 2", -EINVAL, 0 },
		{ "1s 2", -EINVAL, 0 },
		{ "1 2s", -EINVAL, 0 },
		{ "1.2.3", -EINVAL, 0 },
		{ "1days", -EINVAL, 0 },
		{ "1S", -EINVAL, 0 },
		{ "1234567890123456", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		uint64_t usec = 42;

		print_message("%s\n", rows[i].text);
		assert_int_equal(conf_parse_span(rows[i].text, 3600000000, &usec), rows[i].r);
		assert_int_equal(usec, rows[i].r < 0 ? 42 : rows[i].usec);
	}
}

static void test_uint(void **state)
{
	uint64_t v = 42;

	assert_int_equal(conf_parse_uint("4095", 4095, &v), 0);
	assert_int_equal(v, 4095);
	assert_int_equal(conf_parse_uint("4096", 4095, &v), -ERANGE);
	assert_int_equal(conf_parse_uint("", 9, &v), -EINVAL);
	assert_int_equal(conf_parse_uint("-1", 9, &v), -EINVAL);
	assert_int_equal(conf_parse_uint("1 ", 9, &v), -EINVAL);
	assert_int_equal(conf_parse_uint("99999999999999999999999999", UINT64_MAX, &v), -EINVAL);
	assert_int_equal(v, 4095);
}

static void test_level(void **state)
{
	int level = -1;

	assert_int_equal(conf_parse_level("emerg", &level), 0);
	assert_int_equal(level, LOG_EMERG);
	assert_int_equal(conf_parse_level("debug", &level), 0);
	assert_int_equal(level, LOG_DEBUG);
	assert_int_equal(conf_parse_level("error", &level), -EINVAL);
	assert_int_equal(conf_parse_level("7", &level), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bool),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_uint),
		cmocka_unit_test(test_level),
	};

	return cmocka_run_group_tests_name("conf-parse", tests, NULL, NULL);
}
