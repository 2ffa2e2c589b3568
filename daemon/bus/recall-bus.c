/* SPDX-License-Identifier: GPL-2.0 */
#include "recall-bus.h"

#include <errno.h>
#include <stddef.h>

#include "context.h"
#include "log.h"
#include "names.h"
#include "polkit.h"
#include "recall-calm.h"
#include "server.h"
#include "vm.h"

/**
 * struct request - a requested recall, or its cancellation, stored until polkit has decided
 * @uuid: of the VM
 * @path: of the recall to cancel
 */
struct request {
	struct server *server;
	char uuid[UUID_LEN + 1];
	char path[sizeof(((struct recall_job *)NULL)->path)];
	uint64_t rate_bytes;
};

/* ---- start ---- */

static int start_failed(const struct vm *vm, int r, const char *text, sd_bus_error *error)
{
	switch (r) {
	case -EBUSY:
		return sd_bus_error_setf(error, BUS_ERROR_BUSY,
					 "A recall of VM %s is under way already", vm->name);
	case -EAGAIN:
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "%d recalls are under way already", RECALLS_MAX);
	case -ESRCH:
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "The process of VM %s is not known", vm->name);
	case -ENOSPC:
		return sd_bus_error_setf(error, BUS_ERROR_NO_ROOM,
					 "There is no room for the memory of VM %s: %s", vm->name,
					 text);
	default:
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "The recall of VM %s cannot be started: %s", vm->name,
					 strerror(-r));
	}
}

static int start_allowed(sd_bus_message *message, uid_t uid, void *userdata, sd_bus_error *error)
{
	const struct request *q = userdata;
	char text[RECALL_TEXT_MAX] = "";
	struct recall_job *job;
	struct vm *vm;
	int r;

	/* While polkit decided, the VM may have ended or may have been replaced. */
	vm = registry_find_by_uuid(&q->server->context->vms, q->uuid);
	if (!vm)
		return server_no_such_vm(q->server, q->uuid, error);
	r = recalls_start(vm, RECALL_ORIGIN_REQUEST, q->rate_bytes, &job, text);
	if (r < 0)
		return start_failed(vm, r, text, error);
	log_fields(LOG_INFO, 0,
		   ((const struct log_field[]){
			   { "APF_VM", vm->name }, { "APF_UUID", vm->uuid }, {} }),
		   "VM %s: user %u requested that its memory is brought back from swap", vm->name,
		   (unsigned int)uid);
	return sd_bus_reply_method_return(message, "o", job->path);
}

static int read_options(sd_bus_message *m, struct request *q, sd_bus_error *error)
{
	const char *name;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &name);
		if (r < 0)
			return r;
		if (!streq(name, "RatePerSec"))
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
						 "There is no such option; there is RatePerSec");
		r = sd_bus_message_read(m, "v", "t", &q->rate_bytes);
		if (r < 0)
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
						 "RatePerSec is of type t");
		r = sd_bus_message_exit_container(m);
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Asks polkit; takes over @q. */
static int check(sd_bus_message *message, struct request *q, const char *vm_name, bool cancel,
		 polkit_allowed_fn allowed, sd_bus_error *error)
{
	const struct polkit_detail details[] = {
		{ "polkit.message",
		  cancel ? "Authentication is required to cancel the recall of memory of VM $(vm)"
			 : "Authentication is required to bring the memory of VM $(vm) back from "
			   "swap" },
		{ "vm", vm_name[0] ? vm_name : q->uuid },
		{ "uuid", q->uuid },
		{},
	};

	return polkit_check(q->server->polkit, message, POLKIT_ACTION_RECALL, details, allowed, q,
			    free, error);
}

int recall_bus_start(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_free_ struct request *q = calloc(1, sizeof(*q));
	const struct vm *vm = userdata;
	int r;

	if (!q)
		return -ENOMEM;
	q->server = server_of(message);
	memcpy(q->uuid, vm->uuid, sizeof(q->uuid));
	r = read_options(message, q, error);
	if (r < 0)
		return r;
	return check(message, TAKE_PTR(q), vm->name, false, start_allowed, error);
}

/* ---- the object ---- */

static int cancel_allowed(sd_bus_message *message, uid_t uid, void *userdata, sd_bus_error *error)
{
	const struct request *q = userdata;
	struct recall_job *job = recalls_find(&q->server->context->recalls, q->path);
	struct vm *vm;

	/* A recall that has ended meanwhile needs no cancellation. */
	if (job) {
		log_info("User %u cancelled the recall of VM %s", (unsigned int)uid, job->vm_name);
		recalls_cancel(job, "cancelled");
		vm = registry_find_by_uuid(&q->server->context->vms, job->uuid);
		if (vm)
			recall_calm_cancelled(vm, clock_usec(CLOCK_MONOTONIC));
	}
	return sd_bus_reply_method_return(message, NULL);
}

static int method_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct request *q = calloc(1, sizeof(*q));
	const struct recall_job *job = userdata;

	if (!q)
		return -ENOMEM;
	q->server = server_of(message);
	memcpy(q->uuid, job->uuid, sizeof(q->uuid));
	memcpy(q->path, job->path, sizeof(q->path));
	return check(message, q, job->vm_name, true, cancel_allowed, error);
}

static int property_get_vm(sd_bus *bus, const char *path, const char *interface,
			   const char *property, sd_bus_message *reply, void *userdata,
			   sd_bus_error *error)
{
	const struct recall_job *job = userdata;

	return sd_bus_message_append(reply, "o", job->vm_path);
}

