/* SPDX-License-Identifier: GPL-2.0 */
/* org.apfd.Manager1 at /org/apfd. */
#ifndef APFD_MANAGER_BUS_H
#define APFD_MANAGER_BUS_H

struct server;

/* manager_bus_register: puts the object on the bus of @s. 0 or -errno. */
int manager_bus_register(struct server *s);

/*
 * Send PropertiesChanged for the properties of the host module, of libvirt, of the configuration.
 * While the bus does not read, they are sent later, see backlog.h.
 */
void manager_bus_host_module_changed(struct server *s);
void manager_bus_libvirt_changed(struct server *s);
void manager_bus_conf_changed(struct server *s);

/*
 * For &struct backlog_ops: sends at once PropertiesChanged for @groups, a bit for each. 0 or
 * -errno.
 */
int manager_bus_send_groups(struct server *s, unsigned int groups);

#endif /* APFD_MANAGER_BUS_H */
