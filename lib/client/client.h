/* SPDX-License-Identifier: GPL-2.0 */
/* Settings and connection of a program that calls apfd. */
#ifndef APF_CLIENT_H
#define APF_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "status.h"

/**
 * struct client
 * @task: one word for what the program does; error messages begin with it
 * @host: host of apfd, as for ssh; NULL for this host
 * @ask_password: polkit may ask the user for a password
 * @bus: the system bus, NULL before bus_open()
 * @agent_pid: process of the started pkttyagent, 0 if none
 */
struct client {
	const char *task;
	const char *host;
	bool ask_password;
	sd_bus *bus;
	pid_t agent_pid;
};

#endif /* APF_CLIENT_H */
