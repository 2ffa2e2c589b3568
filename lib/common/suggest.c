// SPDX-License-Identifier: GPL-2.0
#include "suggest.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>

#include "util.h"

enum {
	NEAR_MAX = 3,		/* more suggestions would not help */
	DISTANCE_LEN_MAX = 255, /* longest name in libvirt; limits the rows of the matrix */
};

unsigned int edit_distance(const char *a, const char *b)
{
	/* Three rows of the matrix are enough: swapped characters need the row before the last. */
	unsigned int rows[3][DISTANCE_LEN_MAX + 1];
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > DISTANCE_LEN_MAX || len_b > DISTANCE_LEN_MAX)
		return UINT_MAX;

	for (size_t j = 0; j <= len_b; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned int *cur = rows[i % 3], *prev = rows[(i + 2) % 3];
		const unsigned int *prev2 = rows[(i + 1) % 3];
		int ca = tolower((unsigned char)a[i - 1]);

		cur[0] = (unsigned int)i;
		for (size_t j = 1; j <= len_b; j++) {
			int cb = tolower((unsigned char)b[j - 1]);
			unsigned int d = prev[j - 1] + (ca != cb);

			d = MIN_OF(d, prev[j] + 1);
			d = MIN_OF(d, cur[j - 1] + 1);
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]))
				d = MIN_OF(d, prev2[j - 2] + 1);
			cur[j] = d;
		}
	}
	return rows[len_a % 3][len_b];
}

/* Sorts by distance, then in natural order (vm2 before vm10). */
static bool nearer(const char *a, unsigned int distance_a, const char *b, unsigned int distance_b)
{
	return distance_a != distance_b ? distance_a < distance_b : strverscmp(a, b) < 0;
}

int suggest_near(const char *wanted, const char *const *names, size_t n_names, char **ret_text)
{
	struct {
		const char *name;
		unsigned int distance;
	} best[NEAR_MAX];
	size_t n_best = 0, len = strlen(wanted), size = 1;
	_cleanup_free_ char *text = NULL;

	if (len == 0 || len > DISTANCE_LEN_MAX) {
		*ret_text = NULL;
		return 0;
	}

	for (size_t i = 0; i < n_names; i++) {
		unsigned int d = edit_distance(wanted, names[i]), limit = len < 3 ? 1 : len / 3;
		size_t at;

		/* A part of a name counts as near, even if much is missing. */
		if (len >= 2 && d > limit && strcasestr(names[i], wanted))
			d = limit;
		if (d > limit)
			continue;
		for (at = n_best;
		     at > 0 && nearer(names[i], d, best[at - 1].name, best[at - 1].distance); at--)
			if (at < NEAR_MAX)
				best[at] = best[at - 1];
		if (at == NEAR_MAX)
			continue;
		best[at].name = names[i];
		best[at].distance = d;
		n_best = MIN_OF(n_best + 1, (size_t)NEAR_MAX);
	}
	if (n_best == 0) {
		*ret_text = NULL;
		return 0;
	}

	for (size_t i = 0; i < n_best; i++)
		size += strlen(best[i].name) + strlen(" or ");
	text = calloc(1, size);
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < n_best; i++) {
		strcat(text, i == 0 ? "" : i == n_best - 1 ? " or " : ", ");
		strcat(text, best[i].name);
	}
	*ret_text = TAKE_PTR(text);
	return 1;
}

/*
 * The number of typing errors that turn @name into @word; SIZE_MAX if there are too many.
 * A long name may have two errors, a name of three letters only one, else it is another
 * word. 0 if one of the two words is the beginning of the other.
 */
static size_t count_slips(const char *word, const char *name)
{
	size_t len_word = strlen(word), len_name = strlen(name);
	unsigned int distance;

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
		size_t n = count_slips(word, names[i]);

		fewest = n < fewest ? n : fewest;
	}
	for (size_t i = 0; i < n_names && fewest < SIZE_MAX; i++) {
		if (count_slips(word, names[i]) != fewest)
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
