/* SPDX-License-Identifier: GPL-2.0 */
#include "quote.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

char *quote(const char *word)
{
	char *quoted = malloc(4 * strlen(word) + sizeof("-- ''")), *q = quoted;

	if (!quoted)
		return NULL;
	if (*word &&
	    word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "0123456789._,=+-")] == '\0' &&
	    *word != '-')
		return strcpy(quoted, word);
	if (*word == '-')
		q = stpcpy(q, "-- ");
	*q++ = '\'';
	for (; *word; word++) {
		if (*word == '\'')
			q = stpcpy(q, "'\\'");
		*q++ = *word;
	}
	*q++ = '\'';
	*q = '\0';
	return quoted;
}
