// SPDX-License-Identifier: GPL-2.0
/*
 * All replies and signals are handled in the order in which apfd sent them: a list of
 * VMs is never older than the signals before it. Calls are therefore asynchronous
 * while the loop runs.
 *
 * Any program on the bus can send a signal that looks like apfd's; only signals of the
 * owner of apfd's name are accepted.
 */
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "listen.h"
#include "names.h"
#include "objects.h"
#include "props.h"

#define VM_PATH_PREFIX BUS_PATH_VM "/"

static void end(struct watch *watch, int status)
{
	watch->status = status;
	watch->on_end(watch->userdata);
}

static void report(struct watch *watch, struct event *event)
{
	struct timespec now = {};
	int status;

	if (watch->status != STATUS_OK)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	event->now_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	status = watch->on_event(event, watch->userdata);
	if (status != STATUS_OK)
		end(watch, status);
}

static void fail_oom(struct watch *watch)
{
	end(watch, status_fail(STATUS_FAILED, "out of memory"));
}

/* ---- VMs ---- */

static struct watched_vm *vm_find(struct watch *watch, const char *path)
{
	for (size_t i = 0; i < watch->n_vms; i++)
		if (strcmp(watch->vms[i].path, path) == 0)
			return &watch->vms[i];
	return NULL;
}

static void vm_release(struct watched_vm *vm)
{
	free(vm->path);
	free(vm->name);
	free(vm->uuid);
	*vm = (struct watched_vm){};
}

static void vm_drop(struct watch *watch, struct watched_vm *vm)
{
	vm_release(vm);
	*vm = watch->vms[--watch->n_vms];
}

static void report_vm(struct watch *watch, const struct watched_vm *vm, struct event *event)
{
	event->name = vm->name;
	event->uuid = vm->uuid;
	report(watch, event);
}

/* The UUID in an object's path, for a VM whose name is not known; the caller frees it. */
static char *uuid_of_path(const char *path)
{
	char *uuid = strdup(path + strlen(VM_PATH_PREFIX));

	for (char *p = uuid; p && *p; p++)
		if (*p == '_')
			*p = '-';
	return uuid;
}

/* Tables of struct prop: properties that name a VM; those of them that can change. */
#define NAMED(name, field, is_optional)                                                      \
	{                                                                                    \
		name, "s", prop_read_string, offsetof(struct watched_vm, field), is_optional \
	}
static const struct prop vm_names[] = {
	NAMED("UUID", uuid, false),
	NAMED("Name", name, false),
};
static const struct prop vm_changes[] = {
	NAMED("Name", name, true),
};

/* Properties of the host whose change is an event. */
#define HOST_CHANGE(name, field)                                                \
	{                                                                       \
		name, "s", prop_read_string, offsetof(struct host, field), true \
	}
static const struct prop host_changes[] = {
	HOST_CHANGE("HostModule", host_module),
	HOST_CHANGE("HostModuleVersion", host_module_version),
	HOST_CHANGE("Libvirt", libvirt),
};

/* Handles a VM that apfd has: adds it, and reports it if it is new. */
static int vm_update(const char *path, sd_bus_message *m, void *userdata, const char **ret_bad)
{
	struct watch *watch = userdata;
	struct watched_vm *vm = vm_find(watch, path), *vms;
	struct event event = { .kind = EVENT_VM_ADDED };
	const struct prop *bad = NULL;
	bool is_new = !vm;
	int r;

	if (is_new) {
		vms = reallocarray(watch->vms, watch->n_vms + 1, sizeof(*vms));
		if (!vms)
			return -ENOMEM;
		watch->vms = vms;
		vm = &vms[watch->n_vms++];
		*vm = (struct watched_vm){ .path = strdup(path) };
		if (!vm->path) {
			watch->n_vms--;
			return -ENOMEM;
		}
	}
	r = props_read(m, vm_names, ELEMENTSOF(vm_names), vm, &bad);
	if (r < 0) {
		*ret_bad = bad ? bad->name : NULL;
		if (is_new)
			vm_drop(watch, vm);
		return r;
	}
	vm->unconfirmed = false;
	if (is_new && watch->listed)
		report_vm(watch, vm, &event);
	return 0;
}

static void vm_remove(struct watch *watch, struct watched_vm *vm)
{
	struct event event = { .kind = EVENT_VM_REMOVED };

	report_vm(watch, vm, &event);
	vm_drop(watch, vm);
}

/* ---- the host ---- */

