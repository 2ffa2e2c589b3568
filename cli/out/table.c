// SPDX-License-Identifier: GPL-2.0
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

/* Blanks between two columns. */
#define GAP 2
/* Columns are dropped until a flexible column has this width. */
#define FLEXIBLE_GOOD 20
/* A flexible column is not shortened below this width: the name would be useless. */
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
	bool no_header;
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

void table_hide_header(struct table *table)
{
	table->no_header = true;
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

/* Width of the table if no flexible column is wider than @limit. */
static size_t sum_limited(const struct table *table, const size_t *widths, size_t limit)
{
	size_t sum = sum_widths(table, widths);

	for (size_t i = 0; i < table->n_columns; i++)
		if (table->columns[i].flexible && widths[i] > limit)
			sum -= widths[i] - limit;
	return sum;
}

/*
 * Makes widths[] fit into @columns: first drops columns (width 0) until the flexible
 * ones can have FLEXIBLE_GOOD columns, then shortens the flexible ones, the widest
 * first. If the table is still too wide, its lines wrap: that is better than a
 * missing state.
 */
static void fit_widths(const struct table *table, size_t *widths, size_t columns)
{
	while (sum_limited(table, widths, FLEXIBLE_GOOD) > columns) {
		size_t next = SIZE_MAX;

		for (size_t i = 0; i < table->n_columns; i++)
			if (table->columns[i].droppable && widths[i] > 0 &&
			    (next == SIZE_MAX ||
			     table->columns[i].droppable >= table->columns[next].droppable))
				next = i;
		if (next == SIZE_MAX)
			break;
		widths[next] = 0;
	}

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

/**
 * struct output - arguments of table_write() for its helpers
 * @term: decides which ellipsis can be shown
 */
struct output {
	const struct table *table;
	const size_t *widths;
	const struct table_sink *sink;
	void *userdata;
	const struct term *term;
};

static void write_cell(const struct output *out, const struct table_column *column,
		       const struct cell *cell, size_t width, bool last)
{
	size_t padding = width > cell->columns ? width - cell->columns : 0;

	if (column->right)
		out->sink->blanks(out->userdata, padding);
	out->sink->text(out->userdata, cell->style, cell->text);
	if (!last)
		out->sink->blanks(out->userdata, (column->right ? 0 : padding) + GAP);
}

static int write_row(const struct output *out, const struct cell *cells)
{
	const struct table *table = out->table;
	size_t last = table->n_columns;

	/* No blanks at the end of a line: users copy and compare lines. */
	while (last > 0 && (out->widths[last - 1] == 0 || cells[last - 1].columns == 0))
		last--;

	for (size_t i = 0; i < last; i++) {
		_cleanup_free_ char *text = NULL;
		struct cell cell = cells[i];

		if (out->widths[i] == 0)
			continue;
		if (cell.columns > out->widths[i]) {
			text = text_fit(cell.text, out->widths[i],
					out->term->utf8 ? "\u2026" : "~");
			if (!text)
				return -ENOMEM;
			cell.text = text;
			cell.columns = text_columns(text);
		}
		write_cell(out, &table->columns[i], &cell, out->widths[i], i + 1 == last);
	}
	out->sink->end_row(out->userdata);
	return 0;
}

int table_write(struct table *table, const struct table_sink *sink, void *userdata,
		const struct term *term, size_t columns, size_t first, size_t max_rows)
{
	_cleanup_free_ size_t *widths = calloc(table->n_columns, sizeof(*widths));
	_cleanup_free_ struct cell *headers = calloc(table->n_columns, sizeof(*headers));
	const struct output out = { table, widths, sink, userdata, term };
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
	if (columns > 0)
		fit_widths(table, widths, columns);

	r = table->no_header ? 0 : write_row(&out, headers);
	for (size_t i = first; r == 0 && i < n_rows && i - first < max_rows; i++)
		r = write_row(&out, &table->cells[i * table->n_columns]);
	return r;
}

/* userdata of the sink that prints to a file. */
struct print {
	FILE *file;
	const struct term *term;
};

static void print_text(void *userdata, enum style style, const char *text)
{
	const struct print *print = userdata;

	fprintf(print->file, "%s%s%s", term_style(print->term, style), text,
		term_style_end(print->term, style));
}

static void print_blanks(void *userdata, size_t n)
{
	const struct print *print = userdata;

	fprintf(print->file, "%*s", (int)n, "");
}

static void print_end(void *userdata)
{
	const struct print *print = userdata;

	fputc('\n', print->file);
}

int table_print(struct table *table, FILE *file, const struct term *term, size_t max_rows)
{
	static const struct table_sink sink = { print_text, print_blanks, print_end };
	struct print print = { file, term };

	return table_write(table, &sink, &print, term, term->columns, 0, max_rows);
}
