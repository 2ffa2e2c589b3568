/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-bus.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "append.h"
#include "backlog.h"
#include "context.h"
#include "diagnose.h"
#include "figures.h"
#include "gate.h"
#include "genl.h"
#include "history.h"
#include "log.h"
#include "recall-bus.h"
#include "server.h"
#include "utf8.h"
#include "vm-change.h"
#include "vm-event.h"
#include "vm-lists.h"
#include "vm.h"

/* Longer than the paths of libvirt; a longer path is truncated. */
#define CGROUP_PATH_MAX 1024

/* ---- properties ---- */

/* sd-bus itself cannot read an array in the struct; it expects a pointer. */
static int property_get_uuid(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "s", vm->uuid);
}

static int property_get_state(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *reply, void *userdata,
			      sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "s", vm_state_to_string((enum vm_state)vm->view.state));
}

static int property_get_vcpu_states(sd_bus *bus, const char *path, const char *interface,
				    const char *property, sd_bus_message *reply, void *userdata,
				    sd_bus_error *error)
{
	const struct vm *vm = userdata;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "s");
	for (size_t i = 0; r >= 0 && i < vm->n_vcpus; i++)
		r = sd_bus_message_append(reply, "s",
					  vm_state_to_string((enum vm_state)vm->vcpus[i].state));
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_get_mode(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", policy_mode_to_string(vm_mode(userdata)));
}

static int property_get_mode_source(sd_bus *bus, const char *path, const char *interface,
				    const char *property, sd_bus_message *reply, void *userdata,
				    sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", vm_mode_source(userdata));
}

static int append_override(sd_bus_message *m, uint32_t index, int mode)
{
	return sd_bus_message_append(m, "{us}", index, settings_mode_to_string(mode));
}

static int property_get_vcpu_modes(sd_bus *bus, const char *path, const char *interface,
				   const char *property, sd_bus_message *reply, void *userdata,
				   sd_bus_error *error)
{
	const struct vm *vm = userdata;
	const struct settings *own = &vm->settings.own, *config = &vm->settings.config;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{us}");
	for (size_t i = 0; r >= 0 && i < own->n_vcpus; i++)
		r = append_override(reply, own->vcpus[i].index, own->vcpus[i].mode);
	/* Configured overrides apply only where nothing was requested. */
	for (size_t i = 0; r >= 0 && i < config->n_vcpus; i++) {
		uint32_t index = config->vcpus[i].index;

		if (own->mode == SETTINGS_UNSET && settings_vcpu(own, index) == SETTINGS_UNSET)
			r = append_override(reply, index, config->vcpus[i].mode);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_get_manager(sd_bus *bus, const char *path, const char *interface,
				const char *property, sd_bus_message *reply, void *userdata,
				sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(
		reply, "s", vm->identity ? keeper_to_string(vm->identity->keeper) : "libvirt");
}

static int property_get_id(sd_bus *bus, const char *path, const char *interface,
			   const char *property, sd_bus_message *reply, void *userdata,
			   sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "s", vm->identity ? vm->identity->id : "");
}

static int property_get_vmm(sd_bus *bus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "s",
				     vm->identity ? vmm_to_string(vm->identity->vmm) : "");
}

static int property_get_executable(sd_bus *bus, const char *path, const char *interface,
				   const char *property, sd_bus_message *reply, void *userdata,
				   sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "s", vm->executable ? vm->executable : "");
}

static int property_get_counters(sd_bus *bus, const char *path, const char *interface,
				 const char *property, sd_bus_message *reply, void *userdata,
				 sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return append_counters(reply, &vm->view.totals);
}

static int property_get_guest_module(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(
		reply, "s", vm_guest_module_to_string((enum vm_guest_module)vm->view.guest_module));
}

static int property_get_guest_report(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct vm *vm = userdata;
	bool present = vm->view.guest_module == VM_GUEST_MODULE_PRESENT;

	return append_guest(reply, present ? vm->view.guest : NULL, false);
}

