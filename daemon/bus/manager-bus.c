/* SPDX-License-Identifier: GPL-2.0 */
#include "manager-bus.h"

#include <errno.h>

#include "conf.h"
#include "context.h"
#include "diagnose.h"
#include "figures.h"
#include "genl.h"
#include "list.h"
#include "log.h"
#include "names.h"
#include "polkit.h"
#include "recall-bus.h"
#include "server.h"
#include "stored-bus.h"
#include "virt.h"
#include "vm.h"

static int method_get_vm(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct server *s = userdata;
	const char *wanted;
	struct vm *vm;
	int r;

	r = sd_bus_message_read(message, "s", &wanted);
	if (r < 0)
		return r;
	vm = registry_find(&s->context->vms, wanted);
	if (!vm)
		return server_no_such_vm(s, wanted, error);
	return sd_bus_reply_method_return(message, "o", vm->path);
}

static int reload_allowed(sd_bus_message *request, uid_t uid, void *userdata, sd_bus_error *error)
{
	struct server *s = userdata;
	int r;

	log_info("User %u requested a reload over D-Bus", (unsigned int)uid);
	r = s->ops->reload(s->userdata);
	if (r == -EINVAL)
		return sd_bus_error_set(error, BUS_ERROR_INVALID_CONFIG, s->context->conf_error);
	if (r < 0)
		return r;
	return sd_bus_reply_method_return(request, NULL);
}

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	static const struct polkit_detail details[] = {
		{ "polkit.message",
		  "Authentication is required to let apfd read its configuration again" },
		{},
	};
	struct server *s = userdata;

	return polkit_check(s->polkit, message, POLKIT_ACTION_MANAGE, details, reload_allowed, s,
			    NULL, error);
}

static int dump_allowed(sd_bus_message *request, uid_t uid, void *userdata, sd_bus_error *error)
{
	struct server *s = userdata;

	s->ops->dump(s->userdata);
	return sd_bus_reply_method_return(request, NULL);
}

/* Not for every user, because a user who fills the log hides other messages. */
static int method_dump(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	static const struct polkit_detail details[] = {
		{ "polkit.message", "Authentication is required to let apfd log its state" },
		{},
	};
	struct server *s = userdata;

	return polkit_check(s->polkit, message, POLKIT_ACTION_MANAGE, details, dump_allowed, s,
			    NULL, error);
}

static int property_get_config_files(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct server *s = userdata;

	return sd_bus_message_append_strv(reply, s->context->conf->files);
}

static int method_diagnose(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct server *s = userdata;

	return diagnose_host(s, message);
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
	const struct server *s = userdata;

	return sd_bus_message_append(reply, "s",
				     apfd_genl_info(s->context->genl) ? NAME_PRESENT : NAME_ABSENT);
}

static int property_get_host_module_version(sd_bus *bus, const char *path, const char *interface,
					    const char *property, sd_bus_message *reply,
					    void *userdata, sd_bus_error *error)
{
	const struct server *s = userdata;
	const struct genl_info *info = apfd_genl_info(s->context->genl);

	return sd_bus_message_append(reply, "s", info ? info->version : "");
}

static int property_get_nowait_swapin(sd_bus *bus, const char *path, const char *interface,
				      const char *property, sd_bus_message *reply, void *userdata,
				      sd_bus_error *error)
{
	static const char *const table[] = {
		[APF_NOWAIT_NOT_NEEDED] = NAME_NOT_NEEDED,
		[APF_NOWAIT_OFF] = NAME_OFF,
		[APF_NOWAIT_ACTIVE] = NAME_ACTIVE,
		[APF_NOWAIT_UNAVAILABLE] = NAME_UNAVAILABLE,
	};
	const struct server *s = userdata;
	const struct genl_info *info = apfd_genl_info(s->context->genl);

	return sd_bus_message_append(reply, "s", info ? table[info->nowait] : NAME_UNKNOWN);
}

static int property_get_nested_guard(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct server *s = userdata;
	const struct genl_info *info = apfd_genl_info(s->context->genl);

	return sd_bus_message_append(reply, "b", info ? (int)info->nested_guard : 0);
}

