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
	table_hide_header(table);
	assert_int_equal(table_print(table, file, &term, 1), 0);
	fclose(file);
	assert_string_equal(text, "NAME   N  STATE  MORE\n"
				  "vm0    1  on\n"
				  "vm1    1  on\n"
				  "vm0    1  on\n");
}

/* The highest rank goes first, of equal ones the last. */
static void test_droppable_in_order(void **state)
{
	static const struct table_column ranked[] = {
		{ "A", .droppable = 1 }, { "B", .droppable = 2 }, { "C" },
		{ "D", .droppable = 2 }, { "E", .droppable = 1 },
	};
	static const struct {
		unsigned int columns;
		const char *text;
	} cases[] = {
		{ 13, "A  B  C  D  E\n" }, { 12, "A  B  C  E\n" }, { 9, "A  C  E\n" },
		{ 6, "A  C\n" },	   { 3, "C\n" },	   { 1, "C\n" },
	};
	_cleanup_(table_freep) struct table *table = table_new(ranked, ELEMENTSOF(ranked));

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct term term = { .columns = cases[i].columns };
		char text[64];
		FILE *file = fmemopen(text, sizeof(text), "w");

		assert_int_equal(table_print(table, file, &term, 0), 0);
		fclose(file);
		assert_string_equal(text, cases[i].text);
	}
}

/* A sink gets what a file gets, from the row wanted on, in widths of all rows. */
static void write_text(void *userdata, enum style style, const char *text)
{
	fprintf(userdata, "[%s]", text);
}

static void write_blanks(void *userdata, size_t n)
{
	fprintf(userdata, "%zu", n);
}

static void write_end(void *userdata)
{
	fputc('|', userdata);
}

static void test_sink(void **state)
{
	static const struct table_sink sink = { write_text, write_blanks, write_end };
	static const struct table_column two[] = { { "N", .right = true }, { "NAME" } };
	_cleanup_(table_freep) struct table *table = table_new(two, ELEMENTSOF(two));
	const struct term term = {};
	char text[128];
	FILE *file = fmemopen(text, sizeof(text), "w");

	for (unsigned int i = 0; i < 4; i++) {
		table_addf(table, "%u", i * 100);
		table_add(table, "x");
	}
	assert_int_equal(table_write(table, &sink, file, &term, 0, 2, 1), 0);
	fclose(file);
	assert_string_equal(text, "2[N]2[NAME]|0[200]2[x]|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_droppable_in_order),
		cmocka_unit_test(test_sink),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
