// SPDX-License-Identifier: GPL-2.0
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

/* Between two columns. */
#define GAP 2
/* Names get as much before another column is shown beside them. */
#define FLEXIBLE_GOOD 20
/* A name shorter than this says nothing any more. */
#define FLEXIBLE_MIN 8

struct cell {
	char *text;
	size_t columns;
	enum style style;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct cell *cells;
	size_t n_cells;
	size_t n_allocated;
	bool no_memory;
};

struct table *table_new(const struct table_column *columns, size_t n_columns)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	table->n_columns = n_columns;
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
	return NULL;
}

void table_add_styled(struct table *table, enum style style, const char *text)
{
	struct cell cell = { .style = style };

	if (table->n_cells == table->n_allocated) {
		size_t n = table->n_allocated ? 2 * table->n_allocated : 64;
		struct cell *cells = reallocarray(table->cells, n, sizeof(*cells));

		if (!cells) {
			table->no_memory = true;
			return;
		}
		table->cells = cells;
		table->n_allocated = n;
	}
	cell.text = text_printable(text);
	if (!cell.text) {
		table->no_memory = true;
		return;
	}
	cell.columns = text_columns(cell.text);
	table->cells[table->n_cells++] = cell;
}

void table_add(struct table *table, const char *text)
{
	table_add_styled(table, STYLE_NONE, text);
}

void table_addf(struct table *table, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int r;

	va_start(args, format);
	r = vasprintf(&text, format, args);
	va_end(args);
	if (r < 0) {
		text = NULL;
		table->no_memory = true;
		return;
	}
	table_add(table, text);
}

static size_t sum_widths(const struct table *table, const size_t *widths)
{
	size_t sum = 0;

	for (size_t i = 0; i < table->n_columns; i++)
		if (widths[i] > 0)
			sum += widths[i] + (sum > 0 ? GAP : 0);
	return sum;
}

/* What the table takes if no flexible column is wider than @limit. */
static size_t sum_limited(const struct table *table, const size_t *widths, size_t limit)
{
	size_t sum = sum_widths(table, widths);

	for (size_t i = 0; i < table->n_columns; i++)
		if (table->columns[i].flexible && widths[i] > limit)
			sum -= widths[i] - limit;
	return sum;
}

/*
 * Makes widths[] fit into @columns: columns are dropped (width 0) until the
 * flexible ones have a good width left, then these give way, the widest first.
 * What still does not fit runs over the edge: a wrapped line is better than a
 * missing state.
 */
static void fit_widths(const struct table *table, size_t *widths, size_t columns)
{
	for (size_t i = table->n_columns; i-- > 0;)
		if (table->columns[i].droppable &&
		    sum_limited(table, widths, FLEXIBLE_GOOD) > columns)
			widths[i] = 0;

	while (sum_widths(table, widths) > columns) {
		size_t widest = SIZE_MAX;

		for (size_t i = 0; i < table->n_columns; i++) {
			if (!table->columns[i].flexible || widths[i] <= FLEXIBLE_MIN)
				continue;
			if (widest == SIZE_MAX || widths[i] > widths[widest])
				widest = i;
		}
		if (widest == SIZE_MAX)
			return;
		widths[widest]--;
	}
}

static void print_cell(FILE *file, const struct term *term, const struct table_column *column,
		       const struct cell *cell, size_t width, bool last)
{
	size_t padding = width > cell->columns ? width - cell->columns : 0;

	if (column->right)
		fprintf(file, "%*s", (int)padding, "");
	fprintf(file, "%s%s%s", term_style(term, cell->style), cell->text,
		term_style_end(term, cell->style));
	if (!last)
		fprintf(file, "%*s", (int)(column->right ? 0 : padding) + GAP, "");
}

static int print_row(FILE *file, const struct term *term, const struct table *table,
		     const struct cell *cells, const size_t *widths)
{
	size_t last = table->n_columns;

	/* No blanks at the end of a line: people copy and compare these. */
	while (last > 0 && (widths[last - 1] == 0 || cells[last - 1].columns == 0))
		last--;

	for (size_t i = 0; i < last; i++) {
		_cleanup_free_ char *text = NULL;
		struct cell cell = cells[i];

		if (widths[i] == 0)
			continue;
		if (cell.columns > widths[i]) {
			text = text_fit(cell.text, widths[i], term->utf8 ? "\u2026" : "~");
			if (!text)
				return -ENOMEM;
			cell.text = text;
			cell.columns = text_columns(text);
		}
		print_cell(file, term, &table->columns[i], &cell, widths[i], i + 1 == last);
	}
	fputc('\n', file);
	return 0;
}

int table_print(struct table *table, FILE *file, const struct term *term, size_t max_rows)
{
	_cleanup_free_ size_t *widths = calloc(table->n_columns, sizeof(*widths));
	_cleanup_free_ struct cell *headers = calloc(table->n_columns, sizeof(*headers));
	size_t n_rows = table->n_cells / table->n_columns;
	int r;

	if (table->no_memory || !widths || !headers)
		return -ENOMEM;

	for (size_t i = 0; i < table->n_columns; i++) {
		headers[i].text = (char *)table->columns[i].header;
		headers[i].columns = strlen(table->columns[i].header);
		headers[i].style = STYLE_HEADER;
		widths[i] = headers[i].columns;
	}
	for (size_t i = 0; i < n_rows * table->n_columns; i++) {
		size_t *width = &widths[i % table->n_columns];

		if (*width < table->cells[i].columns)
			*width = table->cells[i].columns;
	}
	if (term->columns > 0)
		fit_widths(table, widths, term->columns);

	r = print_row(file, term, table, headers, widths);
	for (size_t i = 0; r == 0 && i < n_rows && i < max_rows; i++)
		r = print_row(file, term, table, &table->cells[i * table->n_columns], widths);
	return r;
}
