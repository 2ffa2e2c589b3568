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
 * @droppable: left out before a flexible one gets too short; the last goes first
 */
struct table_column {
	const char *header;
	bool right;
	bool flexible;
	bool droppable;
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
 * table_print() - writes header and rows
 * @max_rows: rows at most, header not counted; the rest is not printed
 * Return: 0 or -ENOMEM.
 */
int table_print(struct table *table, FILE *file, const struct term *term, size_t max_rows);

#endif
