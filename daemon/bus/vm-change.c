/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-change.h"

#include <errno.h>

#include "context.h"
#include "gate.h"
#include "log.h"
#include "names.h"
#include "polkit.h"
#include "server.h"
#include "utf8.h"
#include "virt.h"
#include "vm-vcpus.h"
#include "vm.h"

/* More time than libvirt usually needs, and much less than the time-out of a method call. */
#define STORE_WAIT_USEC (3 * USEC_PER_SEC)

/**
 * struct change - a requested change, stored until polkit has decided
 * @mode: &enum policy_mode, or SETTINGS_UNSET
 * @needs_gates: refuse the change if gates cannot be changed now
 * @persistent: answer only after the change is stored
 */
struct change {
	struct server *server;
	char uuid[UUID_LEN + 1];
	int mode;
	bool needs_gates;
	bool persistent;
	size_t n_indices;
	uint32_t indices[];
};

static int change_failed(struct vm *vm, int r, const char *text, sd_bus_error *error)
{
	switch (r) {
	case -ENXIO:
		return sd_bus_error_set(error, BUS_ERROR_NO_HOST_MODULE,
					"The host module apf_host is not loaded");
	case -ENOENT:
		return server_check_watched(vm, error);
	case -ERANGE:
		return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_VCPU,
					 "VM %s has no such vCPU%s%s", vm->name,
					 text[0] ? ": " : "", text);
	case -ETIMEDOUT:
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "The host module did not answer in time; it may still "
					 "change the gate of VM %s",
					 vm->name);
	case -ETIME:
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "The host module answers late, and was not asked to change "
					 "the gate of VM %s: try again",
					 vm->name);
	default:
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "The host module refused: %s%s%s%s",
					 text[0] ? text : strerror(-r), text[0] ? " (" : "",
					 text[0] ? strerror(-r) : "", text[0] ? ")" : "");
	}
}

/* Changes gates before the mode is stored: if the module refuses, the mode must not change. */
static int change_gates(struct vm *vm, const struct change *c, uid_t uid, sd_bus_error *error)
{
	char text[GENL_TEXT_MAX], reason[APF_REASON_MAX + 1];
	struct gate_change gates = { .indices = c->indices,
				     .n_indices = c->n_indices,
				     .reason = reason };
	enum apf_state state;
	int r;

	if (c->needs_gates) {
		r = server_check_watched(vm, error);
		if (r < 0)
			return r;
	}
	if (!vm->module_id)
		return 0;
	for (size_t i = 0; i < c->n_indices; i++)
		if (c->indices[i] >= vm->n_vcpus && !vm_state_of_mode(c->mode, &state))
			return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_VCPU,
						 "VM %s has no vCPU %u", vm->name, c->indices[i]);
	if (!vm_state_of_mode(c->mode, &state))
		return 0;
	gates.state = state;
	snprintf(reason, sizeof(reason), "requested by user %u over D-Bus", (unsigned int)uid);
	r = gate_set(vm, &gates, text);
	if (r < 0)
		return change_failed(vm, r, text, error);

	governor_gate_changed(vm, state, c->indices, c->n_indices);
	/* The caller's next call must show the change; the module's notification arrives later. */
	r = vm_read_vcpus(vm);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot read the vCPUs of VM %s, ignoring", vm->name);
	return 0;
}

/**
 * struct pending_store - a mode that libvirt or apfd is storing
 * @request: the call to answer when the mode is stored; NULL after the answer
 * @timer: time limit for the answer; NULL if the change must be persistent
 */
struct pending_store {
	sd_bus_message *request;
	sd_event_source *timer;
};

static struct pending_store *pending_store_free(struct pending_store *w)
{
	if (!w)
		return NULL;
	sd_event_source_disable_unref(w->timer);
	sd_bus_message_unref(w->request);
	free(w);
	return NULL;
}
APF_DEFINE_CLEANUP(struct pending_store *, pending_store_free);

static void answer(struct pending_store *w)
{
	int r;

	if (!w->request)
		return;
	r = sd_bus_reply_method_return(w->request, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer, ignoring");
	w->request = sd_bus_message_unref(w->request);
}

static int on_store_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	answer(userdata);
	return 0;
}

