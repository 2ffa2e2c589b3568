/* SPDX-License-Identifier: GPL-2.0 */
/* Decimal numbers in files of the kernel. */
#ifndef APFD_NUMBER_H
#define APFD_NUMBER_H

#include <stdint.h>

/*
 * number_parse: reads digits, without sign or blanks, up to one of the characters @ends or the end
 * of the text; moves *s behind the digits. 0; -EBADMSG: no number, or more than 2^64 - 1.
 */
int number_parse(const char **s, const char *ends, uint64_t *ret);

#endif /* APFD_NUMBER_H */
