/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ListVMs() of org.apfd.Manager1: chosen properties of all VMs in one reply. With thousands of
 * VMs, the reply is made in several turns of the event loop, so that nothing else has to wait.
 */
#ifndef APFD_LIST_H
#define APFD_LIST_H

#include <systemd/sd-bus.h>

struct server;

/* The method; its userdata is the server. */
int list_vms(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* list_done: gives up all requests that are not answered yet. */
void list_done(struct server *s);

#endif /* APFD_LIST_H */
