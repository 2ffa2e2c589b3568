/* SPDX-License-Identifier: GPL-2.0 */
/* The methods of org.apfd.Manager1 for stored settings: ListStored() and ForgetStored(). */
#ifndef APFD_STORED_BUS_H
#define APFD_STORED_BUS_H

#include <systemd/sd-bus.h>

/* Method handlers; @userdata is the server. */
int stored_bus_list(sd_bus_message *message, void *userdata, sd_bus_error *error);
int stored_bus_forget(sd_bus_message *message, void *userdata, sd_bus_error *error);

#endif /* APFD_STORED_BUS_H */