/* Moves @value to @field; returns whether the value changed. NULL means: not sent. */
static bool replace(char **field, char **value)
{
	bool changed;

	if (!*value)
		return false;
	changed = *field && strcmp(*field, *value) != 0;
	free(*field);
	*field = TAKE_PTR(*value);
	return changed;
}

/* Handles properties of the host, all or some; returns whether Libvirt changed. */
static bool host_update(struct watch *watch, struct host *host)
{
	bool module = replace(&watch->host_module, &host->host_module);
	bool version = replace(&watch->host_module_version, &host->host_module_version);
	bool libvirt = replace(&watch->libvirt, &host->libvirt);
	struct event event;

	if (module || version) {
		event = (struct event){
			.kind = EVENT_HOST_MODULE,
			.value = watch->host_module ?: "",
			.version = watch->host_module_version ?: "",
		};
		report(watch, &event);
	}
	if (libvirt) {
		event = (struct event){ .kind = EVENT_LIBVIRT, .value = watch->libvirt };
		report(watch, &event);
	}
	return libvirt;
}

/* ---- requests to apfd ---- */

/*
 * Returns true if the call succeeded; otherwise handles the error. It is not an error
 * that apfd ended meanwhile: NameOwnerChanged reports that.
 */
static bool reply_ok(struct watch *watch, sd_bus_message *m)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (watch->status != STATUS_OK)
		return false;
	if (!error)
		return true;
	if (!sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) &&
	    !sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) &&
	    !sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		end(watch, bus_fail_call(watch->client, "", error, -sd_bus_message_get_errno(m)));
	return false;
}

static int on_objects(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct watch *watch = userdata;
	const char *bad = NULL;
	int r;

	if (!reply_ok(watch, m))
		return 0;
	r = objects_read(m, vm_update, watch, &bad);
	if (r < 0) {
		end(watch, bus_fail_message(watch->client, "a VM", bad, r));
		return 0;
	}
	watch->listed = true;

	/* Without libvirt, apfd does not know all VMs: a VM missing in the list may still run. */
	if (!watch->libvirt || strcmp(watch->libvirt, NAME_CONNECTED) != 0)
		return 0;
	for (size_t i = watch->n_vms; i > 0; i--)
		if (watch->vms[i - 1].unconfirmed)
			vm_remove(watch, &watch->vms[i - 1]);
	return 0;
}

static int on_host(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(host_clear) struct host host = {};
	struct watch *watch = userdata;
	const char *bad = NULL;
	int r;

	if (!reply_ok(watch, m))
		return 0;
	r = host_read(m, &host, &bad);
	if (r < 0)
		end(watch, bus_fail_message(watch->client, "the host", bad, r));
	else
		host_update(watch, &host);
	return 0;
}

static int send_request(struct watch *watch, const char *interface, const char *member,
			const char *arg, sd_bus_message_handler_t handler)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(watch->client->bus, &m, BUS_NAME, BUS_PATH_ROOT,
					   interface, member);
	/* Watching must not start an apfd that an administrator stopped. */
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0 && arg)
		r = sd_bus_message_append(m, "s", arg);
	if (r >= 0)
		r = sd_bus_call_async(watch->client->bus, NULL, m, handler, watch, 0);
	if (r >= 0)
		return STATUS_OK;
	return status_fail(STATUS_FAILED, "%s: cannot call apfd: %s", watch->client->task,
			   strerror(-r));
}

static int request_objects(struct watch *watch)
{
	return send_request(watch, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL,
			    on_objects);
}

/* The host first: on_objects() needs the state of libvirt. */
static int request_all(struct watch *watch)
{
	int status;

	status = send_request(watch, "org.freedesktop.DBus.Properties", "GetAll",
			      BUS_INTERFACE_MANAGER, on_host);
	return status == STATUS_OK ? request_objects(watch) : status;
}

/* ---- signals ---- */

static int on_added(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	const char *path;
	int r;

	r = sd_bus_message_read_basic(m, 'o', &path);
	return r < 0 ? r : object_read(path, m, vm_update, watch, ret_bad);
}

static int on_removed(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	struct watched_vm *vm;
	const char *path, *interface;
	int r;

	r = sd_bus_message_read_basic(m, 'o', &path);
	if (r >= 0)
		r = sd_bus_message_enter_container(m, 'a', "s");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read_basic(m, 's', &interface)) > 0) {
		vm = vm_find(watch, path);
		if (vm && strcmp(interface, BUS_INTERFACE_VM) == 0)
			vm_remove(watch, vm);
	}
	return r;
}

