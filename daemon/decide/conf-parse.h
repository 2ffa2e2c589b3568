/* SPDX-License-Identifier: GPL-2.0 */
/* Parsers for values in the configuration. Pure functions. */
#ifndef APFD_CONF_PARSE_H
#define APFD_CONF_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* conf_parse_bool: yes, no, true, false, on, off, 1, 0. 0 or -EINVAL. */
int conf_parse_bool(const char *s, bool *ret);

/*
 * conf_parse_span: a time span as in systemd: the sum of numbers with units, for
 * example "1min 30s" or "500ms"; a single number without a unit means seconds. 0;
 * -EINVAL; -ERANGE above @max_usec.
 */
int conf_parse_span(const char *s, uint64_t max_usec, uint64_t *ret_usec);

/* conf_parse_uint: decimal digits. 0; -EINVAL; -ERANGE above @max. */
int conf_parse_uint(const char *s, uint64_t max, uint64_t *ret);

/* conf_parse_level: a name of syslog(3), from "emerg" to "debug". 0 or -EINVAL. */
int conf_parse_level(const char *s, int *ret);

/* conf_level_to_string: the name that conf_parse_level() reads. */
const char *conf_level_to_string(int level);

#endif /* APFD_CONF_PARSE_H */