static int property_get_paused_vcpus(sd_bus *bus, const char *path, const char *interface,
				     const char *property, sd_bus_message *reply, void *userdata,
				     sd_bus_error *error)
{
	const struct vm *vm = userdata;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "u");
	for (size_t i = 0; r >= 0 && i < vm->n_vcpus; i++)
		if (vm->vcpus[i].paused)
			r = sd_bus_message_append(reply, "u", vm->vcpus[i].index);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_get_cgroup(sd_bus *bus, const char *path, const char *interface,
			       const char *property, sd_bus_message *reply, void *userdata,
			       sd_bus_error *error)
{
	char text[CGROUP_PATH_MAX] = "";
	const struct vm *vm = userdata;

	if (vm->memory.cgroup)
		snprintf(text, sizeof(text), "%s", cgroup_path(vm->memory.cgroup));
	utf8_make_valid(text);
	return sd_bus_message_append(reply, "s", text);
}

static int property_get_async_histogram(sd_bus *bus, const char *path, const char *interface,
					const char *property, sd_bus_message *reply, void *userdata,
					sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return append_histogram(reply, &vm->view.totals, STATS_HIST_ASYNC);
}

static int property_get_sync_histogram(sd_bus *bus, const char *path, const char *interface,
				       const char *property, sd_bus_message *reply, void *userdata,
				       sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return append_histogram(reply, &vm->view.totals, STATS_HIST_SYNC);
}

/* @userdata is the VM. */
static int property_get_saved(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *reply, void *userdata,
			      sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "t",
				     vm->view.totals.counters[APF_STAT_SAVED_NSEC] / NSEC_PER_USEC);
}

static int property_get_swapped_source(sd_bus *bus, const char *path, const char *interface,
				       const char *property, sd_bus_message *reply, void *userdata,
				       sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "s", memory_source_to_string(vm->view.swapped.source));
}

