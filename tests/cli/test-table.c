// SPDX-License-Identifier: GPL-2.0
/* Layout of tables: cli/table.c. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "format.h"
#include "table.h"

static const struct table_column columns[] = {
	{ "NAME", .flexible = true },
	{ "N", .right = true },
	{ "STATE" },
	{ "MORE", .droppable = true },
};

/* Prints a table of one row, @name and the rest fixed. To be freed. */
static char *print(const char *name, const struct term *term)
{
	_cleanup_(table_freep) struct table *table = table_new(columns, ELEMENTSOF(columns));
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(table);
	assert_non_null(file);
	table_add(table, name);
	table_addf(table, "%d", 12345);
	table_add_styled(table, STYLE_GOOD, "on");
	table_add(table, "extra");
	assert_int_equal(table_print(table, file, term, 1), 0);
	fclose(file);
	return text;
}

static void test_layout(void **state)
{
	static const char name[] = "a-name-of-thirty-columns-or-so";
	static const struct {
		const char *name;
		struct term term;
		const char *text;
	} cases[] = {
		{ "web1", {}, "NAME      N  STATE  MORE\nweb1  12345  on     extra\n" },
		{ "a", {}, "NAME      N  STATE  MORE\na     12345  on     extra\n" },
		/* No terminal, no limit. */
		{ name,
		  {},
		  "NAME                                N  STATE  MORE\n"
		  "a-name-of-thirty-columns-or-so  12345  on     extra\n" },
		/* The name gives way to 20 columns, */
		{ name,
		  { .columns = 41 },
		  "NAME                      N  STATE  MORE\n"
		  "a-name-of-thirty-co~  12345  on     extra\n" },
		/* then the droppable column goes, and the name has its room again, */
		{ name,
		  { .columns = 40 },
		  "NAME                            N  STATE\n"
		  "a-name-of-thirty-columns-~  12345  on\n" },
		/* then the name gives way to 8, and not further. */
		{ name,
		  { .columns = 22 },
		  "NAME          N  STATE\n"
		  "a-name-~  12345  on\n" },
		{ name,
		  { .columns = 5 },
		  "NAME          N  STATE\n"
		  "a-name-~  12345  on\n" },
		{ name,
		  { .columns = 22, .utf8 = true },
		  "NAME          N  STATE\n"
		  "a-name-\u2026  12345  on\n" },
		{ "web1",
		  { .colour = true },
		  "\033[1mNAME\033[0m      \033[1mN\033[0m  \033[1mSTATE\033[0m  "
		  "\033[1mMORE\033[0m\n"
		  "web1  12345  \033[32mon\033[0m     extra\n" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *text = print(cases[i].name, &cases[i].term);

		assert_string_equal(text, cases[i].text);
	}
}

static void test_rows(void **state)
{
	_cleanup_(table_freep) struct table *table = table_new(columns, ELEMENTSOF(columns));
	_cleanup_free_ char *text = NULL;
	struct term term = {};
	size_t size;
	FILE *file = open_memstream(&text, &size);

	/* More than the table allocates at once. */
	for (unsigned int i = 0; i < 1000; i++) {
		table_addf(table, "vm%u", i);
		table_add(table, "1");
		table_add(table, "on");
		table_add(table, "");
	}
	assert_int_equal(table_print(table, file, &term, 2), 0);
	fclose(file);
	assert_string_equal(text, "NAME   N  STATE  MORE\n"
				  "vm0    1  on\n"
				  "vm1    1  on\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_rows),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
