/* SPDX-License-Identifier: GPL-2.0 */
/* May the caller of a method do that? polkit decides, without blocking the loop. */
#ifndef APFD_POLKIT_H
#define APFD_POLKIT_H

#include <systemd/sd-bus.h>

#include "util.h"

struct polkit;

int polkit_new(sd_bus *bus, struct polkit **ret);

/* polkit_free: drops all questions; their callers get no answer. */
struct polkit *polkit_free(struct polkit *p);
APF_DEFINE_CLEANUP(struct polkit *, polkit_free);

/**
 * polkit_allowed_fn - carries out what was allowed
 * @request: the method call, to be replied to
 * @uid: of its caller
 *
 * Time has passed since the call: look again at what it is about. Returns >= 0
 * if it has replied, or -errno with @error set, which becomes the reply.
 */
typedef int (*polkit_allowed_fn)(sd_bus_message *request, uid_t uid, void *userdata,
				 sd_bus_error *error);

/*
 * polkit_check: asks whether the caller of @request may do @action, and calls
 * @allowed if so; the reply is an error if not. The superuser always may, also
 * where polkit is not installed; without polkit nobody else may. @request is
 * kept until then; if its caller leaves the bus, the question is withdrawn.
 * @userdata is released with @destroy in any case, also on failure.
 * Returns 1, or -errno with @error set, as a method handler does.
 */
int polkit_check(struct polkit *p, sd_bus_message *request, const char *action,
		 polkit_allowed_fn allowed, void *userdata, void (*destroy)(void *userdata),
		 sd_bus_error *error);

#endif /* APFD_POLKIT_H */
