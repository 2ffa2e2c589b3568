/* SPDX-License-Identifier: GPL-2.0 */
/* The option --sort: a column of a table, which orders its rows. */
#ifndef APFCTL_SORT_H
#define APFCTL_SORT_H

#include <stdbool.h>
#include <stddef.h>

#include "apfctl.h"
#include "table.h"

/* -1, 0 or 1 for two numbers, for qsort(). */
#define COMPARE(a, b)                         \
	({                                    \
		__typeof__(a) _a = (a);       \
		__typeof__(b) _b = (b);       \
		(_a > _b) - (_a < _b);        \
	})

/**
 * struct ordering - of the rows of a table
 * @column: by which they are sorted
 */
struct ordering {
	unsigned int column;
	bool reversed;
};

/* Enough for the word of every column, with the final NUL. */
#define SORT_WORD_MAX 16

/* The word for a column: its header in lower case, without "/S". Returns @buffer. */
char *sort_word(char buffer[static SORT_WORD_MAX], const struct table_column *column);

/**
 * sort_read() - reads --sort
 * @ret: unchanged if the option was not given; reversed if '-' is before the word
 * Return: an exit status.
 */
int sort_read(const struct apfctl *ctl, const struct table_column *columns, size_t n_columns,
	      struct ordering *ret);

#endif