/* The names of the counters that need this hook. */
static int append_takes(sd_bus_message *m, const struct hook_row *row)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "s");
	for (unsigned int i = 0; r >= 0 && row && i < _STATS_COUNT_MAX; i++)
		if ((row->takes & STATS_BIT(i)) && stats_count_names[i])
			r = sd_bus_message_append(m, "s", stats_count_names[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_hook(sd_bus_message *m, const struct hook *hook)
{
	const struct hook_row *row = hook_row(hook->id);
	char name[HOOK_NAME_MAX];
	int r;

	r = sd_bus_message_open_container(m, 'a', "{sv}");
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "Name", "s", hook_name(hook->id, name));
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "Placed", "b", (int)hook->placed);
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "Required", "b", (int)(row && row->required));
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "On", "s", hook->on);
	if (r >= 0)
		r = sd_bus_message_append(m, "{sv}", "Error", "s",
					  hook->placed ? "" : hook_error(hook->error));
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "Takes");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "as");
	if (r >= 0)
		r = append_takes(m, row);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int property_get_hooks(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *reply, void *userdata,
			      sd_bus_error *error)
{
	const struct server *s = userdata;
	const struct genl_info *info = apfd_genl_info(s->context->genl);
	int r;

	r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && info && i < info->hooks.n; i++)
		r = append_hook(reply, &info->hooks.hook[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_get_libvirt(sd_bus *bus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	const struct server *s = userdata;

	return sd_bus_message_append(reply, "s",
				     virt_state_to_string(virt_state(s->context->virt)));
}

static int property_get_libvirt_uri(sd_bus *bus, const char *path, const char *interface,
				    const char *property, sd_bus_message *reply, void *userdata,
				    sd_bus_error *error)
{
	const struct server *s = userdata;

	return sd_bus_message_append(reply, "s", s->context->uri);
}

static int property_get_config_error(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct server *s = userdata;

	return sd_bus_message_append(reply, "s", s->context->conf_error);
}

static int property_get_dry_run(sd_bus *bus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	const struct server *s = userdata;

	return sd_bus_message_append(reply, "b", (int)s->context->dry_run);
}

static int property_get_swap(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error)
{
	const struct server *s = userdata;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < s->context->swap.n; i++) {
		const struct swapdev *d = &s->context->swap.dev[i];

		r = sd_bus_message_append(reply, "a{sv}", 8, "Path", "s", d->path, "Kind", "s",
					  swapdev_kind_to_string(d->kind), "Size", "t",
					  d->size_bytes, "Used", "t", d->used_bytes, "Reads", "t",
					  d->reads, "ReadLatencyUSec", "t", d->read_latency_usec,
					  "ReadUSec", "t", d->read_msec * USEC_PER_MSEC,
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
	SD_BUS_METHOD_WITH_ARGS("ListVMs",
		SD_BUS_ARGS("as", properties), SD_BUS_RESULT("a{oa{sv}}", vms),
		list_vms, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reload",
		SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
		method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Dump",
		SD_BUS_NO_ARGS, SD_BUS_NO_RESULT,
		method_dump, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Diagnose",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", findings),
		method_diagnose, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ListStored",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", settings),
		stored_bus_list, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ForgetStored",
		SD_BUS_ARGS("s", file), SD_BUS_NO_RESULT,
		stored_bus_forget, SD_BUS_VTABLE_UNPRIVILEGED),
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
	SD_BUS_PROPERTY("Hooks", "aa{sv}", property_get_hooks, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Libvirt", "s", property_get_libvirt, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("LibvirtURI", "s", property_get_libvirt_uri, 0,
		SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("ConfigFiles", "as", property_get_config_files, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("ConfigError", "s", property_get_config_error, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("DryRun", "b", property_get_dry_run, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("Swap", "aa{sv}", property_get_swap, 0, 0),
	SD_BUS_PROPERTY("MemoryState", "s", figures_get_host_state, 0, 0),
	SD_BUS_PROPERTY("Memory", "a{st}", figures_get_host_memory, 0, 0),
	SD_BUS_PROPERTY("Pressure", "a{sd}", figures_get_host_pressure, 0, 0),
	SD_BUS_PROPERTY("Nodes", "aa{sv}", figures_get_host_nodes, 0, 0),
	SD_BUS_PROPERTY("AutoRecall", "a{sv}", recall_bus_get_host_auto, 0, 0),
	SD_BUS_VTABLE_END
};
/* clang-format on */

int manager_bus_register(struct server *s)
{
	return sd_bus_add_object_vtable(s->bus, NULL, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER,
					manager_vtable, s);
}

/* Properties that change together. */
enum group { GROUP_HOST_MODULE, GROUP_LIBVIRT, GROUP_CONF };

#define GROUP_NAMES_MAX 6

static const char *const group_names[][GROUP_NAMES_MAX] = {
	[GROUP_HOST_MODULE] = { "HostModule", "HostModuleVersion", "NoWaitSwapin", "NestedGuard",
				"Hooks" },
	[GROUP_LIBVIRT] = { "Libvirt" },
	[GROUP_CONF] = { "ConfigFiles", "ConfigError", "DryRun" },
};

int manager_bus_send_groups(struct server *s, unsigned int groups)
{
	const char *names[ELEMENTSOF(group_names) * GROUP_NAMES_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < ELEMENTSOF(group_names); i++)
		for (size_t k = 0; (groups & (1U << i)) && k < GROUP_NAMES_MAX; k++)
			if (group_names[i][k])
				names[n++] = group_names[i][k];
	names[n] = NULL;
	return sd_bus_emit_properties_changed_strv(s->bus, BUS_PATH_ROOT, BUS_INTERFACE_MANAGER,
						   (char **)names);
}

static void announce(struct server *s, enum group group)
{
	unsigned int groups = 1U << group;

	if (!backlog_has_room(s) || manager_bus_send_groups(s, groups) < 0)
		backlog_add_groups(s, groups);
}

void manager_bus_host_module_changed(struct server *s)
{
	announce(s, GROUP_HOST_MODULE);
}

void manager_bus_libvirt_changed(struct server *s)
{
	announce(s, GROUP_LIBVIRT);
}

void manager_bus_conf_changed(struct server *s)
{
	announce(s, GROUP_CONF);
}