/* The names of the counters and properties that are not available on this kernel. */
static int property_get_not_counted(sd_bus *bus, const char *path, const char *interface,
				    const char *property, sd_bus_message *reply, void *userdata,
				    sd_bus_error *error)
{
	const struct vm *vm = userdata;
	const struct {
		const char *name;
		uint64_t needs;
	} derived[] = {
		{ "AsyncRate", STATS_BIT(APF_STAT_READY) },
		{ "SyncRate", STATS_BIT(APF_STAT_SYNC_STALLS) },
		{ "P50USec", STATS_BIT(STATS_HIST_ASYNC) | STATS_BIT(STATS_HIST_SYNC) },
		{ "P95USec", STATS_BIT(STATS_HIST_ASYNC) | STATS_BIT(STATS_HIST_SYNC) },
		{ "StallRatio", STATS_BIT(APF_STAT_SYNC_STALL_NSEC) },
		{ "PeakStallRatio", STATS_BIT(APF_STAT_SYNC_STALL_NSEC) },
		{ "PeakLatencyUSec", STATS_BIT(STATS_HIST_ASYNC) | STATS_BIT(STATS_HIST_SYNC) },
		{ "SavedRatio", STATS_BIT(APF_STAT_SAVED_NSEC) },
		{ "SavedUSec", STATS_BIT(APF_STAT_SAVED_NSEC) },
	};
	int r;

	r = sd_bus_message_open_container(reply, 'a', "s");
	for (unsigned int i = 0; r >= 0 && i < _STATS_COUNT_MAX; i++)
		if (stats_count_names[i] && !stats_counted(&vm->view.totals, i))
			r = sd_bus_message_append(reply, "s", stats_count_names[i]);
	for (size_t i = 0; r >= 0 && i < ELEMENTSOF(derived); i++)
		if (vm->view.totals.uncounted & derived[i].needs)
			r = sd_bus_message_append(reply, "s", derived[i].name);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* viewed - properties with a field in struct vm_view, to find the changed ones */
static const struct {
	const char *name;
	size_t offset, size_bytes;
} viewed[] = {
#define VIEWED(n, f)                                                                \
	{                                                                           \
		n, offsetof(struct vm_view, f), sizeof(((struct vm_view *)NULL)->f) \
	}
	VIEWED("LibvirtID", libvirt_id),
	VIEWED("PID", pid),
	VIEWED("Watched", watched),
	VIEWED("State", state),
	VIEWED("Since", since_usec),
	VIEWED("SwappedSource", swapped.source),
	VIEWED("GuestModule", guest_module),
	VIEWED("NotCounted", totals.uncounted),
#undef VIEWED
};

static void set_published(struct vm *vm)
{
	vm->published = vm->view;
	vm->vcpu_states_changed = vm->paused_changed = vm->name_changed = false;
	vm->settings.changed = vm->executable_changed = false;
	vm->memory.cgroup_changed = false;
	vm->publish_late = false;
}

/* Collects the names of properties that changed; @changed ends with NULL. Returns their number. */
static size_t find_changed(const struct vm *vm, const char **changed)
{
	const struct {
		const char *name;
		bool changed;
	} flags[] = {
		{ "VCPUStates", vm->vcpu_states_changed },
		{ "PausedVCPUs", vm->paused_changed },
		{ "Name", vm->name_changed },
		{ "Mode", vm->settings.changed },
		{ "ModeSource", vm->settings.changed },
		{ "VCPUModes", vm->settings.changed },
		{ "Executable", vm->executable_changed },
		{ "CGroup", vm->memory.cgroup_changed },
	};
	size_t n = 0;

	for (size_t i = 0; i < ELEMENTSOF(viewed); i++)
		if (memcmp((const char *)&vm->view + viewed[i].offset,
			   (const char *)&vm->published + viewed[i].offset,
			   viewed[i].size_bytes) != 0)
			changed[n++] = viewed[i].name;
	for (size_t i = 0; i < ELEMENTSOF(flags); i++)
		if (flags[i].changed)
			changed[n++] = flags[i].name;
	changed[n] = NULL;
	return n;
}

/* More names than find_changed() can find, and the NULL. */
#define CHANGED_MAX (ELEMENTSOF(viewed) + 16)

void vm_bus_publish(struct server *s, struct vm *vm)
{
	const char *changed[CHANGED_MAX];
	int r;

	/* InterfacesAdded will contain all properties. */
	if (!vm->announced || find_changed(vm, changed) == 0)
		return;
	if (!backlog_has_room(s)) {
		vm->publish_late = true;
		return;
	}
	r = sd_bus_emit_properties_changed_strv(s->bus, vm->path, BUS_INTERFACE_VM,
						(char **)changed);
	/* On failure, the next signal will contain these changes, too. */
	if (r < 0) {
		log_errno(LOG_DEBUG, r, "Cannot announce changes of VM %s, ignoring", vm->name);
		return;
	}
	set_published(vm);
}

int vm_bus_send_added(struct server *s, struct vm *vm)
{
	int r;

	r = sd_bus_emit_object_added(s->bus, vm->path);
	if (r < 0)
		return r;
	vm->announced = true;
	set_published(vm);
	return 0;
}

int vm_bus_send_removed(struct server *s, const char *path)
{
	/* All interfaces that InterfacesAdded had; sd-bus cannot look them up any more. */
	static const char *const interfaces[] = {
		"org.freedesktop.DBus.Peer",
		"org.freedesktop.DBus.Introspectable",
		"org.freedesktop.DBus.Properties",
		BUS_INTERFACE_VM,
		NULL,
	};

	return sd_bus_emit_interfaces_removed_strv(s->bus, path, (char **)interfaces);
}

void vm_bus_added(struct server *s, struct vm *vm)
{
	/* If announcements waited, this sends them, and that of @vm is one of them. */
	bool has_room = backlog_has_room(s);

	if (vm->announced)
		return;
	if (!has_room || vm_bus_send_added(s, vm) < 0)
		backlog_add_vms(s);
}

void vm_bus_removed(struct server *s, struct vm *vm)
{
	if (!vm->announced)
		return;
	vm->announced = false;
	if (!backlog_has_room(s) || vm_bus_send_removed(s, vm->path) < 0)
		backlog_add_removed(s, vm->path);
}

/* Creates the signal @name of @vm, with the arguments @state and @indices. */
static int new_gate_signal(struct server *s, const struct vm *vm, const char *name,
			   enum apf_state state, const uint32_t *indices, size_t n_indices,
			   sd_bus_message **ret)
{
	int r;

	r = sd_bus_message_new_signal(s->bus, ret, vm->path, BUS_INTERFACE_VM, name);
	if (r >= 0)
		r = sd_bus_message_append(*ret, "s", vm_state_to_string((enum vm_state)state));
	if (r >= 0)
		r = sd_bus_message_append_array(*ret, 'u', indices, n_indices * sizeof(*indices));
	return r;
}

/* Sends the signal @m; if @r < 0, making the signal failed, and this is logged. */
static void send_signal(struct server *s, const struct vm *vm, sd_bus_message *m, int r,
			const char *what)
{
	if (r >= 0)
		r = sd_bus_send(s->bus, m, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce %s of VM %s, ignoring", what, vm->name);
}

void vm_bus_gate_changed(struct server *s, struct vm *vm, const struct genl_event *e)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!backlog_has_room_for_event(s))
		return;
	r = new_gate_signal(s, vm, "GateChanged", e->state, e->indices, e->n_indices, &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "iss", (int32_t)e->by_pid, e->by_comm, e->reason);
	send_signal(s, vm, m, r, "a gate");
}