static int on_host_changed(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	_cleanup_(host_clear) struct host host = {};
	const struct prop *bad = NULL;
	int r, status;

	r = props_read(m, host_changes, ELEMENTSOF(host_changes), &host, &bad);
	if (r < 0) {
		*ret_bad = bad ? bad->name : NULL;
		return r;
	}
	/* With libvirt connected, VMs that are missing in the list have ended. */
	if (host_update(watch, &host) && strcmp(watch->libvirt, NAME_CONNECTED) == 0) {
		status = request_objects(watch);
		if (status != STATUS_OK)
			end(watch, status);
	}
	return 0;
}

static int on_changed(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	struct watched_vm *vm = vm_find(watch, sd_bus_message_get_path(m));
	const struct prop *bad = NULL;
	const char *interface;
	int r;

	r = sd_bus_message_read_basic(m, 's', &interface);
	if (r < 0)
		return r;
	if (strcmp(interface, BUS_INTERFACE_MANAGER) == 0)
		return on_host_changed(watch, m, ret_bad);
	if (strcmp(interface, BUS_INTERFACE_VM) != 0 || !vm)
		return 0;
	r = props_read(m, vm_changes, ELEMENTSOF(vm_changes), vm, &bad);
	if (r < 0)
		*ret_bad = bad ? bad->name : NULL;
	return r;
}

/* Reports an event of the VM whose object sent @m, even if the VM is not in the list. */
static int report_sender(struct watch *watch, sd_bus_message *m, struct event *event)
{
	const char *path = sd_bus_message_get_path(m);
	const struct watched_vm *vm = vm_find(watch, path);
	_cleanup_free_ char *uuid = NULL;

	if (vm) {
		report_vm(watch, vm, event);
		return 0;
	}
	if (strncmp(path, VM_PATH_PREFIX, strlen(VM_PATH_PREFIX)) != 0)
		return 0;
	uuid = uuid_of_path(path);
	if (!uuid)
		return -ENOMEM;
	event->name = "";
	event->uuid = uuid;
	report(watch, event);
	return 0;
}

static int on_gate(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	struct event event = { .kind = EVENT_GATE_CHANGED };
	int r;

	r = sd_bus_message_read_basic(m, 's', &event.state);
	if (r >= 0)
		r = prop_read_vcpus(m, &event.vcpus);
	if (r >= 0)
		r = sd_bus_message_read(m, "iss", &event.pid, &event.comm, &event.reason);
	return r < 0 ? r : report_sender(watch, m, &event);
}

static int on_gate_changing(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	struct event event = { .kind = EVENT_GATE_CHANGING };
	int r;

	r = sd_bus_message_read_basic(m, 's', &event.state);
	if (r >= 0)
		r = prop_read_vcpus(m, &event.vcpus);
	if (r >= 0)
		r = sd_bus_message_read_basic(m, 's', &event.reason);
	return r < 0 ? r : report_sender(watch, m, &event);
}

static int on_decided(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	struct event event = { .kind = EVENT_DECIDED };
	int r, dry_run;

	r = sd_bus_message_read_basic(m, 's', &event.state);
	if (r >= 0)
		r = prop_read_vcpus(m, &event.vcpus);
	if (r >= 0)
		r = sd_bus_message_read(m, "ss", &event.rule, &event.reason);
	if (r >= 0)
		r = prop_read_figures(m, &event.inputs);
	if (r >= 0)
		r = sd_bus_message_read_basic(m, 'b', &dry_run);
	if (r >= 0) {
		event.dry_run = dry_run;
		r = report_sender(watch, m, &event);
	}
	figures_clear(&event.inputs);
	return r;
}

static int on_guest(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	struct event event = { .kind = EVENT_GUEST };
	int r;

	r = sd_bus_message_read(m, "su", &event.guest_event, &event.vcpu);
	if (r >= 0)
		r = prop_read_guest_report(m, &event.report);
	return r < 0 ? r : report_sender(watch, m, &event);
}

/**
 * struct signal_row - a signal to handle; listen.c has the match rules
 * @read: reads it; negative errno on failure, may set @ret_bad to a property's name
 */
