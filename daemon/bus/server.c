/* SPDX-License-Identifier: GPL-2.0 */
#include "server.h"

#include <errno.h>
#include <systemd/sd-daemon.h>

#include "context.h"
#include "list.h"
#include "log.h"
#include "log-control.h"
#include "manager-bus.h"
#include "polkit.h"
#include "recall-bus.h"
#include "suggest.h"
#include "utf8.h"
#include "virt.h"
#include "vm-bus.h"
#include "vm.h"

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	log_error("The system bus is gone; exiting, systemd starts apfd again");
	return 0;
}

int server_serve(struct server *s)
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
		r = backlog_open(s);
	return r < 0 ? r : sd_bus_add_object_manager(s->bus, NULL, BUS_PATH_ROOT);
}

static int connect_bus(struct server *s)
{
	int r;

	r = sd_bus_open_system_with_description(&s->bus, "apfd");
	if (r < 0)
		return r;
	r = server_serve(s);
	if (r < 0)
		return r;
	/*
	 * Else sd-bus flushes its queue when the loop exits, and waits for a bus that does not
	 * read; gates would not be restored. server_free() has a time limit.
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

int server_new(struct context *c, struct doctor *doctor, const struct server_ops *ops,
	       void *userdata, struct server **ret)
{
	_cleanup_(server_freep) struct server *s = calloc(1, sizeof(*s));
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

struct server *server_free(struct server *s)
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

struct server *server_of(sd_bus_message *message)
{
	sd_bus_slot *slot = sd_bus_get_current_slot(sd_bus_message_get_bus(message));

	return sd_bus_slot_get_userdata(slot);
}

int server_add_node(char **nodes, size_t n, const char *path)
{
	nodes[n] = strdup(path);
	if (nodes[n])
		return 0;
	while (n > 0)
		free(nodes[--n]);
	free(nodes);
	return -ENOMEM;
}

/* Size of the requested name in error texts. */
#define WANTED_SHOWN_BYTES 65

int server_no_such_vm(struct server *s, const char *wanted, sd_bus_error *error)
{
	struct context *c = s->context;
	_cleanup_free_ const char **names = NULL;
	_cleanup_free_ char *near = NULL;
	char shown[WANTED_SHOWN_BYTES];
	const char *hint = "";
	struct vm *vm;
	size_t n = 0;

	names = calloc(c->vms.n + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	REGISTRY_FOREACH(vm, &c->vms)
	names[n++] = vm->name;
	if (suggest_near(wanted, names, n, &near) < 0)
		return -ENOMEM;
	if (virt_state(c->virt) != VIRT_CONNECTED)
		hint = ", and libvirt is not connected";

	utf8_excerpt(wanted, shown, sizeof(shown));
	return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_VM, "No running VM \"%s\"%s%s%s%s", shown,
				 hint, near ? "; did you mean " : "", near ? near : "",
				 near ? "?" : "");
}

static int on_name_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	enum { PRIMARY_OWNER = 1, ALREADY_OWNER = 4 };
	struct server *s = userdata;
	uint32_t code;
	int r;

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

void server_request_name(struct server *s)
{
	int r;

	r = sd_bus_request_name_async(s->bus, NULL, BUS_NAME, 0, on_name_reply, s);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot request the bus name %s", BUS_NAME);
		(void)sd_event_exit(s->context->event, EXIT_FAILURE);
	}
}
