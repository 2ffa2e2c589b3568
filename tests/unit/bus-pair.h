/* SPDX-License-Identifier: GPL-2.0 */
/* A bus that is a socket pair: the daemon's end, and that of a client. */
#ifndef APF_TESTS_BUS_PAIR_H
#define APF_TESTS_BUS_PAIR_H

#include "unit.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

static inline sd_bus *bus_pair_end(int fd, bool server)
{
	sd_id128_t id = {};
	sd_bus *bus;

	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_fd(bus, fd, fd) >= 0);
	if (server)
		assert_true(sd_bus_set_server(bus, 1, id) >= 0);
	assert_true(sd_bus_set_anonymous(bus, 1) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	return bus;
}

static inline void bus_pair(sd_bus **ret_server, sd_bus **ret_client)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	*ret_server = bus_pair_end(fds[0], true);
	*ret_client = bus_pair_end(fds[1], false);
}

/* Lets both ends work until the client has a message for us; NULL if none comes. */
static inline sd_bus_message *bus_pair_next(sd_bus *server, sd_bus *client)
{
	for (int i = 0; i < 1000; i++) {
		sd_bus_message *m = NULL;

		while (sd_bus_process(server, NULL) > 0)
			;
		assert_true(sd_bus_process(client, &m) >= 0);
		if (m)
			return m;
	}
	return NULL;
}

#endif /* APF_TESTS_BUS_PAIR_H */
