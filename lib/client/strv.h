/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arrays of strings that end with NULL, as sd-bus returns them.
 */
#ifndef APFCTL_STRV_H
#define APFCTL_STRV_H

#include <stddef.h>
#include <stdlib.h>

static inline char **strv_free(char **strings)
{
	for (char **s = strings; s && *s; s++)
		free(*s);
	free(strings);
	return NULL;
}

static inline size_t strv_length(char *const *strings)
{
	size_t n = 0;

	while (strings && strings[n])
		n++;
	return n;
}

#endif