/*
 * Answers the caller when libvirt has stored the mode. If the mode need not be persistent,
 * the answer is sent after a time limit at the latest.
 */
static int store(struct vm *vm, sd_bus_message *request, bool persistent)
{
	_cleanup_(pending_store_freep) struct pending_store *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->request = sd_bus_message_ref(request);
	if (!persistent) {
		r = sd_event_add_time_relative(vm->context->event, &w->timer, CLOCK_MONOTONIC,
					       STORE_WAIT_USEC, 0, on_store_timeout, w);
		if (r < 0)
			return r;
	}
	r = vm_store_settings(vm, persistent, w);
	/* vm_change_stored() frees @w. */
	if (r >= 0)
		TAKE_PTR(w);
	return r;
}

void vm_change_stored(void *cookie, int error, const char *what, const char *text)
{
	_cleanup_(pending_store_freep) struct pending_store *w = cookie;
	int r;

	/* A change with a time limit need not be persistent, so it has succeeded in any case. */
	if (error >= 0 || w->timer) {
		answer(w);
		return;
	}
	r = sd_bus_reply_method_errorf(w->request, BUS_ERROR_FAILED,
				       "The mode is set now, but %s: %s", what, text);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer, ignoring");
}

static int cannot_store(const struct vm *vm, const char *why, sd_bus_error *error)
{
	return sd_bus_error_setf(error, BUS_ERROR_FAILED, "The mode of VM %s cannot be stored: %s",
				 vm->name, why);
}

static int change_allowed(sd_bus_message *request, uid_t uid, void *userdata, sd_bus_error *error)
{
	struct change *c = userdata;
	const char *why;
	struct vm *vm;
	int r;

	/* While polkit decided, the VM may have ended or may have been replaced. */
	vm = registry_find_by_uuid(&c->server->context->vms, c->uuid);
	if (!vm)
		return server_no_such_vm(c->server, c->uuid, error);
	if (c->persistent && !vm_can_store(vm, &why))
		return cannot_store(vm, why, error);
	/* The new settings include the stored modes of other vCPUs, so these must be known. */
	if (c->n_indices > 0 && !vm->settings.known)
		return sd_bus_error_setf(error, BUS_ERROR_FAILED,
					 "The settings of VM %s have not been read yet, try again",
					 vm->name);
	r = change_gates(vm, c, uid, error);
	if (r < 0)
		return r;
	r = vm_set_mode(vm, c->mode, c->indices, c->n_indices);
	if (r < 0)
		return r;
	/* The policy does not change gates with a requested mode, but it decides in mode auto. */
	governor_apply(vm);
	log_fields(LOG_INFO, 0,
		   ((const struct log_field[]){ { "APF_VM", vm->name },
						{ "APF_UUID", vm->uuid },
						{ "APF_MODE", settings_mode_to_string(c->mode) },
						{} }),
		   "VM %s: mode of %s set to %s by user %u%s", vm->name,
		   c->n_indices ? "some vCPUs" : "the VM", settings_mode_to_string(c->mode),
		   (unsigned int)uid, c->persistent ? ", for later starts, too" : "");

	/* Without libvirt, only persistent modes are stored. */
	if (vm->foreign && !c->persistent)
		return sd_bus_reply_method_return(request, NULL);
	r = store(vm, request, c->persistent);
	if (r >= 0)
		return 1;
	if (c->persistent)
		return cannot_store(vm, r == -EBUSY ? "libvirt is busy with this VM" : strerror(-r),
				    error);
	/* The mode is set; vm_settings_sync() stores it when libvirt is connected again. */
	log_errno(LOG_DEBUG, r, "Cannot store the mode of VM %s in libvirt yet", vm->name);
	return sd_bus_reply_method_return(request, NULL);
}

static int bad_mode(const char *name, const char *mode, const char *list, sd_bus_error *error)
{
	char shown[33];

	utf8_excerpt(mode, shown, sizeof(shown));
	return sd_bus_error_setf(error, name, "Unknown %s \"%s\": it must be %s",
				 streq(name, BUS_ERROR_INVALID_STATE) ? "state" : "mode", shown,
				 list);
}

