/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Diagnose() answers: findings of checks, read from a D-Bus message, or made
 * by ourselves of the host where there is no apfd to ask.
 */
#ifndef APFCTL_CHECK_H
#define APFCTL_CHECK_H

#include <stddef.h>

#include <systemd/sd-bus.h>

#include "apf/cleanup.h"

/**
 * struct check - one finding; fields as in org.apfd(5)
 * @name: of the check
 * @state: "ok", "warn", "fail" or "unknown"
 * @fact: what is the case
 * @remedy: what to do, "" if nothing; may have several lines
 */
struct check {
	char *name;
	char *state;
	char *fact;
	char *remedy;
};

struct check_list {
	struct check *checks;
	size_t n;
};

void check_list_clear(struct check_list *list);

/* check_list_read: an aa{sv}. 0 or negative errno; after -EBADMSG @ret_bad as in vm.h. */
int check_list_read(sd_bus_message *m, struct check_list *list, const char **ret_bad);

/* check_list_look: looks at this host without apfd, which @why says is not there. 0 or -ENOMEM. */
int check_list_look(struct check_list *list, const char *why);

/* check_list_count: how many are in @state. */
size_t check_list_count(const struct check_list *list, const char *state);

/* check_list_worst: "fail", "warn", "unknown" or "ok". */
const char *check_list_worst(const struct check_list *list);

#endif
