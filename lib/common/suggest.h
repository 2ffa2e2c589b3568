/* SPDX-License-Identifier: GPL-2.0 */
/* Suggestions for mistyped words. */
#ifndef APF_SUGGEST_H
#define APF_SUGGEST_H

#include <stddef.h>

/*
 * edit_distance: the number of characters to insert, remove, replace or swap with their neighbour
 * to change @a to @b, ignoring case. UINT_MAX if a string has more than 255 bytes.
 */
unsigned int edit_distance(const char *a, const char *b);

/*
 * suggest_near: at most three of @names that are similar to @wanted, best first, as "a, b or c".
 * 0 and *ret_text NULL if there are none; 1 if there are some; -ENOMEM. The caller frees
 * *ret_text.
 */
int suggest_near(const char *wanted, const char *const *names, size_t n_names, char **ret_text);

/**
 * suggest() - the names nearest to a mistyped word
 * @word: what was typed
 * @prefix: printed before each name, e.g. "--"
 * Return: " (did you mean 'x' or 'y'?)", "" if no name is near; NULL without memory. The caller
 * frees the text.
 */
char *suggest(const char *word, const char *prefix, const char *const *names, size_t n_names);

#endif /* APF_SUGGEST_H */
