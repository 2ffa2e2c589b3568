/* SPDX-License-Identifier: GPL-2.0 */
/* The method Diagnose() of both interfaces. */
#ifndef APFD_DIAGNOSE_H
#define APFD_DIAGNOSE_H

#include <systemd/sd-bus.h>

struct server;
struct vm;

int diagnose_host(struct server *s, sd_bus_message *message);
int diagnose_vm(struct server *s, const struct vm *vm, sd_bus_message *message,
		sd_bus_error *error);

#endif /* APFD_DIAGNOSE_H */