void vm_bus_gate_changing(struct server *s, struct vm *vm, const struct gate_change *c)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!backlog_has_room_for_event(s))
		return;
	r = new_gate_signal(s, vm, "GateChanging", c->state, c->indices, c->n_indices, &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "s", c->reason);
	send_signal(s, vm, m, r, "a gate");
}

void vm_bus_decided(struct server *s, struct vm *vm, const struct decision *d)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!backlog_has_room_for_event(s))
		return;
	r = new_gate_signal(s, vm, "Decided", d->state, d->indices, d->n_indices, &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", policy_rule_to_string(d->rule), d->reason);
	if (r >= 0)
		r = append_figures(m, &d->figures);
	if (r >= 0)
		r = sd_bus_message_append(m, "b", (int)d->dry_run);
	send_signal(s, vm, m, r, "a decision");
}

void vm_bus_guest_event(struct server *s, struct vm *vm, const struct genl_event *e)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!backlog_has_room_for_event(s))
		return;
	r = sd_bus_message_new_signal(s->bus, &m, vm->path, BUS_INTERFACE_VM, "GuestEvent");
	if (r >= 0)
		r = sd_bus_message_append(m, "su", vm_guest_event_to_string(e->type),
					  e->indices[0]);
	if (r >= 0)
		r = append_guest(m, e->guest.present ? e->guest.value : NULL, true);
	send_signal(s, vm, m, r, "an event");
}

/* ---- methods ---- */

static int method_diagnose(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return diagnose_vm(server_of(message), userdata, message, error);
}

