// SPDX-License-Identifier: GPL-2.0
/*
 * All answers and signals are read in the order in which apfd sent them: a list
 * of VMs is never older than the signals before it. Calls are therefore
 * asynchronous once the loop runs.
 *
 * Anybody on the bus can send us a signal that looks like apfd's; only those of
 * the owner of its name count.
 */
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "objects.h"
#include "props.h"
#include "verb.h"

#define VM_PATH_PREFIX MANAGER_PATH "/vm/"

static void end(struct watch *watch, int status)
{
	watch->status = status;
	watch->ended(watch->userdata);
}

static void tell(struct watch *watch, struct event *event)
{
	struct timespec now = {};
	int status;

	if (watch->status != APFCTL_OK)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	event->now_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	status = watch->told(event, watch->userdata);
	if (status != APFCTL_OK)
		end(watch, status);
}

static void fail_oom(struct watch *watch)
{
	end(watch, apfctl_fail(APFCTL_FAILED, "out of memory"));
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

static bool is_wanted(const struct watch *watch, const char *path)
{
	for (size_t i = 0; i < watch->n_paths; i++)
		if (strcmp(watch->paths[i], path) == 0)
			return true;
	return watch->n_paths == 0;
}

static void tell_vm(struct watch *watch, const struct watched_vm *vm, struct event *event)
{
	if (!is_wanted(watch, vm->path))
		return;
	event->name = vm->name;
	event->uuid = vm->uuid;
	tell(watch, event);
}

/* The UUID in an object's path, where nothing else names the VM; to be freed. */
static char *uuid_of_path(const char *path)
{
	char *uuid = strdup(path + strlen(VM_PATH_PREFIX));

	for (char *p = uuid; p && *p; p++)
		if (*p == '_')
			*p = '-';
	return uuid;
}

/* For tables of struct prop: what names a VM, and of what says more changes. */
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

/* What is told of the host when it changes. */
#define HOST_CHANGE(name, field)                                                \
	{                                                                       \
		name, "s", prop_read_string, offsetof(struct host, field), true \
	}
static const struct prop host_changes[] = {
	HOST_CHANGE("HostModule", host_module),
	HOST_CHANGE("HostModuleVersion", host_module_version),
	HOST_CHANGE("Libvirt", libvirt),
};

/* A VM apfd shows: kept, and told of if it is new. */
static int vm_shown(const char *path, sd_bus_message *m, void *userdata, const char **ret_bad)
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
	vm->unsure = false;
	if (is_new && watch->primed)
		tell_vm(watch, vm, &event);
	return 0;
}

static void vm_gone(struct watch *watch, struct watched_vm *vm)
{
	struct event event = { .kind = EVENT_VM_REMOVED };

	tell_vm(watch, vm, &event);
	vm_drop(watch, vm);
}

/* ---- the host ---- */

/* Takes over @value; returns whether that is news. */
static bool replace(char **field, char **value)
{
	bool news;

	if (!*value)
		return false;
	news = *field && strcmp(*field, *value) != 0;
	free(*field);
	*field = TAKE_PTR(*value);
	return news;
}

/* What apfd says of the host, all or a part of it; returns whether libvirt is news. */
static bool host_told(struct watch *watch, struct host *host)
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
		tell(watch, &event);
	}
	if (libvirt) {
		event = (struct event){ .kind = EVENT_LIBVIRT, .value = watch->libvirt };
		tell(watch, &event);
	}
	return libvirt;
}

/* ---- questions to apfd ---- */

/*
 * Whether an answer can be used; if not, it is dealt with. An apfd that ended
 * meanwhile is no failure: NameOwnerChanged tells of it.
 */
static bool is_answer(struct watch *watch, sd_bus_message *m)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	if (watch->status != APFCTL_OK)
		return false;
	if (!error)
		return true;
	if (!sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) &&
	    !sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) &&
	    !sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		end(watch, bus_fail_call(watch->ctl, "", error, -sd_bus_message_get_errno(m)));
	return false;
}

static int on_objects(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct watch *watch = userdata;
	const char *bad = NULL;
	int r;

	if (!is_answer(watch, m))
		return 0;
	r = objects_read(m, vm_shown, watch, &bad);
	if (r < 0) {
		end(watch, bus_fail_message(watch->ctl, "a VM", bad, r));
		return 0;
	}
	watch->primed = true;

	/* Without libvirt apfd knows few VMs: that it does not show one says nothing. */
	if (!watch->libvirt || strcmp(watch->libvirt, "connected") != 0)
		return 0;
	for (size_t i = watch->n_vms; i > 0; i--)
		if (watch->vms[i - 1].unsure)
			vm_gone(watch, &watch->vms[i - 1]);
	return 0;
}

