/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_ARGS_H
#define APFCTL_ARGS_H

#include "apfctl.h"

/**
 * args_parse() - reads the command line
 *
 * Answers --help and --version itself.
 *
 * @ctl: verb, arguments and options are filled in
 * @ret_done: true if nothing is left to do
 * Return: an exit status.
 */
int args_parse(int argc, char **argv, struct apfctl *ctl, bool *ret_done);

/* "1", "0.25": seconds; 0, -EINVAL or -ERANGE (not 0.1 to 3600). */
int parse_interval(const char *text, uint64_t *ret_usec);

/* "3": 1 to 1,000,000,000; 0, -EINVAL or -ERANGE. */
int parse_count(const char *text, uint64_t *ret_count);

#endif