/* clang-format off */
#define VIEW(field) offsetof(struct vm, view.field)
static const sd_bus_vtable vm_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Enable",
		SD_BUS_ARGS("au", vcpus), SD_BUS_NO_RESULT,
		vm_change_enable, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Disable",
		SD_BUS_ARGS("au", vcpus), SD_BUS_NO_RESULT,
		vm_change_disable, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("SetState",
		SD_BUS_ARGS("s", state, "au", vcpus), SD_BUS_NO_RESULT,
		vm_change_set_state, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("SetMode",
		SD_BUS_ARGS("s", mode, "au", vcpus, "b", persistent), SD_BUS_NO_RESULT,
		vm_change_set_mode, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetVCPUs",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", vcpus),
		vm_list_vcpus, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Explain",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", vcpus),
		vm_list_reasons, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("History",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", decisions),
		vm_list_decisions, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Recall",
		SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("o", recall),
		recall_bus_start, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("Decided",
		SD_BUS_ARGS("s", state, "au", vcpus, "s", rule, "s", reason, "a{sd}", inputs,
			    "b", dry_run), 0),
	SD_BUS_SIGNAL_WITH_ARGS("GateChanging",
		SD_BUS_ARGS("s", state, "au", vcpus, "s", reason), 0),
	SD_BUS_METHOD_WITH_ARGS("Diagnose",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", findings),
		method_diagnose, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_ARGS("GateChanged",
		SD_BUS_ARGS("s", state, "au", vcpus, "i", pid, "s", comm, "s", reason), 0),
	SD_BUS_SIGNAL_WITH_ARGS("GuestEvent",
		SD_BUS_ARGS("s", event, "u", vcpu, "a{su}", report), 0),
#define PROPERTY(name, type, get, offset)                                                          \
	SD_BUS_PROPERTY(name, type, get, offset, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
/* A figure may change with each tick: clients read it when they need it. */
#define FIGURE(name, type, get, offset) SD_BUS_PROPERTY(name, type, get, offset, 0)
	SD_BUS_PROPERTY("UUID", "s", property_get_uuid, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	PROPERTY("Name",	   "s",	    NULL, offsetof(struct vm, name)),
	PROPERTY("LibvirtID",	   "i",	    NULL, VIEW(libvirt_id)),
	PROPERTY("PID",		   "u",	    NULL, VIEW(pid)),
	PROPERTY("Watched",	   "b",	    NULL, VIEW(watched)),
	PROPERTY("State",	   "s",	    property_get_state, 0),
	PROPERTY("VCPUStates",	   "as",    property_get_vcpu_states, 0),
	PROPERTY("Mode",	   "s",	    property_get_mode, 0),
	PROPERTY("ModeSource",	   "s",	    property_get_mode_source, 0),
	PROPERTY("VCPUModes",	   "a{us}", property_get_vcpu_modes, 0),
	PROPERTY("Manager",	   "s",	    property_get_manager, 0),
	PROPERTY("ID",		   "s",	    property_get_id, 0),
	PROPERTY("VMM",		   "s",	    property_get_vmm, 0),
	PROPERTY("Executable",	   "s",	    property_get_executable, 0),
	PROPERTY("Since",	   "t",	    NULL, VIEW(since_usec)),
	FIGURE("SwappedBytes",	   "t",	    NULL, VIEW(swapped.bytes)),
	PROPERTY("SwappedSource",  "s",	    property_get_swapped_source, 0),
	FIGURE("Counters",	   "a{st}", property_get_counters, 0),
	FIGURE("Outstanding",	   "u",	    NULL, VIEW(outstanding)),
	PROPERTY("GuestModule",	   "s",	    property_get_guest_module, 0),
	FIGURE("GuestReport",	   "a{su}", property_get_guest_report, 0),
	PROPERTY("PausedVCPUs",	   "au",    property_get_paused_vcpus, 0),
	FIGURE("Pressure",	   "a{sd}", figures_get_vm_pressure, 0),
	PROPERTY("CGroup",	   "s",	    property_get_cgroup, 0),
	FIGURE("AsyncRate",	   "d",	    figures_get_rate, VIEW(figures.async_rate)),
	FIGURE("SyncRate",	   "d",	    figures_get_rate, VIEW(figures.sync_rate)),
	FIGURE("P50USec",	   "t",	    figures_get_percentile, VIEW(figures.p50_usec)),
	FIGURE("P95USec",	   "t",	    figures_get_percentile, VIEW(figures.p95_usec)),
	FIGURE("StallRatio",	   "d",	    figures_get_rate, VIEW(figures.stall_ratio)),
	FIGURE("SavedRatio",	   "d",	    figures_get_rate, VIEW(figures.saved_ratio)),
	FIGURE("SavedUSec",	   "t",	    property_get_saved, 0),
	FIGURE("AsyncHistogram",   "at",    property_get_async_histogram, 0),
	FIGURE("SyncHistogram",	   "at",    property_get_sync_histogram, 0),
	FIGURE("PeakStallRatio",   "d",	    figures_get_peak_stall_ratio, 0),
	FIGURE("PeakLatencyUSec",  "t",	    figures_get_peak_latency, 0),
	FIGURE("Memory",	   "a{st}", figures_get_vm_memory, 0),
	FIGURE("NodeMemory",	   "a{st}", figures_get_vm_nodes, 0),
	FIGURE("AutoRecall",	   "a{sv}", recall_bus_get_vm_auto, 0),
	PROPERTY("NotCounted",	   "as",    property_get_not_counted, 0),
#undef FIGURE
#undef PROPERTY
	SD_BUS_VTABLE_END
};
/* clang-format on */

/* ---- properties of many VMs ---- */

_Static_assert(ELEMENTSOF(vm_vtable) <= 64, "a bit for each row of the table");

static bool is_property(const sd_bus_vtable *row)
{
	return row->type == _SD_BUS_VTABLE_PROPERTY;
}

uint64_t vm_bus_property(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(vm_vtable); i++)
		if (is_property(&vm_vtable[i]) && streq(vm_vtable[i].x.property.member, name))
			return UINT64_C(1) << i;
	return 0;
}

/* As sd-bus does for Get(): by the function of the row, or from the field. */
static int append_value(sd_bus_message *m, struct vm *vm, const sd_bus_vtable *row)
{
	void *field = (char *)vm + row->x.property.offset;
	const char *type = row->x.property.signature;

	if (row->x.property.get)
		return row->x.property.get(NULL, vm->path, BUS_INTERFACE_VM, row->x.property.member,
					   m, field, NULL);
	return sd_bus_message_append_basic(m, type[0], type[0] == 's' ? *(char **)field : field);
}

int vm_bus_append(sd_bus_message *m, struct vm *vm, uint64_t wanted)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{sv}");
	for (size_t i = 0; r >= 0 && i < ELEMENTSOF(vm_vtable); i++) {
		const sd_bus_vtable *row = &vm_vtable[i];

		if (!is_property(row) || !(wanted & (UINT64_C(1) << i)))
			continue;
		r = sd_bus_message_open_container(m, 'e', "sv");
		if (r >= 0)
			r = sd_bus_message_append_basic(m, 's', row->x.property.member);
		if (r >= 0)
			r = sd_bus_message_open_container(m, 'v', row->x.property.signature);
		if (r >= 0)
			r = append_value(m, vm, row);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* ---- objects ---- */

static int find_object(sd_bus *bus, const char *path, const char *interface, void *userdata,
		       void **ret_found, sd_bus_error *error)
{
	struct server *server = userdata;
	char uuid[UUID_LEN + 1];
	struct vm *vm;

	if (uuid_from_path(path, uuid) < 0)
		return 0;
	vm = registry_find_by_uuid(&server->context->vms, uuid);
	if (!vm)
		return 0;
	*ret_found = vm;
	return 1;
}

static int enumerate_objects(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
			     sd_bus_error *error)
{
	struct registry *vms = &((struct server *)userdata)->context->vms;
	char **nodes;
	struct vm *vm;
	size_t n = 0;

	/* sd-bus frees the list and its strings. */
	nodes = calloc(vms->n + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	REGISTRY_FOREACH(vm, vms)
	{
		if (server_add_node(nodes, n++, vm->path) < 0)
			return -ENOMEM;
	}
	*ret_nodes = nodes;
	return 0;
}

int vm_bus_register(struct server *s)
{
	int r;

	r = sd_bus_add_fallback_vtable(s->bus, NULL, BUS_PATH_VM, BUS_INTERFACE_VM, vm_vtable,
				       find_object, s);
	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(s->bus, NULL, BUS_PATH_VM, enumerate_objects, s);
}
