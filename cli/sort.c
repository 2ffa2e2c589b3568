// SPDX-License-Identifier: GPL-2.0
#include "sort.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "suggest.h"
#include "verb.h"

/* More columns than any table has. */
#define COLUMNS_MAX 16

char *sort_word(char buffer[static SORT_WORD_MAX], const struct table_column *column)
{
	size_t n = strcspn(column->header, "/");

	snprintf(buffer, SORT_WORD_MAX, "%.*s", (int)n, column->header);
	for (char *p = buffer; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return buffer;
}

int sort_read(const struct apfctl *ctl, const struct table_column *columns, size_t n_columns,
	      struct ordering *ret)
{
	char buffers[COLUMNS_MAX][SORT_WORD_MAX];
	const char *words[COLUMNS_MAX], *wanted = ctl->sort;
	_cleanup_free_ char *printable = NULL, *near = NULL, *list = NULL;
	size_t size, n = n_columns < COLUMNS_MAX ? n_columns : COLUMNS_MAX;
	FILE *file;

	if (!wanted)
		return STATUS_OK;
	wanted += wanted[0] == '-';
	for (unsigned int i = 0; i < n; i++) {
		words[i] = sort_word(buffers[i], &columns[i]);
		if (strcasecmp(words[i], wanted) == 0) {
			*ret = (struct ordering){ i, ctl->sort[0] == '-' };
			return STATUS_OK;
		}
	}
	file = open_memstream(&list, &size);
	for (size_t i = 0; file && i < n; i++)
		fprintf(file, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
	if (!file || fclose(file) != 0)
		return status_fail(STATUS_FAILED, "out of memory");
	printable = text_printable(wanted);
	near = suggest(wanted, "", words, n);
	return status_fail(STATUS_USAGE, "%s: --sort '%s' is not a column%s; use %s",
			   ctl->verb->name, printable ?: "", near ?: "", list ?: "");
}
