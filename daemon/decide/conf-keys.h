/* SPDX-License-Identifier: GPL-2.0 */
/* The keys of the sections [Daemon] and [Recall], and the defaults of all sections. */
#ifndef APFD_CONF_KEYS_H
#define APFD_CONF_KEYS_H

#include <stddef.h>

struct conf;

/**
 * struct conf_key - one row of a table; the last has no name
 * @offset, @size: of the field in struct conf
 * @parse: returns 0; -EINVAL; -ERANGE; -ENOMEM
 * @wanted: description of valid values, for error texts
 */
struct conf_key {
	const char *name;
	size_t offset, size;
	int (*parse)(const char *value, void *field);
	const char *wanted;
};

extern const struct conf_key conf_daemon_keys[];
extern const struct conf_key conf_recall_keys[];

void conf_set_defaults(struct conf *c);

#endif /* APFD_CONF_KEYS_H */
