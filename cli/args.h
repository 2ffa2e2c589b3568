/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APFCTL_ARGS_H
#define APFCTL_ARGS_H

#include "apfctl.h"

/**
 * args_parse() - reads the command line
 *
 * Handles --help and --version itself.
 *
 * @ctl: receives verb, arguments and options
 * @ret_done: true after --help or --version: there is no verb to run
 * Return: an exit status.
 */
int args_parse(int argc, char **argv, struct apfctl *ctl, bool *ret_done);

/* Reads seconds, "1" or "0.25". Returns 0, -EINVAL or -ERANGE (not 0.1 to 3600). */
int parse_interval(const char *text, uint64_t *ret_usec);

/* Reads a number from 1 to 1,000,000,000. Returns 0, -EINVAL or -ERANGE. */
int parse_count(const char *text, uint64_t *ret_count);

/*
 * Reads words separated by commas and adds the bit of each to @mask: bit 0 for @names[0]. Returns
 * 0, -EINVAL with the wrong word in @ret_bad, which the caller frees, or -ENOMEM.
 */
int parse_words(const char *text, const char *const *names, size_t n_names, uint64_t *mask,
		char **ret_bad);

#endif
