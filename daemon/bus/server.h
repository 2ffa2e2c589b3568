/* SPDX-License-Identifier: GPL-2.0 */
/* What the methods of all objects on the bus need. See connection.h. */
#ifndef APFD_SERVER_H
#define APFD_SERVER_H

#include <sys/queue.h>
#include <systemd/sd-bus.h>

#include "backlog.h"
#include "names.h"

struct context;
struct doctor;
struct list_request;
struct polkit;
struct vm;

/**
 * struct server_ops - callbacks to the owner of the server
 * @reload: reads the configuration again. 0; -EINVAL: the configuration has errors, they are in
 *	context->conf_error; -ENOMEM
 * @dump: logs the state of the daemon and of all VMs
 */
struct server_ops {
	int (*reload)(void *userdata);
	void (*dump)(void *userdata);
};

/**
 * struct server
 * @context: context of the daemon
 * @doctor: belongs to the owner of the server
 * @backlog: announcements that wait until the bus reads
 * @lists: the @n_lists calls of ListVMs() that are being answered
 * @has_name: the server owns BUS_NAME, and the service manager was notified
 */
struct server {
	sd_bus *bus;
	struct context *context;
	struct doctor *doctor;
	struct polkit *polkit;
	struct backlog backlog;
	LIST_HEAD(, list_request) lists;
	unsigned int n_lists;
	bool has_name;
	const struct server_ops *ops;
	void *userdata;
};

/* server_of: the server of the object that currently handles the method call @message. */
struct server *server_of(sd_bus_message *message);

/* server_no_such_vm: sets BUS_ERROR_NO_SUCH_VM and suggests similar names; returns -errno. */
int server_no_such_vm(struct server *s, const char *wanted, sd_bus_error *error);

/*
 * server_check_watched: 0, or -errno with BUS_ERROR_NO_HOST_MODULE or BUS_ERROR_NOT_WATCHED in
 * @error.
 */
int server_check_watched(const struct vm *vm, sd_bus_error *error);

/*
 * server_add_node: for a function that lists objects: copies @path to element @n of @nodes. On
 * failure frees @nodes with its strings, and returns -ENOMEM.
 */
int server_add_node(char **nodes, size_t n, const char *path);

#endif /* APFD_SERVER_H */
