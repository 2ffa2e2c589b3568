// SPDX-License-Identifier: GPL-2.0
#include "suggest.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any verb or option; a longer word is no slip of the finger. */
#define WORD_MAX 63

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t edit_distance(const char *a, const char *b)
{
	size_t d[WORD_MAX + 1][WORD_MAX + 1];
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > WORD_MAX || len_b > WORD_MAX)
		return SIZE_MAX;

	for (size_t i = 0; i <= len_a; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= len_b; j++)
		d[0][j] = j;

	for (size_t i = 1; i <= len_a; i++) {
		for (size_t j = 1; j <= len_b; j++) {
			bool same = a[i - 1] == b[j - 1];

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[len_a][len_b];
}

/*
 * How far @name is from what was typed, SIZE_MAX if too far: two slips in a word
 * of six letters are a typo, in one of three another word. The beginning of a
 * name, or a name and more, is no slip at all.
 */
static size_t slips(const char *word, const char *name)
{
	size_t len_word = strlen(word), len_name = strlen(name), distance;

	if (len_word >= 2 && strncmp(word, name, len_word) == 0)
		return 0;
	if (len_name >= 3 && strncmp(word, name, len_name) == 0)
		return 0;
	distance = edit_distance(word, name);
	return distance <= (len_name <= 3 ? 1 : 2) ? distance : SIZE_MAX;
}

char *suggest(const char *word, const char *prefix, const char *const *names, size_t n_names)
{
	size_t size, n_near = 0, fewest = SIZE_MAX;
	char *text = NULL;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;

	for (size_t i = 0; i < n_names; i++) {
		size_t n = slips(word, names[i]);

		fewest = n < fewest ? n : fewest;
	}
	for (size_t i = 0; i < n_names && fewest < SIZE_MAX; i++) {
		if (slips(word, names[i]) != fewest)
			continue;
		fprintf(file, "%s'%s%s'", n_near++ == 0 ? " (did you mean " : " or ", prefix,
			names[i]);
	}
	if (n_near > 0)
		fputs("?)", file);
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
