/* SPDX-License-Identifier: GPL-2.0 */
#include "manager-bus.h"

#include <errno.h>
#include <systemd/sd-daemon.h>

#include "log.h"
#include "manager.h"
#include "vm-bus.h"

/* As much of what somebody asked for is repeated in an error text. */
#define WANTED_SHOWN_BYTES 65

int manager_bus_no_such_vm(struct manager *m, const char *wanted, sd_bus_error *error)
{
	_cleanup_free_ const char **names = NULL;
	_cleanup_free_ char *near = NULL;
	char shown[WANTED_SHOWN_BYTES];
	const char *hint = "";
	struct vm *vm;
	size_t n = 0;

	names = calloc(m->n_vms + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	TAILQ_FOREACH(vm, &m->vms, list)
		names[n++] = vm->name;
	if (name_near(wanted, names, n, &near) < 0)
		return -ENOMEM;
	if (virt_state(m->virt) != VIRT_CONNECTED)
		hint = ", and libvirt is not connected";

	name_excerpt(wanted, shown, sizeof(shown));
	return sd_bus_error_setf(error, APFD_ERROR_NO_SUCH_VM, "No running VM \"%s\"%s%s%s%s",
				 shown, hint, near ? "; did you mean " : "", near ? near : "",
				 near ? "?" : "");
}

static int method_get_vm(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	const char *wanted;
	struct vm *vm;
	int r;

	r = sd_bus_message_read(message, "s", &wanted);
	if (r < 0)
		return r;
	vm = manager_find(m, wanted);
	if (!vm)
		return manager_bus_no_such_vm(m, wanted, error);
	return sd_bus_reply_method_return(message, "o", vm->path);
}

static int reload_allowed(sd_bus_message *request, uid_t uid, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;
	int r;

	log_info("Reload was asked for by user %u over D-Bus", (unsigned int)uid);
	r = manager_reload(m);
	if (r == -EINVAL)
		return sd_bus_error_set(error, APFD_ERROR_INVALID_CONFIG, m->conf_error);
	if (r < 0)
		return r;
	return sd_bus_reply_method_return(request, NULL);
}

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;

	return polkit_check(m->polkit, message, APFD_ACTION_MANAGE, reload_allowed, m, NULL, error);
}

static int property_get_config_files(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct manager *m = userdata;

	return sd_bus_message_append_strv(reply, m->conf->files);
}

static int method_diagnose(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct manager *m = userdata;

	return doctor_answer_host(m->doctor, message);
}

static int property_get_version(sd_bus *bus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", APF_VERSION);
}

static int property_get_host_module(sd_bus *bus, const char *path, const char *interface,
				    const char *property, sd_bus_message *reply, void *userdata,
				    sd_bus_error *error)
{
	const struct manager *m = userdata;

	return sd_bus_message_append(reply, "s", apfd_genl_info(m->genl) ? "present" : "absent");
}

static int property_get_host_module_version(sd_bus *bus, const char *path, const char *interface,
					    const char *property, sd_bus_message *reply,
					    void *userdata, sd_bus_error *error)
{
	const struct manager *m = userdata;
	const struct genl_info *info = apfd_genl_info(m->genl);

	return sd_bus_message_append(reply, "s", info ? info->version : "");
}

static int property_get_nowait_swapin(sd_bus *bus, const char *path, const char *interface,
				      const char *property, sd_bus_message *reply, void *userdata,
				      sd_bus_error *error)
{
	static const char *const table[] = {
		[APF_NOWAIT_NOT_NEEDED] = "not-needed",
		[APF_NOWAIT_OFF] = "off",
		[APF_NOWAIT_ACTIVE] = "active",
		[APF_NOWAIT_UNAVAILABLE] = "unavailable",
	};
	const struct manager *m = userdata;
	const struct genl_info *info = apfd_genl_info(m->genl);

	return sd_bus_message_append(reply, "s", info ? table[info->nowait] : "unknown");
}

static int property_get_nested_guard(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct manager *m = userdata;
	const struct genl_info *info = apfd_genl_info(m->genl);

	return sd_bus_message_append(reply, "b", info ? (int)info->nested_guard : 0);
}

static int property_get_libvirt(sd_bus *bus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	const struct manager *m = userdata;

	return sd_bus_message_append(reply, "s", virt_state_to_string(virt_state(m->virt)));
}

static int property_get_dry_run(sd_bus *bus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	const struct manager *m = userdata;

	return sd_bus_message_append(reply, "b", (int)m->dry_run);
}

