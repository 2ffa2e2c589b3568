/* SPDX-License-Identifier: GPL-2.0 */
/* org.apfd.Manager1 at /org/apfd, and the daemon's place on the bus. */
#ifndef APFD_MANAGER_BUS_H
#define APFD_MANAGER_BUS_H

#include <systemd/sd-bus.h>

struct manager;

#define APFD_BUS_NAME "org.apfd"

#define APFD_ERROR_NO_SUCH_VM	  "org.apfd.Error.NoSuchVM"
#define APFD_ERROR_NO_SUCH_VCPU	  "org.apfd.Error.NoSuchVCPU"
#define APFD_ERROR_INVALID_STATE  "org.apfd.Error.InvalidState"
#define APFD_ERROR_NO_HOST_MODULE "org.apfd.Error.NoHostModule"
#define APFD_ERROR_NOT_WATCHED	  "org.apfd.Error.NotWatched"
#define APFD_ERROR_INVALID_MODE	  "org.apfd.Error.InvalidMode"
#define APFD_ERROR_INVALID_CONFIG "org.apfd.Error.InvalidConfig"
#define APFD_ERROR_FAILED	  "org.apfd.Error.Failed"

/* Who may change VMs may have the configuration read, too. */
#define APFD_ACTION_MANAGE "org.apfd.manage"

/* manager_bus_connect: the system bus, with all objects, but not yet the name. */
int manager_bus_connect(struct manager *m);

/* manager_bus_request_name: tells the service manager when we have it; ends the loop if not. */
void manager_bus_request_name(struct manager *m);

void manager_bus_host_module_changed(struct manager *m);
void manager_bus_libvirt_changed(struct manager *m);
void manager_bus_conf_changed(struct manager *m);
void manager_bus_swap_changed(struct manager *m);

/* manager_bus_no_such_vm: sets APFD_ERROR_NO_SUCH_VM with near matches; returns -errno. */
int manager_bus_no_such_vm(struct manager *m, const char *wanted, sd_bus_error *error);

#endif /* APFD_MANAGER_BUS_H */
