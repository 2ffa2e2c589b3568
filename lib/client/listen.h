/* SPDX-License-Identifier: GPL-2.0 */
/* The match rules of a client that watches the events of apfd. */
#ifndef APFCTL_LISTEN_H
#define APFCTL_LISTEN_H

#include <stddef.h>

#include <systemd/sd-bus.h>

/**
 * listen_to_vms() - subscribes to the signals about the host and about VMs
 *
 * Nothing else is subscribed to: the bus stores all that a client subscribed to until the
 * client reads it. Each signal calls @handler once.
 *
 * @paths: D-Bus objects of @n VMs; if @n is 0, all VMs
 * Return: 0 or a negative errno.
 */
int listen_to_vms(sd_bus *bus, char *const *paths, size_t n, sd_bus_message_handler_t handler,
		  void *userdata);

#endif