static int property_get_origin(sd_bus *bus, const char *path, const char *interface,
			       const char *property, sd_bus_message *reply, void *userdata,
			       sd_bus_error *error)
{
	const struct recall_job *job = userdata;

	return sd_bus_message_append(reply, "s", recall_origin_to_string(job->origin));
}

static int property_get_state(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *reply, void *userdata,
			      sd_bus_error *error)
{
	const struct recall_job *job = userdata;

	return sd_bus_message_append(reply, "s", recall_result_to_string(job->progress.result));
}

/* A factor of 1 may leave the rate unlimited. */
static int property_get_limit(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *reply, void *userdata,
			      sd_bus_error *error)
{
	const struct recall_job *job = userdata;

	return sd_bus_message_append(reply, "t", recall_rate(job->rate_bytes, job->brake.factor));
}

static int property_get_slowed(sd_bus *bus, const char *path, const char *interface,
			       const char *property, sd_bus_message *reply, void *userdata,
			       sd_bus_error *error)
{
	const struct recall_job *job = userdata;

	return sd_bus_message_append(reply, "b", (int)job->slowed);
}

/* clang-format off */
#define JOB(field) offsetof(struct recall_job, field)
#define PROPERTY(name, type, get, offset)                                                          \
	SD_BUS_PROPERTY(name, type, get, offset, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
static const sd_bus_vtable recall_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Cancel",
		SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
		method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("Finished",
		SD_BUS_ARGS("s", result, "t", total_bytes, "t", done_bytes, "s", text), 0),
	SD_BUS_PROPERTY("VM", "o", property_get_vm, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	PROPERTY("Origin",	   "s", property_get_origin, 0),
	PROPERTY("State",	   "s", property_get_state, 0),
	PROPERTY("TotalBytes",	   "t", NULL, JOB(progress.total_bytes)),
	PROPERTY("DoneBytes",	   "t", NULL, JOB(progress.done_bytes)),
	PROPERTY("BytesPerSec",	   "t", NULL, JOB(bytes_per_sec)),
	PROPERTY("LimitPerSec",	   "t", property_get_limit, 0),
	PROPERTY("Slowed",	   "b", property_get_slowed, 0),
	SD_BUS_VTABLE_END
};
#undef PROPERTY
#undef JOB
/* clang-format on */

void recall_bus_started(struct server *s, struct recall_job *job)
{
	int r;

	if (!backlog_has_room_for_event(s))
		return;
	r = job->announced ? sd_bus_emit_properties_changed(s->bus, job->path, BUS_INTERFACE_RECALL,
							    "Origin", "LimitPerSec", NULL)
			   : sd_bus_emit_object_added(s->bus, job->path);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce a recall, ignoring");
	job->announced = true;
}

void recall_bus_progressed(struct server *s, struct recall_job *job)
{
	int r;

	if (!backlog_has_room_for_event(s))
		return;
	r = sd_bus_emit_properties_changed(s->bus, job->path, BUS_INTERFACE_RECALL, "TotalBytes",
					   "DoneBytes", "BytesPerSec", "LimitPerSec", "Slowed",
					   NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce the progress of a recall, ignoring");
}

void recall_bus_ended(struct server *s, struct recall_job *job)
{
	int r;

	if (!backlog_has_room_for_event(s))
		return;
	r = sd_bus_emit_signal(s->bus, job->path, BUS_INTERFACE_RECALL, "Finished", "stts",
			       recall_result_to_string(job->progress.result),
			       job->progress.total_bytes, job->progress.done_bytes,
			       job->progress.text);
	if (r >= 0)
		r = sd_bus_emit_object_removed(s->bus, job->path);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce the end of a recall, ignoring");
}

/* ---- automatic recalls ---- */

static int append_auto(sd_bus_message *reply, enum auto_recall state, const char *reason)
{
	return sd_bus_message_append(reply, "a{sv}", 2, "State", "s", auto_recall_to_string(state),
				     "Reason", "s", reason);
}

int recall_bus_get_vm_auto(sd_bus *bus, const char *path, const char *interface,
			   const char *property, sd_bus_message *reply, void *userdata,
			   sd_bus_error *error)
{
	char text[RECALL_TEXT_MAX];
	enum auto_recall state;

	state = recall_calm_of_vm(userdata, clock_usec(CLOCK_MONOTONIC), text);
	return append_auto(reply, state, text);
}

int recall_bus_get_host_auto(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error)
{
	const struct server *s = userdata;
	char text[RECALL_TEXT_MAX];
	enum auto_recall state;

	state = recall_calm_of_host(s->context, clock_usec(CLOCK_MONOTONIC), text);
	return append_auto(reply, state, text);
}

/* ---- objects ---- */

static int find_object(sd_bus *bus, const char *path, const char *interface, void *userdata,
		       void **ret_found, sd_bus_error *error)
{
	struct server *s = userdata;

	*ret_found = recalls_find(&s->context->recalls, path);
	return *ret_found != NULL;
}

static int enumerate_objects(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
			     sd_bus_error *error)
{
	const struct recalls *recalls = &((struct server *)userdata)->context->recalls;
	const struct recall_job *job;
	char **nodes;
	size_t n = 0;

	/* sd-bus frees the list and its strings. */
	nodes = calloc(recalls->n + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	TAILQ_FOREACH(job, &recalls->jobs, list)
		if (server_add_node(nodes, n++, job->path) < 0)
			return -ENOMEM;
	*ret_nodes = nodes;
	return 0;
}

int recall_bus_register(struct server *s)
{
	int r;

	r = sd_bus_add_fallback_vtable(s->bus, NULL, BUS_PATH_RECALL, BUS_INTERFACE_RECALL,
				       recall_vtable, find_object, s);
	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(s->bus, NULL, BUS_PATH_RECALL, enumerate_objects, s);
}
