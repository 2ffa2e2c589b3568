/* SPDX-License-Identifier: GPL-2.0 */
/* The method Recall() of org.apfd.VM1, and org.apfd.Recall1 at /org/apfd/recall/NUMBER. */
#ifndef APFD_RECALL_BUS_H
#define APFD_RECALL_BUS_H

#include <systemd/sd-bus.h>

struct recall_job;
struct server;

/* recall_bus_register: puts the objects of all recalls on the bus of @s. 0 or -errno. */
int recall_bus_register(struct server *s);

/* Handler for Recall(); @userdata is the &struct vm. */
int recall_bus_start(sd_bus_message *message, void *userdata, sd_bus_error *error);

/*
 * recall_bus_started: sends InterfacesAdded; or PropertiesChanged, if a person has taken over an
 * automatic recall.
 */
void recall_bus_started(struct server *s, struct recall_job *job);

/* Getters of AutoRecall, of VM1 and Manager1; @userdata is the VM or the server. */
int recall_bus_get_vm_auto(sd_bus *bus, const char *path, const char *interface,
			   const char *property, sd_bus_message *reply, void *userdata,
			   sd_bus_error *error);
int recall_bus_get_host_auto(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error);

/* recall_bus_progressed: sends PropertiesChanged for the figures of @job. */
void recall_bus_progressed(struct server *s, struct recall_job *job);

/* recall_bus_ended: sends Finished and InterfacesRemoved; @job is still registered. */
void recall_bus_ended(struct server *s, struct recall_job *job);

#endif /* APFD_RECALL_BUS_H */
