/* SPDX-License-Identifier: GPL-2.0 */
/* apfd's connection to the bus, with all of its objects, and its bus name. */
#ifndef APFD_CONNECTION_H
#define APFD_CONNECTION_H

#include "util.h"

struct context;
struct doctor;
struct server;
struct server_ops;

/*
 * connection_open: connects to the system bus with all objects, but requests no name. 0 or -errno.
 */
int connection_open(struct context *c, struct doctor *doctor, const struct server_ops *ops,
		    void *userdata, struct server **ret);

/* connection_close: sends what the bus still takes, see backlog_drain(), and frees @s. */
struct server *connection_close(struct server *s);
APF_DEFINE_CLEANUP(struct server *, connection_close);

/*
 * connection_serve: puts the objects on s->bus. For connection_open(), and for tests with a bus of
 * their own.
 */
int connection_serve(struct server *s);

/*
 * connection_request_name: then notifies the service manager; exits the loop if the request fails.
 */
void connection_request_name(struct server *s);

#endif /* APFD_CONNECTION_H */
