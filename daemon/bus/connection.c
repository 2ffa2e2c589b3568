/* SPDX-License-Identifier: GPL-2.0 */
#include "connection.h"

#include <errno.h>
#include <systemd/sd-daemon.h>

#include "context.h"
#include "list.h"
#include "log-control.h"
#include "log.h"
#include "manager-bus.h"
#include "polkit.h"
#include "recall-bus.h"
#include "server.h"
#include "vm-bus.h"

static const struct backlog_ops backlog_ops = {
	.send_added = vm_bus_send_added,
	.send_removed = vm_bus_send_removed,
	.send_groups = manager_bus_send_groups,
};

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	log_error("The system bus is gone; exiting, systemd starts apfd again");
	return 0;
}

int connection_serve(struct server *s)
{
	int r;

	r = manager_bus_register(s);
	if (r >= 0)
		r = vm_bus_register(s);
	if (r >= 0)
		r = recall_bus_register(s);
	if (r >= 0)
		r = log_control_register(s);
	if (r >= 0)
		r = backlog_open(s, &backlog_ops);
	return r < 0 ? r : sd_bus_add_object_manager(s->bus, NULL, BUS_PATH_ROOT);
}

static int connect_bus(struct server *s)
{
	int r;

	r = sd_bus_open_system_with_description(&s->bus, "apfd");
	if (r < 0)
		return r;
	r = connection_serve(s);
	if (r < 0)
		return r;
	/*
	 * Else sd-bus flushes its queue when the loop exits, and waits for a bus that does not
	 * read; gates would not be restored. connection_close() has a time limit.
	 */
	r = sd_bus_set_close_on_exit(s->bus, false);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(s->bus, s->context->event, SD_EVENT_PRIORITY_NORMAL);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(s->bus, NULL, "org.freedesktop.DBus.Local", NULL,
				"org.freedesktop.DBus.Local", "Disconnected", on_disconnected, s);
	if (r < 0)
		return r;
	/*
	 * Without the bus nobody can reach apfd, so it exits and the service manager starts it
	 * again. Nothing is lost: gates are in the module, and modes in libvirt's metadata.
	 */
	return sd_bus_set_exit_on_disconnect(s->bus, true);
}

int connection_open(struct context *c, struct doctor *doctor, const struct server_ops *ops,
		    void *userdata, struct server **ret)
{
	_cleanup_(connection_closep) struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->context = c;
	s->doctor = doctor;
	s->ops = ops;
	s->userdata = userdata;
	r = connect_bus(s);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot connect to the system bus");
	r = polkit_new(s->bus, &s->polkit);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

struct server *connection_close(struct server *s)
{
	if (!s)
		return NULL;
	polkit_free(s->polkit);
	list_done(s);
	backlog_drain(s);
	backlog_done(&s->backlog);
	sd_bus_close_unref(s->bus);
	free(s);
	return NULL;
}

static int on_name_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	enum { PRIMARY_OWNER = 1, ALREADY_OWNER = 4 };
	struct server *s = userdata;
	uint32_t code;
	int r;

	/* A host that swaps may need longer for an answer than sd-bus waits. */
	if (sd_bus_message_get_errno(reply) == ETIMEDOUT) {
		log_warning("The bus has not given us the name %s yet, trying again", BUS_NAME);
		connection_request_name(s);
		return 0;
	}
	if (sd_bus_message_is_method_error(reply, NULL)) {
		log_error("The bus does not give us the name %s: %s", BUS_NAME,
			  sd_bus_message_get_error(reply)->message);
		return sd_event_exit(s->context->event, EXIT_FAILURE);
	}
	r = sd_bus_message_read(reply, "u", &code);
	if (r < 0 || (code != PRIMARY_OWNER && code != ALREADY_OWNER)) {
		log_error("The bus name %s is in use: is another apfd running?", BUS_NAME);
		return sd_event_exit(s->context->event, EXIT_FAILURE);
	}
	log_debug("On the bus as %s", BUS_NAME);
	s->has_name = true;
	(void)sd_notify(0, "READY=1");
	return 0;
}

void connection_request_name(struct server *s)
{
	int r;

	r = sd_bus_request_name_async(s->bus, NULL, BUS_NAME, 0, on_name_reply, s);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot request the bus name %s", BUS_NAME);
		(void)sd_event_exit(s->context->event, EXIT_FAILURE);
	}
}
