/* SPDX-License-Identifier: GPL-2.0 */
/* Decimal numbers, in files of the kernel and from users. */
#ifndef APFD_NUMBER_H
#define APFD_NUMBER_H

#include <stdint.h>

/*
 * number_parse: reads digits, without sign or blanks, up to one of the characters @ends or the end
 * of the text; moves *s behind the digits. 0; -EBADMSG: no number, or more than 2^64 - 1.
 */
int number_parse(const char **s, const char *ends, uint64_t *ret);

/*
 * Files with a line for each figure: "KEY 1", as memory.stat, or "KEY:   1 kB", as /proc/meminfo.
 *
 * number_after_key: the number of a @line that begins with @key, without regard to "kB". @key ends
 * with a blank, or with a colon, which blanks may follow. 0; -ENOENT: the line does not begin with
 * @key; -EBADMSG: the rest is not one number, or it is more than 2^64 - 1.
 */
int number_after_key(const char *line, const char *key, uint64_t *ret);

/* number_find: as number_after_key(), of the first such line of @text. */
int number_find(const char *text, const char *key, uint64_t *ret);

/* number_next_line: the begin of the line after @line; the end of the text after the last one. */
const char *number_next_line(const char *line);

/*
 * number_parse_bytes: a whole number of bytes, with K, M, G or T behind it for its multiple by
 * powers of 1024. 0; -EINVAL: not such a text; -ERANGE: more than 2^63 - 1.
 */
int number_parse_bytes(const char *s, uint64_t *ret);

/*
 * number_parse_rate: bytes per second, as number_parse_bytes() reads them, from 1M to 1T, or
 * "unlimited", which is UINT64_MAX. 0; -EINVAL; -ERANGE.
 */
int number_parse_rate(const char *s, uint64_t *ret);

#define NUMBER_RATE_WANTED "a number of bytes from 1M to 1T, like 256M, or unlimited"

#endif /* APFD_NUMBER_H */