static const struct signal_row {
	const char *interface;
	const char *member;
	const char *signature;
	int (*read)(struct watch *watch, sd_bus_message *m, const char **ret_bad);
} signals[] = {
	{ "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", "oa{sa{sv}}", on_added },
	{ "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", "oas", on_removed },
	{ "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", on_changed },
	{ BUS_INTERFACE_VM, "Decided", "saussa{sd}b", on_decided },
	{ BUS_INTERFACE_VM, "GateChanging", "saus", on_gate_changing },
	{ BUS_INTERFACE_VM, "GateChanged", "sauiss", on_gate },
	{ BUS_INTERFACE_VM, "GuestEvent", "sua{su}", on_guest },
};

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const char *sender = sd_bus_message_get_sender(m), *bad = NULL;
	struct watch *watch = userdata;
	int r;

	if (watch->status != STATUS_OK || !watch->owner || !sender ||
	    strcmp(sender, watch->owner) != 0)
		return 0;
	for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
		if (!sd_bus_message_is_signal(m, signals[i].interface, signals[i].member))
			continue;
		/* If no property is named, report the signal itself as wrong. */
		r = sd_bus_message_has_signature(m, signals[i].signature);
		r = r > 0 ? signals[i].read(watch, m, &bad) : -EBADMSG;
		if (r < 0)
			end(watch,
			    bus_fail_message(watch->client, "events", bad ?: signals[i].member, r));
		break;
	}
	return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct watch *watch = userdata;
	const char *name, *old, *new;
	struct event event = {};
	int status;

	if (watch->status != STATUS_OK || sd_bus_message_read(m, "sss", &name, &old, &new) < 0 ||
	    strcmp(name, BUS_NAME) != 0)
		return 0;
	/* watch_start() has already found this owner. */
	if (new[0] != '\0' && watch->owner && strcmp(new, watch->owner) == 0)
		return 0;

	if (watch->owner) {
		free(watch->owner);
		watch->owner = NULL;
		for (size_t i = 0; i < watch->n_vms; i++)
			watch->vms[i].unconfirmed = true;
		event.kind = EVENT_APFD_STOPPED;
		report(watch, &event);
	}
	if (new[0] == '\0')
		return 0;
	watch->owner = strdup(new);
	if (!watch->owner) {
		fail_oom(watch);
		return 0;
	}
	event.kind = EVENT_APFD_STARTED;
	report(watch, &event);
	status = watch->status == STATUS_OK ? request_all(watch) : STATUS_OK;
	if (status != STATUS_OK)
		end(watch, status);
	return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct watch *watch = userdata;

	end(watch, status_fail(STATUS_MISSING,
			       "%s: the system bus closed the connection; is D-Bus running?",
			       watch->client->task));
	return 0;
}

/* ---- start ---- */

static int listening(const struct watch *watch, int r)
{
	if (r >= 0)
		return STATUS_OK;
	return status_fail(STATUS_FAILED, "%s: cannot receive signals of apfd: %s",
			   watch->client->task, strerror(-r));
}

/* The end and the start of apfd, and the end of the bus. */
static int listen_to_bus(struct watch *watch)
{
	sd_bus *bus = watch->client->bus;
	int r;

	r = sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local",
				"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
				"Disconnected", on_disconnected, watch);
	if (r >= 0)
		r = sd_bus_add_match(bus, NULL,
				     "type='signal',sender='org.freedesktop.DBus',"
				     "path='/org/freedesktop/DBus',"
				     "interface='org.freedesktop.DBus',"
				     "member='NameOwnerChanged',arg0='" BUS_NAME "'",
				     on_owner, watch);
	return listening(watch, r);
}

int watch_start(struct watch *watch)
{
	_cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
	_cleanup_(host_clear) struct host host = {};
	const char *owner = NULL;
	int r, status;

	status = listen_to_bus(watch);
	/* This call lets the bus start apfd, and fails if apfd cannot be started. */
	if (status == STATUS_OK)
		status = bus_read_host(watch->client, &host);
	/* Before request_all(): the list must not be older than the first signal. */
	if (status == STATUS_OK)
		status = listening(watch, listen_to_vms(watch->client->bus, watch->paths,
							watch->n_paths, on_signal, watch));
	if (status != STATUS_OK)
		return status;

	r = sd_bus_get_name_creds(watch->client->bus, BUS_NAME, SD_BUS_CREDS_UNIQUE_NAME, &creds);
	if (r >= 0)
		r = sd_bus_creds_get_unique_name(creds, &owner);
	if (r < 0)
		return status_fail(STATUS_MISSING, "%s: apfd is not running; systemctl start apfd",
				   watch->client->task);
	watch->owner = strdup(owner);
	if (!watch->owner)
		return status_fail(STATUS_FAILED, "out of memory");
	return request_all(watch);
}

void watch_clear(struct watch *watch)
{
	for (size_t i = 0; i < watch->n_vms; i++)
		vm_release(&watch->vms[i]);
	free(watch->vms);
	free(watch->owner);
	free(watch->host_module);
	free(watch->host_module_version);
	free(watch->libvirt);
	*watch = (struct watch){};
}
