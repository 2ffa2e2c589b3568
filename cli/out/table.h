/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table of texts. Each column is as wide as its widest cell; columns are shortened
 * or dropped only if the terminal is too narrow.
 */
#ifndef APFCTL_TABLE_H
#define APFCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "apf/cleanup.h"
#include "term.h"

/**
 * struct table_column - layout of a column
 * @header: printed above the column
 * @right: aligned to the right (numbers)
 * @flexible: may be shortened if the terminal is too narrow
 * @droppable: order of dropping if the terminal is too narrow: the highest value is
 *	dropped first, among equal values the last column; 0: never dropped
 */
struct table_column {
	const char *header;
	bool right;
	bool flexible;
	unsigned char droppable;
};

struct table;

/* @columns must outlive the table. Returns NULL if out of memory. */
struct table *table_new(const struct table_column *columns, size_t n_columns);
struct table *table_free(struct table *table);
APF_DEFINE_CLEANUP(struct table *, table_free);

/* Leaves the header out. */
void table_hide_header(struct table *table);

/*
 * Append a cell, row by row; the text is made printable and copied. If memory runs
 * out, table_write() and table_print() return -ENOMEM later.
 */
void table_add(struct table *table, const char *text);
void table_add_styled(struct table *table, enum style style, const char *text);
void table_addf(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * struct table_sink - functions that draw a table, called from left to right
 * @text: draws the text of a cell
 * @blanks: draws @n blanks
 * @end_row: ends the header, then each row
 */
struct table_sink {
	void (*text)(void *userdata, enum style style, const char *text);
	void (*blanks)(void *userdata, size_t n);
	void (*end_row)(void *userdata);
};

/**
 * table_write() - draws the header and some rows
 * @columns: width to fit into, 0 for no limit
 * @first: first row to draw; column widths always count all rows, so that scrolling
 *	does not change them
 * @max_rows: maximum number of rows
 * Return: 0 or -ENOMEM.
 */
int table_write(struct table *table, const struct table_sink *sink, void *userdata,
		const struct term *term, size_t columns, size_t first, size_t max_rows);

/**
 * table_print() - prints header and rows to @file
 * @max_rows: maximum number of rows, not counting the header
 * Return: 0 or -ENOMEM.
 */
int table_print(struct table *table, FILE *file, const struct term *term, size_t max_rows);

#endif