static int property_get_swap(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error)
{
	const struct manager *m = userdata;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < m->swap.n; i++) {
		const struct swapdev *d = &m->swap.dev[i];

		r = sd_bus_message_append(reply, "a{sv}", 7, "Path", "s", d->path, "Kind", "s",
					  swapdev_kind_to_string(d->kind), "Size", "t",
					  d->size_bytes, "Used", "t", d->used_bytes, "Reads", "t",
					  d->reads, "ReadLatencyUSec", "t", d->read_latency_usec,
					  "Synchronous", "b", (int)d->synchronous);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* clang-format off */
static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("GetVM",
		SD_BUS_ARGS("s", vm), SD_BUS_RESULT("o", path),
		method_get_vm, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reload",
		SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
		method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Diagnose",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", findings),
		method_diagnose, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Version", "s", property_get_version, 0,
		SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("HostModule", "s", property_get_host_module, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("HostModuleVersion", "s", property_get_host_module_version, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("NoWaitSwapin", "s", property_get_nowait_swapin, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("NestedGuard", "b", property_get_nested_guard, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Libvirt", "s", property_get_libvirt, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("LibvirtURI", "s", NULL, offsetof(struct manager, uri),
		SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("ConfigFiles", "as", property_get_config_files, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("ConfigError", "s", NULL, offsetof(struct manager, conf_error),
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("DryRun", "b", property_get_dry_run, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Swap", "aa{sv}", property_get_swap, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_VTABLE_END
};
/* clang-format on */

/* @names is a list that ends with NULL; @what is for people. */
static void announce(struct manager *m, const char *const *names, const char *what)
{
	int r;

	r = sd_bus_emit_properties_changed_strv(m->bus, NAME_PATH_ROOT, "org.apfd.Manager1",
						(char **)names);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce %s, ignoring", what);
}

#define ANNOUNCE(m, what, ...) announce(m, (const char *const[]){ __VA_ARGS__, NULL }, what)

void manager_bus_host_module_changed(struct manager *m)
{
	ANNOUNCE(m, "the host module", "HostModule", "HostModuleVersion", "NoWaitSwapin",
		 "NestedGuard");
}

void manager_bus_libvirt_changed(struct manager *m)
{
	ANNOUNCE(m, "libvirt's state", "Libvirt");
}

void manager_bus_conf_changed(struct manager *m)
{
	ANNOUNCE(m, "the configuration", "ConfigFiles", "ConfigError", "DryRun");
}

void manager_bus_swap_changed(struct manager *m)
{
	ANNOUNCE(m, "the swap devices", "Swap");
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	log_error("The system bus is gone; ending, to be started again when it is back");
	return 0;
}

int manager_bus_connect(struct manager *m)
{
	int r;

	r = sd_bus_open_system_with_description(&m->bus, "apfd");
	if (r < 0)
		return r;
	r = sd_bus_add_object_vtable(m->bus, NULL, NAME_PATH_ROOT, "org.apfd.Manager1",
				     manager_vtable, m);
	if (r < 0)
		return r;
	r = vm_bus_register(m);
	if (r < 0)
		return r;
	r = sd_bus_add_object_manager(m->bus, NULL, NAME_PATH_ROOT);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(m->bus, NULL, "org.freedesktop.DBus.Local", NULL,
				"org.freedesktop.DBus.Local", "Disconnected", on_disconnected, m);
	if (r < 0)
		return r;
	/*
	 * Without the bus nobody can reach us; the service manager starts us again. Gates
	 * stay with the module and modes with libvirt: nothing is lost by that.
	 */
	return sd_bus_set_exit_on_disconnect(m->bus, true);
}

static int on_name_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	enum { PRIMARY_OWNER = 1, ALREADY_OWNER = 4 };
	struct manager *m = userdata;
	uint32_t code;
	int r;

	if (sd_bus_message_is_method_error(reply, NULL)) {
		log_error("The bus does not give us the name %s: %s", APFD_BUS_NAME,
			  sd_bus_message_get_error(reply)->message);
		return sd_event_exit(m->event, EXIT_FAILURE);
	}
	r = sd_bus_message_read(reply, "u", &code);
	if (r < 0 || (code != PRIMARY_OWNER && code != ALREADY_OWNER)) {
		log_error("The name %s is taken: is another apfd running?", APFD_BUS_NAME);
		return sd_event_exit(m->event, EXIT_FAILURE);
	}
	log_debug("On the bus as %s", APFD_BUS_NAME);
	(void)sd_notify(0, "READY=1");
	return 0;
}

void manager_bus_request_name(struct manager *m)
{
	int r;

	r = sd_bus_request_name_async(m->bus, NULL, APFD_BUS_NAME, 0, on_name_reply, m);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot ask for the name %s", APFD_BUS_NAME);
		(void)sd_event_exit(m->event, EXIT_FAILURE);
	}
}