static int on_host(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(host_clear) struct host host = {};
	struct watch *watch = userdata;
	const char *bad = NULL;
	int r;

	if (!is_answer(watch, m))
		return 0;
	r = host_read(m, &host, &bad);
	if (r < 0)
		end(watch, bus_fail_message(watch->ctl, "the host", bad, r));
	else
		host_told(watch, &host);
	return 0;
}

static int ask(struct watch *watch, const char *interface, const char *member, const char *arg,
	       sd_bus_message_handler_t handler)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(watch->ctl->bus, &m, BUS_NAME, MANAGER_PATH, interface,
					   member);
	/* Who stopped apfd does not want it started by those who watch. */
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0 && arg)
		r = sd_bus_message_append(m, "s", arg);
	if (r >= 0)
		r = sd_bus_call_async(watch->ctl->bus, NULL, m, handler, watch, 0);
	if (r >= 0)
		return APFCTL_OK;
	return apfctl_fail(APFCTL_FAILED, "%s: cannot ask apfd: %s", watch->ctl->verb->name,
			   strerror(-r));
}

static int ask_objects(struct watch *watch)
{
	return ask(watch, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL,
		   on_objects);
}

/* The host first: what it says of libvirt tells how to take the list of VMs. */
static int ask_all(struct watch *watch)
{
	int status;

	status =
		ask(watch, "org.freedesktop.DBus.Properties", "GetAll", MANAGER_INTERFACE, on_host);
	return status == APFCTL_OK ? ask_objects(watch) : status;
}

/* ---- signals ---- */

static int on_added(struct watch *watch, sd_bus_message *m, const char **ret_bad)
{
	const char *path;
	int r;

	r = sd_bus_message_read_basic(m, 'o', &path);
	return r < 0 ? r : object_read(path, m, vm_shown, watch, ret_bad);
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
		if (vm && strcmp(interface, VM_INTERFACE) == 0)
			vm_gone(watch, vm);
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
	/* Now that it is connected, VMs that are not shown are gone. */
	if (host_told(watch, &host) && strcmp(watch->libvirt, "connected") == 0) {
		status = ask_objects(watch);
		if (status != APFCTL_OK)
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
	if (strcmp(interface, MANAGER_INTERFACE) == 0)
		return on_host_changed(watch, m, ret_bad);
	if (strcmp(interface, VM_INTERFACE) != 0 || !vm)
		return 0;
	r = props_read(m, vm_changes, ELEMENTSOF(vm_changes), vm, &bad);
	if (r < 0)
		*ret_bad = bad ? bad->name : NULL;
	return r;
}

/* Of the VM whose object sent @m, also if it is not known (any more). */
static int tell_sender(struct watch *watch, sd_bus_message *m, struct event *event)
{
	const char *path = sd_bus_message_get_path(m);
	const struct watched_vm *vm = vm_find(watch, path);
	_cleanup_free_ char *uuid = NULL;

	if (vm) {
		tell_vm(watch, vm, event);
		return 0;
	}
	if (strncmp(path, VM_PATH_PREFIX, strlen(VM_PATH_PREFIX)) != 0 || !is_wanted(watch, path))
		return 0;
	uuid = uuid_of_path(path);
	if (!uuid)
		return -ENOMEM;
	event->name = "";
	event->uuid = uuid;
	tell(watch, event);
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
	return r < 0 ? r : tell_sender(watch, m, &event);
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
	return r < 0 ? r : tell_sender(watch, m, &event);
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
		r = tell_sender(watch, m, &event);
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
	return r < 0 ? r : tell_sender(watch, m, &event);
}

/**
 * struct signal_row - a signal listened to
 * @read: 0 or more, or a negative errno; may name a property that is at fault
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
	{ VM_INTERFACE, "Decided", "saussa{sd}b", on_decided },
	{ VM_INTERFACE, "GateChanging", "saus", on_gate_changing },
	{ VM_INTERFACE, "GateChanged", "sauiss", on_gate },
	{ VM_INTERFACE, "GuestEvent", "sua{su}", on_guest },
};

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const char *sender = sd_bus_message_get_sender(m), *bad = NULL;
	struct watch *watch = userdata;
	int r;

	if (watch->status != APFCTL_OK || !watch->owner || !sender ||
	    strcmp(sender, watch->owner) != 0)
		return 0;
	for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
		if (!sd_bus_message_is_signal(m, signals[i].interface, signals[i].member))
			continue;
		/* Its own name stands for all of a signal that is not as it should be. */
		r = sd_bus_message_has_signature(m, signals[i].signature);
		r = r > 0 ? signals[i].read(watch, m, &bad) : -EBADMSG;
		if (r < 0)
			end(watch, bus_fail_message(watch->ctl, "what happens",
						    bad ?: signals[i].member, r));
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

	if (watch->status != APFCTL_OK || sd_bus_message_read(m, "sss", &name, &old, &new) < 0 ||
	    strcmp(name, BUS_NAME) != 0)
		return 0;
	/* From before the start. */
	if (new[0] != '\0' && watch->owner && strcmp(new, watch->owner) == 0)
		return 0;

	if (watch->owner) {
		free(watch->owner);
		watch->owner = NULL;
		for (size_t i = 0; i < watch->n_vms; i++)
			watch->vms[i].unsure = true;
		event.kind = EVENT_APFD_STOPPED;
		tell(watch, &event);
	}
	if (new[0] == '\0')
		return 0;
	watch->owner = strdup(new);
	if (!watch->owner) {
		fail_oom(watch);
		return 0;
	}
	event.kind = EVENT_APFD_STARTED;
	tell(watch, &event);
	status = watch->status == APFCTL_OK ? ask_all(watch) : APFCTL_OK;
	if (status != APFCTL_OK)
		end(watch, status);
	return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct watch *watch = userdata;

	end(watch, apfctl_fail(APFCTL_MISSING,
			       "%s: the system bus closed the connection; is D-Bus running?",
			       watch->ctl->verb->name));
	return 0;
}

