// SPDX-License-Identifier: GPL-2.0
/* What is typed: cli/args.c, cli/vcpu-list.c, cli/suggest.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apf/cleanup.h"
#include "args.h"
#include "suggest.h"
#include "vcpu-list.h"

/* Parses @text; returns the list as text again, or NULL. To be freed. */
static char *round_trip(const char *text)
{
	struct vcpu_list list = {};
	_cleanup_free_ char *error = NULL;

	if (vcpu_list_parse(text, &list, &error) < 0) {
		assert_non_null(error);
		assert_int_equal(list.n, 0);
		return NULL;
	}
	assert_null(error);
	return vcpu_list_format(&list);
}

static void test_vcpu_list(void **state)
{
	static const struct {
		const char *text;
		const char *canonical;
	} cases[] = {
		{ "0", "0" },	    { "0,2-3", "0,2,3" }, { "0,2-4", "0,2-4" },
		{ "4-2,1", NULL },  { "3,2,1", "1-3" },	  { "1-3,2-5,2", "1-5" },
		{ "7-7", "7" },	    { "007", "7" },	  { "0-4095", "0-4095" },
		{ "4095", "4095" }, { "4096", NULL },	  { "4294967296", NULL },
		{ "", NULL },	    { ",", NULL },	  { "1,", NULL },
		{ "-", NULL },	    { "1-", NULL },	  { "1 ", NULL },
		{ "\u0661", NULL },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *text = round_trip(cases[i].text);

		if (cases[i].canonical)
			assert_string_equal(text, cases[i].canonical);
		else
			assert_null(text);
	}
}

static void test_vcpu_list_grows_or_stays(void **state)
{
	_cleanup_free_ char *error = NULL, *text = NULL;
	struct vcpu_list list = {};

	assert_int_equal(vcpu_list_parse("1", &list, &error), 0);
	assert_int_equal(vcpu_list_parse("1,5", &list, &error), 0);
	assert_int_equal(list.n, 2);
	/* Refused at its end: nothing of its beginning stays. */
	assert_int_equal(vcpu_list_parse("7,8,x", &list, &error), -EINVAL);
	assert_string_equal(error, "'x' is not a vCPU number");
	assert_int_equal(list.n, 2);
	text = vcpu_list_format(&list);
	assert_string_equal(text, "1,5");
}

static void test_interval(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t usec;
	} cases[] = {
		{ "1", 0, 1000000 },
		{ "0.1", 0, 100000 },
		{ ".5", 0, 500000 },
		{ "2.", 0, 2000000 },
		{ "0.1234567", 0, 123456 },
		{ "3600", 0, 3600000000 },
		{ "0.0999999", -ERANGE },
		{ "3600.000001", -ERANGE },
		{ "0", -ERANGE },
		{ "99999999999999999999999", -ERANGE },
		{ "", -EINVAL },
		{ ".", -EINVAL },
		{ "1e3", -EINVAL },
		{ " 1", -EINVAL },
		{ "-1", -EINVAL },
		{ "1,5", -EINVAL },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		uint64_t usec = 42;

		assert_int_equal(parse_interval(cases[i].text, &usec), cases[i].r);
		assert_int_equal(usec, cases[i].r < 0 ? 42 : cases[i].usec);
	}
}

static void test_count(void **state)
{
	uint64_t count = 42;

	assert_int_equal(parse_count("0", &count), -ERANGE);
	assert_int_equal(parse_count("1000000001", &count), -ERANGE);
	assert_int_equal(parse_count("18446744073709551617", &count), -ERANGE);
	assert_int_equal(parse_count("", &count), -EINVAL);
	assert_int_equal(parse_count("1 ", &count), -EINVAL);
	assert_int_equal(count, 42);
	assert_int_equal(parse_count("1000000000", &count), 0);
	assert_int_equal(count, 1000000000);
}

static void test_words(void **state)
{
	static const char *const names[] = { "on", "pv", "off" };
	static const struct {
		const char *text;
		uint64_t mask;
		const char *bad;
	} cases[] = {
		{ "on", 1, NULL },	 { "off,on", 5, NULL }, { "pv,pv", 2, NULL },
		{ "", 0, "" },		 { "on,", 0, "" },	{ ",on", 0, "" },
		{ "on,of,pv", 0, "of" }, { "onn", 0, "onn" },	{ "on, pv", 0, " pv" },
	};
	uint64_t mask = 0;
	char *bad = NULL;

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *error = NULL;

		mask = 0;
		assert_int_equal(
			parse_words(cases[i].text, names, ELEMENTSOF(names), &mask, &error),
			cases[i].bad ? -EINVAL : 0);
		/* After a wrong word, no other word counts. */
		assert_int_equal(mask, cases[i].mask);
		if (cases[i].bad)
			assert_string_equal(error, cases[i].bad);
		else
			assert_null(error);
	}
	/* A second list adds. */
	mask = 4;
	assert_int_equal(parse_words("on", names, ELEMENTSOF(names), &mask, &bad), 0);
	assert_int_equal(mask, 5);
}

static void test_suggest(void **state)
{
	static const char *const names[] = { "enable", "disable", "on" };
	static const struct {
		const char *word;
		const char *text;
	} cases[] = {
		{ "enabel", " (did you mean '--enable'?)" },
		{ "en", " (did you mean '--enable'?)" },
		{ "enabled", " (did you mean '--enable'?)" },
		{ "nn", " (did you mean '--on'?)" },
		{ "xxable", " (did you mean '--enable'?)" },
		{ "reboot", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *text = suggest(cases[i].word, "--", names, ELEMENTSOF(names));

		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vcpu_list), cmocka_unit_test(test_vcpu_list_grows_or_stays),
		cmocka_unit_test(test_interval),  cmocka_unit_test(test_count),
		cmocka_unit_test(test_words),	  cmocka_unit_test(test_suggest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
