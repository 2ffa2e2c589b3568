/* SPDX-License-Identifier: GPL-2.0 */
/* Checks with polkit whether the caller of a method has permission; does not block the loop. */
#ifndef APFD_POLKIT_H
#define APFD_POLKIT_H

#include <systemd/sd-bus.h>

#include "util.h"

struct polkit;

int polkit_new(sd_bus *bus, struct polkit **ret);

/* polkit_free: drops all pending checks; their callers get no answer. */
struct polkit *polkit_free(struct polkit *p);
APF_DEFINE_CLEANUP(struct polkit *, polkit_free);

/**
 * polkit_allowed_fn - carries out a permitted request
 * @request: the method call; the function must reply to it
 * @uid: user id of the caller
 *
 * Time has passed since the call: the object of the call may have changed or ended.
 * Returns >= 0 if it has replied, or -errno with @error set, which becomes the reply.
 */
typedef int (*polkit_allowed_fn)(sd_bus_message *request, uid_t uid, void *userdata,
				 sd_bus_error *error);

/**
 * struct polkit_detail - what polkit shows to the user, and what its rules can use
 * @name: "polkit.message" is shown instead of the message of the action, with $(NAME) replaced by
 *	the value of the detail NAME; other names are for rules, as action.lookup("NAME")
 * @value: UTF-8; used only during polkit_check()
 */
struct polkit_detail {
	const char *name;
	const char *value;
};

/*
 * polkit_check: checks whether the caller of @request may do @action with @details, which end
 * with a NULL name. If so, calls
 * @allowed; if not, replies with an error. The superuser always has permission, also
 * without polkit; without polkit nobody else has. References @request until polkit
 * answers; cancels the check if the caller leaves the bus. Always calls @destroy for
 * @userdata, also on failure. Returns 1, or -errno with @error set, as a method
 * handler does.
 */
int polkit_check(struct polkit *p, sd_bus_message *request, const char *action,
		 const struct polkit_detail *details, polkit_allowed_fn allowed, void *userdata,
		 void (*destroy)(void *userdata), sd_bus_error *error);

#endif /* APFD_POLKIT_H */