/* ---- start ---- */

static int listen_all(struct watch *watch)
{
	sd_bus *bus = watch->ctl->bus;
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
	if (r >= 0)
		r = sd_bus_add_match(bus, NULL,
				     "type='signal',sender='" BUS_NAME
				     "',path_namespace='" MANAGER_PATH "'",
				     on_signal, watch);
	if (r >= 0)
		return APFCTL_OK;
	return apfctl_fail(APFCTL_FAILED, "%s: cannot listen to apfd: %s", watch->ctl->verb->name,
			   strerror(-r));
}

static int find_wanted(struct watch *watch)
{
	const struct apfctl *ctl = watch->ctl;

	if (ctl->n_args == 0)
		return APFCTL_OK;
	watch->paths = calloc(ctl->n_args, sizeof(*watch->paths));
	if (!watch->paths)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	for (; watch->n_paths < ctl->n_args; watch->n_paths++) {
		int status = bus_find_vm(watch->ctl, ctl->args[watch->n_paths],
					 &watch->paths[watch->n_paths]);

		if (status != APFCTL_OK)
			return status;
	}
	return APFCTL_OK;
}

int watch_start(struct watch *watch)
{
	_cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
	_cleanup_(host_clear) struct host host = {};
	const char *owner = NULL;
	int r, status;

	status = listen_all(watch);
	/* Starts apfd where the bus can, and says so where it is not to be had. */
	if (status == APFCTL_OK)
		status = bus_read_host(watch->ctl, &host);
	if (status == APFCTL_OK)
		status = find_wanted(watch);
	if (status != APFCTL_OK)
		return status;

	r = sd_bus_get_name_creds(watch->ctl->bus, BUS_NAME, SD_BUS_CREDS_UNIQUE_NAME, &creds);
	if (r >= 0)
		r = sd_bus_creds_get_unique_name(creds, &owner);
	if (r < 0)
		return apfctl_fail(APFCTL_MISSING, "%s: apfd is not running; systemctl start apfd",
				   watch->ctl->verb->name);
	watch->owner = strdup(owner);
	if (!watch->owner)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	return ask_all(watch);
}

void watch_clear(struct watch *watch)
{
	for (size_t i = 0; i < watch->n_vms; i++)
		vm_release(&watch->vms[i]);
	free(watch->vms);
	for (size_t i = 0; i < watch->n_paths; i++)
		free(watch->paths[i]);
	free(watch->paths);
	free(watch->owner);
	free(watch->host_module);
	free(watch->host_module_version);
	free(watch->libvirt);
	*watch = (struct watch){};
}
