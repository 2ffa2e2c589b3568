/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Results of checks: read from the reply of Diagnose(), or, for the host without apfd,
 * made by this program.
 */
#ifndef APFCTL_CHECK_H
#define APFCTL_CHECK_H

#include <stddef.h>

#include <systemd/sd-bus.h>

#include "apf/cleanup.h"

/**
 * struct check - result of one check; fields as in org.apfd(5)
 * @name: name of the check
 * @state: "ok", "warn", "fail" or "unknown"
 * @fact: what the check found
 * @remedy: what the user can do, "" for nothing; may have several lines
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

/*
 * check_list_examine_host: checks this host without apfd; @why: why apfd cannot check it.
 * Returns 0 or -ENOMEM.
 */
int check_list_examine_host(struct check_list *list, const char *why);

/*
 * check_list_add_local: if apfd on this host reports that the module is not loaded, finds out
 * the reason, which apfd cannot see from its sandbox, and replaces fact and remedy. Returns 0 or
 * -ENOMEM.
 */
int check_list_add_local(struct check_list *list);

/* check_list_count: number of checks in @state. */
size_t check_list_count(const struct check_list *list, const char *state);

/* check_list_worst: the worst state: "fail", "warn", "unknown" or "ok". */
const char *check_list_worst(const struct check_list *list);

#endif
