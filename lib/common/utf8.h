/* SPDX-License-Identifier: GPL-2.0 */
/* Converts text from other sources for the bus, which accepts only valid UTF-8. */
#ifndef APF_UTF8_H
#define APF_UTF8_H

#include <stddef.h>

/*
 * utf8_make_valid: replaces in place every byte that is not part of valid UTF-8, and every
 * control character, by '?'.
 */
void utf8_make_valid(char *s);

/*
 * utf8_excerpt: copies @s, truncated to @size bytes (at least 1) including the final NUL. The
 * copy is valid UTF-8 if @s is.
 */
void utf8_excerpt(const char *s, char *buf, size_t size);

#endif /* APF_UTF8_H */
