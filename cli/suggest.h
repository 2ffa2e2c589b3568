/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_SUGGEST_H
#define APFCTL_SUGGEST_H

#include <stddef.h>

/**
 * edit_distance() - insertions, deletions, replacements and swaps of two
 *	neighbours that turn @a into @b
 * Return: the distance; SIZE_MAX if a word is longer than 63 bytes.
 */
size_t edit_distance(const char *a, const char *b);

/**
 * suggest() - the names nearest to a mistyped word
 * @word: what was typed
 * @prefix: put before each name, e.g. "--"
 * Return: " (did you mean 'x' or 'y'?)", "" if nothing is near; to be freed;
 *	NULL without memory.
 */
char *suggest(const char *word, const char *prefix, const char *const *names, size_t n_names);

#endif
