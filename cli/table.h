/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table of texts: columns as wide as what is in them, shortened only where a
 * terminal is too narrow.
 */
#ifndef APFCTL_TABLE_H
#define APFCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "apf/cleanup.h"
#include "term.h"

/**
 * struct table_column - how a column is laid out
 * @header: printed above it
 * @right: aligned to the right (numbers)
 * @flexible: shortened where the terminal is too narrow
 * @droppable: left out before a flexible one gets too short; the highest goes
 *	first, of equal ones the last; 0 for never
 */
struct table_column {
	const char *header;
	bool right;
	bool flexible;
	unsigned char droppable;
};

struct table;

/* @columns must outlive the table. NULL without memory. */
struct table *table_new(const struct table_column *columns, size_t n_columns);
struct table *table_free(struct table *table);
APF_DEFINE_CLEANUP(struct table *, table_free);

/*
 * Appends a cell, row by row; the text is made printable and copied. A lack of
 * memory is remembered and told by table_print().
 */
void table_add(struct table *table, const char *text);
void table_add_styled(struct table *table, enum style style, const char *text);
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * struct table_sink - takes a table that is laid out, from left to right
 * @text: of a cell
 * @blanks: between them
 * @end_row: of the header, then of each row
 */
struct table_sink {
	void (*text)(void *userdata, enum style style, const char *text);
	void (*blanks)(void *userdata, size_t n);
	void (*end_row)(void *userdata);
};

/**
 * table_write() - lays the table out and hands over the header and some rows
 * @columns: to fit into, 0 for no limit
 * @first: row to begin with; widths are those of all rows, so that they stay
 * @max_rows: rows at most
 * Return: 0 or -ENOMEM.
 */
int table_write(struct table *table, const struct table_sink *sink, void *userdata,
		const struct term *term, size_t columns, size_t first, size_t max_rows);

/**
 * table_print() - writes header and rows
 * @max_rows: rows at most, header not counted; the rest is not printed
 * Return: 0 or -ENOMEM.
 */
int table_print(struct table *table, FILE *file, const struct term *term, size_t max_rows);

#endif
