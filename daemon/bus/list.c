/* SPDX-License-Identifier: GPL-2.0 */
#include "list.h"

#include <errno.h>
#include <systemd/sd-event.h>

#include "context.h"
#include "log.h"
#include "server.h"
#include "utf8.h"
#include "vm-bus.h"
#include "vm.h"

/* VMs for each turn of the loop; a VM with all properties takes tens of microseconds. */
#define SLICE 128

/* Requests at the same time: each may hold megabytes. */
#define REQUESTS_MAX 8

/* After all other work of the turn. */
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

/* Size of the unknown name in the error text. */
#define NAME_SHOWN_BYTES 65

/**
 * struct list_request - a call that is being answered
 * @message: the call
 * @reply: has @next VMs
 * @wanted: properties, see vm_bus_append()
 * @uuids: the VMs at the time of the call; those that end meanwhile are left out
 */
struct list_request {
	LIST_ENTRY(list_request) requests;
	struct server *server;
	sd_bus_message *message;
	sd_bus_message *reply;
	sd_event_source *source;
	uint64_t wanted;
	size_t n, next;
	char (*uuids)[UUID_LEN + 1];
};

static void request_free(struct list_request *q)
{
	LIST_REMOVE(q, requests);
	q->server->n_lists--;
	sd_event_source_disable_unref(q->source);
	sd_bus_message_unref(q->reply);
	sd_bus_message_unref(q->message);
	free(q->uuids);
	free(q);
}

static int append_vm(sd_bus_message *m, struct vm *vm, uint64_t wanted)
{
	int r;

	r = sd_bus_message_open_container(m, 'e', "oa{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "o", vm->path);
	if (r >= 0)
		r = vm_bus_append(m, vm, wanted);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Appends the next VMs; returns 1 when the reply was sent, 0 if VMs remain. */
static int continue_request(struct list_request *q)
{
	size_t end = MIN_OF(q->n, q->next + SLICE);
	int r = 0;

	for (; r >= 0 && q->next < end; q->next++) {
		struct vm *vm = registry_find_by_uuid(&q->server->context->vms,
						      q->uuids[q->next]);

		if (vm)
			r = append_vm(q->reply, vm, q->wanted);
	}
	if (r < 0 || q->next < q->n)
		return r;
	r = sd_bus_message_close_container(q->reply);
	if (r >= 0)
		r = sd_bus_send(NULL, q->reply, NULL);
	return r < 0 ? r : 1;
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct list_request *q = userdata;
	int r;

	r = continue_request(q);
	if (r == 0)
		return 0;
	if (r < 0)
		r = sd_bus_reply_method_errno(q->message, r, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer ListVMs, ignoring");
	request_free(q);
	return 0;
}

static int start_turns(struct list_request *q)
{
	int r;

	r = sd_event_add_defer(q->server->context->event, &q->source, on_turn, q);
	if (r >= 0)
		r = sd_event_source_set_priority(q->source, PRIORITY);
	return r < 0 ? r : sd_event_source_set_enabled(q->source, SD_EVENT_ON);
}

/* Reads the names of properties; no name means all. */
static int read_wanted(sd_bus_message *message, uint64_t *ret, sd_bus_error *error)
{
	uint64_t wanted = 0;
	const char *name;
	int r;

	r = sd_bus_message_enter_container(message, 'a', "s");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read_basic(message, 's', &name)) > 0) {
		uint64_t property = vm_bus_property(name);
		char shown[NAME_SHOWN_BYTES];

		utf8_excerpt(name, shown, sizeof(shown));
		if (!property)
			return sd_bus_error_setf(error, SD_BUS_ERROR_UNKNOWN_PROPERTY,
						 BUS_INTERFACE_VM " has no property \"%s\"", shown);
		wanted |= property;
	}
	*ret = wanted ? wanted : UINT64_MAX;
	return r;
}

static int request_new(struct server *s, sd_bus_message *message, uint64_t wanted)
{
	struct list_request *q = calloc(1, sizeof(*q));
	struct vm *vm;
	int r;

	if (!q)
		return -ENOMEM;
	q->server = s;
	q->wanted = wanted;
	q->message = sd_bus_message_ref(message);
	LIST_INSERT_HEAD(&s->lists, q, requests);
	s->n_lists++;
	q->uuids = calloc(s->context->vms.n + 1, sizeof(*q->uuids));
	r = q->uuids ? sd_bus_message_new_method_return(message, &q->reply) : -ENOMEM;
	if (r >= 0) {
		REGISTRY_FOREACH(vm, &s->context->vms)
		memcpy(q->uuids[q->n++], vm->uuid, sizeof(vm->uuid));
		r = sd_bus_message_open_container(q->reply, 'a', "{oa{sv}}");
	}
	if (r >= 0)
		r = continue_request(q);
	/* VMs remain. */
	if (r == 0) {
		r = start_turns(q);
		if (r >= 0)
			return 0;
	}
	request_free(q);
	return r;
}

int list_vms(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct server *s = userdata;
	uint64_t wanted = 0;
	int r;

	r = read_wanted(message, &wanted, error);
	if (r < 0)
		return r;
	if (s->n_lists >= REQUESTS_MAX)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "%d calls of ListVMs are being answered; try again",
					 REQUESTS_MAX);
	r = request_new(s, message, wanted);
	/* The reply was sent, or will be. */
	return r < 0 ? r : 1;
}

void list_done(struct server *s)
{
	while (!LIST_EMPTY(&s->lists))
		request_free(LIST_FIRST(&s->lists));
}