/* Asks polkit for permission; a user who has to type a password must see what for. */
static int check(struct server *server, sd_bus_message *message, const struct vm *vm,
		 struct change *c, sd_bus_error *error)
{
	/* The names of VM and mode are not part of the text, so that "$(" in a name is harmless. */
	static const char *const texts[2][2] = {
		{ "Authentication is required to set VM $(vm) to $(mode) (asynchronous page faults)",
		  "Authentication is required to set VM $(vm) to $(mode) (asynchronous page faults), "
		  "also for its later starts" },
		{ "Authentication is required to set vCPUs of VM $(vm) to $(mode) (asynchronous "
		  "page faults)",
		  "Authentication is required to set vCPUs of VM $(vm) to $(mode) (asynchronous "
		  "page faults), also for its later starts" },
	};
	const struct polkit_detail details[] = {
		{ "polkit.message", texts[c->n_indices > 0][c->persistent] },
		{ "vm", vm->name[0] ? vm->name : vm->uuid },
		{ "uuid", vm->uuid },
		{ "mode", settings_mode_to_string(c->mode) },
		{ "persistent", c->persistent ? "yes" : "no" },
		{},
	};

	return polkit_check(server->polkit, message, POLKIT_ACTION_MANAGE, details, change_allowed,
			    c, free, error);
}

/* Reads the list of vCPUs and starts the check by polkit. */
static int change(sd_bus_message *message, struct vm *vm, const struct change *template,
		  sd_bus_error *error)
{
	struct server *server = server_of(message);
	const uint32_t *indices;
	int persistent = 0, r;
	struct change *c;
	size_t size;

	r = sd_bus_message_read_array(message, 'u', (const void **)&indices, &size);
	if (r < 0)
		return r;
	if (!template->needs_gates) {
		r = sd_bus_message_read(message, "b", &persistent);
		if (r < 0)
			return r;
	}
	if (size / sizeof(*indices) > GENL_VCPUS_MAX)
		return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_VCPU,
					 "No VM has more than %d vCPUs", GENL_VCPUS_MAX);
	for (size_t i = 0; i < size / sizeof(*indices); i++)
		if (indices[i] >= GENL_VCPUS_MAX)
			return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_VCPU,
						 "No VM has a vCPU %u", indices[i]);

	c = malloc(sizeof(*c) + size);
	if (!c)
		return -ENOMEM;
	*c = *template;
	c->server = server;
	memcpy(c->uuid, vm->uuid, sizeof(c->uuid));
	c->persistent = persistent;
	c->n_indices = size / sizeof(*indices);
	if (size > 0)
		memcpy(c->indices, indices, size);
	return check(server, message, vm, c, error);
}

int vm_change_enable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct change c = { .mode = POLICY_MODE_ON, .needs_gates = true };

	return change(message, userdata, &c, error);
}

int vm_change_disable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct change c = { .mode = POLICY_MODE_OFF, .needs_gates = true };

	return change(message, userdata, &c, error);
}

int vm_change_set_state(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct change c = { .needs_gates = true };
	enum apf_state state;
	const char *s;
	int r;

	r = sd_bus_message_read(message, "s", &s);
	if (r < 0)
		return r;
	if (vm_state_from_string(s, &state) < 0)
		return bad_mode(BUS_ERROR_INVALID_STATE, s, "off, pv or on", error);
	c.mode = (int)policy_mode_of_state(state);
	return change(message, userdata, &c, error);
}

int vm_change_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct change c = { .mode = SETTINGS_UNSET };
	const char *s;
	int r;

	r = sd_bus_message_read(message, "s", &s);
	if (r < 0)
		return r;
	if (!streq(s, NAME_DEFAULT) && settings_mode_from_string(s, &c.mode) < 0)
		return bad_mode(BUS_ERROR_INVALID_MODE, s, "auto, on, pv, off or default", error);
	return change(message, userdata, &c, error);
}
