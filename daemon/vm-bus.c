/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-bus.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

#include "action.h"
#include "log.h"
#include "manager.h"
#include "manager-bus.h"

/* Longer than libvirt needs, and much shorter than callers wait. */
#define KEEP_WAIT_USEC (3 * USEC_PER_SEC)

#define VM_INTERFACE "org.apfd.VM1"

/* Longer than libvirt's; a longer one is cut. */
#define CGROUP_PATH_MAX 1024

/* Names on the bus of the counters in apf_host.h. */
/* clang-format off */
static const char *const counter_names[APF_STAT_MAX + 1] = {
	[APF_STAT_ASKED]	   = "Asked",
	[APF_STAT_REFUSED]	   = "Refused",
	[APF_STAT_REFUSED_NESTED]  = "RefusedNested",
	[APF_STAT_NOT_PRESENT]	   = "NotPresent",
	[APF_STAT_DELIVERED]	   = "Delivered",
	[APF_STAT_HALTED]	   = "Halted",
	[APF_STAT_READY]	   = "Ready",
	[APF_STAT_READY_UNKNOWN]   = "ReadyUnknown",
	[APF_STAT_READY_ALL]	   = "ReadyAll",
	[APF_STAT_DROPPED]	   = "Dropped",
	[APF_STAT_REPEATED]	   = "Repeated",
	[APF_STAT_SYNC_STALLS]	   = "SyncStalls",
	[APF_STAT_SYNC_STALL_NSEC] = "SyncStallNSec",
	[APF_STAT_ASYNC_NSEC]	   = "AsyncNSec",
	[APF_STAT_NOWAIT]	   = "NoWait",
	[APF_STAT_PROBE_MISSES]	   = "ProbeMisses",
	[APF_STAT_REFUSED_PAUSED]  = "RefusedPaused",
	[APF_STAT_BAD_REPORTS]	   = "BadReports",
};

/* Likewise of the figures in a guest's report; the age is not part of the property. */
static const char *const guest_names[APF_GUEST_A_MAX + 1] = {
	[APF_GUEST_A_AGE_MSEC]		  = "AgeMSec",
	[APF_GUEST_A_POOL_SIZE]		  = "PoolSize",
	[APF_GUEST_A_POOL_IN_USE]	  = "PoolInUse",
	[APF_GUEST_A_POOL_TAKEN]	  = "PoolTaken",
	[APF_GUEST_A_POOL_EXHAUSTED]	  = "PoolExhausted",
	[APF_GUEST_A_SLEEPERS]		  = "Sleepers",
	[APF_GUEST_A_EARLY_WAKES]	  = "EarlyWakes",
	[APF_GUEST_A_RESCUES]		  = "Rescues",
	[APF_GUEST_A_UNKNOWN_TOKENS]	  = "UnknownTokens",
	[APF_GUEST_A_OLDEST_SLEEPER_MSEC] = "OldestSleeperMSec",
	[APF_GUEST_A_WAITS]		  = "Waits",
	[APF_GUEST_A_WAKES]		  = "Wakes",
};
/* clang-format on */

/* ---- properties ---- */

static int append_counters(sd_bus_message *m, const uint64_t counters[static APF_STAT_MAX + 1])
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{st}");
	for (size_t i = 0; r >= 0 && i <= APF_STAT_MAX; i++)
		if (counter_names[i])
			r = sd_bus_message_append(m, "{st}", counter_names[i], counters[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_histogram(sd_bus_message *m, const uint64_t hist[static APF_HIST_BUCKETS])
{
	return sd_bus_message_append_array(m, 't', hist, APF_HIST_BUCKETS * sizeof(hist[0]));
}

/* As a dictionary of the @value by &enum apf_guest_attr; NULL: empty. */
static int append_guest(sd_bus_message *m, const uint32_t *value, bool with_age)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{su}");
	for (int i = 0; r >= 0 && value && i <= APF_GUEST_A_MAX; i++)
		if (guest_names[i] && (with_age || i != APF_GUEST_A_AGE_MSEC))
			r = sd_bus_message_append(m, "{su}", guest_names[i], value[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* As a dictionary, without what is not known. */
static int append_known(sd_bus_message *m, const char *const *names, const double *values, size_t n)
{
	int r;

	r = sd_bus_message_open_container(m, 'a', "{sd}");
	for (size_t i = 0; r >= 0 && i < n; i++)
		if (!isnan(values[i]))
			r = sd_bus_message_append(m, "{sd}", names[i], values[i]);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_figures(sd_bus_message *m, const struct policy_figures *f)
{
	return append_known(m, policy_figure_names, f->value, ELEMENTSOF(f->value));
}

/* An array in the struct: sd-bus itself would look for a pointer. */
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
	/* Of those configured, the ones that count. */
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

	return sd_bus_message_append(reply, "s", vm->foreign ? "none" : "libvirt");
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

	return append_counters(reply, vm->view.totals.counters);
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

static int property_get_pressure(sd_bus *bus, const char *path, const char *interface,
				 const char *property, sd_bus_message *reply, void *userdata,
				 sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return append_known(reply, pressure_figure_names, vm->view.pressure,
			    ELEMENTSOF(vm->view.pressure));
}

static int property_get_cgroup(sd_bus *bus, const char *path, const char *interface,
			       const char *property, sd_bus_message *reply, void *userdata,
			       sd_bus_error *error)
{
	char text[CGROUP_PATH_MAX] = "";
	const struct vm *vm = userdata;

	if (vm->cgroup)
		snprintf(text, sizeof(text), "%s", cgroup_path(vm->cgroup));
	name_make_utf8(text);
	return sd_bus_message_append(reply, "s", text);
}

/* @userdata is the histogram itself: its offset is in the table. */
static int property_get_histogram(sd_bus *bus, const char *path, const char *interface,
				  const char *property, sd_bus_message *reply, void *userdata,
				  sd_bus_error *error)
{
	return append_histogram(reply, userdata);
}

/**
 * viewed - properties held in struct vm_view, to find those that changed
 */
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
	VIEWED("SwappedBytes", swapped_bytes),
	VIEWED("Counters", totals.counters),
	VIEWED("Outstanding", outstanding),
	VIEWED("GuestModule", guest_module),
	VIEWED("GuestReport", guest),
	VIEWED("Pressure", pressure),
	VIEWED("AsyncRate", figures.async_rate),
	VIEWED("SyncRate", figures.sync_rate),
	VIEWED("P50USec", figures.p50_usec),
	VIEWED("P95USec", figures.p95_usec),
	VIEWED("StallRatio", figures.stall_ratio),
	VIEWED("AsyncHistogram", totals.hist_async),
	VIEWED("SyncHistogram", totals.hist_sync),
#undef VIEWED
};

void vm_bus_publish(struct vm *vm)
{
	const char *changed[ELEMENTSOF(viewed) + 9];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < ELEMENTSOF(viewed); i++)
		if (memcmp((const char *)&vm->view + viewed[i].offset,
			   (const char *)&vm->published + viewed[i].offset,
			   viewed[i].size_bytes) != 0)
			changed[n++] = viewed[i].name;
	if (vm->vcpu_states_changed)
		changed[n++] = "VCPUStates";
	if (vm->paused_changed)
		changed[n++] = "PausedVCPUs";
	if (vm->name_changed)
		changed[n++] = "Name";
	if (vm->settings.changed) {
		changed[n++] = "Mode";
		changed[n++] = "ModeSource";
		changed[n++] = "VCPUModes";
	}
	if (vm->executable_changed)
		changed[n++] = "Executable";
	if (vm->cgroup_changed)
		changed[n++] = "CGroup";
	changed[n] = NULL;
	if (n == 0)
		return;

	r = sd_bus_emit_properties_changed_strv(vm->manager->bus, vm->path, VM_INTERFACE,
						(char **)changed);
	/* What could not be told is told with the next one. */
	if (r < 0) {
		log_errno(LOG_DEBUG, r, "Cannot announce changes of VM %s, ignoring", vm->name);
		return;
	}
	vm->published = vm->view;
	vm->vcpu_states_changed = vm->paused_changed = vm->name_changed = false;
	vm->settings.changed = vm->executable_changed = false;
	vm->cgroup_changed = false;
}

void vm_bus_added(struct vm *vm)
{
	int r;

	r = sd_bus_emit_object_added(vm->manager->bus, vm->path);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce VM %s, ignoring", vm->name);
	vm->published = vm->view;
	vm->vcpu_states_changed = vm->paused_changed = vm->name_changed = false;
	vm->settings.changed = vm->executable_changed = false;
	vm->cgroup_changed = false;
}

void vm_bus_removed(struct vm *vm)
{
	int r;

	r = sd_bus_emit_object_removed(vm->manager->bus, vm->path);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce the end of VM %s, ignoring", vm->name);
}

void vm_bus_gate_changed(struct vm *vm, const struct genl_event *e)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_signal(vm->manager->bus, &m, vm->path, VM_INTERFACE, "GateChanged");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", vm_state_to_string((enum vm_state)e->state));
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'u', e->indices,
						e->n_indices * sizeof(e->indices[0]));
	if (r >= 0)
		r = sd_bus_message_append(m, "iss", (int32_t)e->by_pid, e->by_comm, e->reason);
	if (r >= 0)
		r = sd_bus_send(vm->manager->bus, m, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce a gate of VM %s, ignoring", vm->name);
}

void vm_bus_gate_changing(struct vm *vm, enum apf_state state, const uint32_t *indices,
			  size_t n_indices, const char *reason)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_signal(vm->manager->bus, &m, vm->path, VM_INTERFACE, "GateChanging");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", vm_state_to_string((enum vm_state)state));
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'u', indices, n_indices * sizeof(indices[0]));
	if (r >= 0)
		r = sd_bus_message_append(m, "s", reason);
	if (r >= 0)
		r = sd_bus_send(vm->manager->bus, m, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce a gate of VM %s, ignoring", vm->name);
}

void vm_bus_decided(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices,
		    enum policy_rule rule, const char *reason, const struct policy_figures *f,
		    bool dry_run)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_signal(vm->manager->bus, &m, vm->path, VM_INTERFACE, "Decided");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", vm_state_to_string((enum vm_state)state));
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'u', indices, n_indices * sizeof(indices[0]));
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", policy_rule_to_string(rule), reason);
	if (r >= 0)
		r = append_figures(m, f);
	if (r >= 0)
		r = sd_bus_message_append(m, "b", (int)dry_run);
	if (r >= 0)
		r = sd_bus_send(vm->manager->bus, m, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce a decision on VM %s, ignoring", vm->name);
}

void vm_bus_guest_event(struct vm *vm, const struct genl_event *e)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_signal(vm->manager->bus, &m, vm->path, VM_INTERFACE, "GuestEvent");
	if (r >= 0)
		r = sd_bus_message_append(m, "su", vm_guest_event_to_string(e->type),
					  e->indices[0]);
	if (r >= 0)
		r = append_guest(m, e->guest.present ? e->guest.value : NULL, true);
	if (r >= 0)
		r = sd_bus_send(vm->manager->bus, m, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot announce an event of VM %s, ignoring", vm->name);
}

/* ---- methods ---- */

#define CHECK(call)               \
	do {                      \
		r = (call);       \
		if (r < 0)        \
			return r; \
	} while (0)

static int no_module_or_not_watched(const struct vm *vm, sd_bus_error *error)
{
	if (!apfd_genl_info(vm->manager->genl))
		return sd_bus_error_set(error, APFD_ERROR_NO_HOST_MODULE,
					"The host module apf_host is not loaded");
	if (!vm->module_id)
		return sd_bus_error_setf(error, APFD_ERROR_NOT_WATCHED, "VM %s is not watched: %s",
					 vm->name, vm->why_unwatched);
	return 0;
}

static int append_vcpu(sd_bus_message *m, const struct vm *vm, size_t at)
{
	const struct genl_vcpu *vcpu = &vm->vcpus[at];
	static const char *const guest_apf_names[] = {
		[APF_GUEST_APF_OFF] = "off",
		[APF_GUEST_APF_USER] = "user",
		[APF_GUEST_APF_ALWAYS] = "always",
	};
	static const char *const hist_names[] = { "AsyncHistogram", "SyncHistogram" };
	const uint64_t *hists[] = { vcpu->totals.hist_async, vcpu->totals.hist_sync };
	int r;

	CHECK(sd_bus_message_open_container(m, 'a', "{sv}"));
	CHECK(sd_bus_message_append(m, "{sv}", "Index", "u", vcpu->index));
	CHECK(sd_bus_message_append(m, "{sv}", "VCPUID", "u", vcpu->vcpu_id));
	CHECK(sd_bus_message_append(m, "{sv}", "State", "s",
				    vm_state_to_string((enum vm_state)vcpu->state)));
	CHECK(sd_bus_message_append(m, "{sv}", "GuestAPF", "s", guest_apf_names[vcpu->guest_apf]));
	CHECK(sd_bus_message_append(m, "{sv}", "Outstanding", "u", vcpu->outstanding));
	CHECK(sd_bus_message_append(m, "{sv}", "Paused", "b", vcpu->paused));
	if (vcpu->guest.present) {
		CHECK(sd_bus_message_open_container(m, 'e', "sv"));
		CHECK(sd_bus_message_append(m, "s", "GuestReport"));
		CHECK(sd_bus_message_open_container(m, 'v', "a{su}"));
		CHECK(append_guest(m, vcpu->guest.value, true));
		CHECK(sd_bus_message_close_container(m));
		CHECK(sd_bus_message_close_container(m));
	}

	CHECK(sd_bus_message_open_container(m, 'e', "sv"));
	CHECK(sd_bus_message_append(m, "s", "Counters"));
	CHECK(sd_bus_message_open_container(m, 'v', "a{st}"));
	CHECK(append_counters(m, vcpu->totals.counters));
	CHECK(sd_bus_message_close_container(m));
	CHECK(sd_bus_message_close_container(m));

	for (size_t i = 0; i < ELEMENTSOF(hists); i++) {
		CHECK(sd_bus_message_open_container(m, 'e', "sv"));
		CHECK(sd_bus_message_append(m, "s", hist_names[i]));
		CHECK(sd_bus_message_open_container(m, 'v', "at"));
		CHECK(append_histogram(m, hists[i]));
		CHECK(sd_bus_message_close_container(m));
		CHECK(sd_bus_message_close_container(m));
	}
	return sd_bus_message_close_container(m);
}

/* "Inputs" and their dictionary, as an entry of one. */
static int append_inputs(sd_bus_message *m, const struct policy_figures *f)
{
	int r;

	CHECK(sd_bus_message_open_container(m, 'e', "sv"));
	CHECK(sd_bus_message_append(m, "s", "Inputs"));
	CHECK(sd_bus_message_open_container(m, 'v', "a{sd}"));
	CHECK(append_figures(m, f));
	CHECK(sd_bus_message_close_container(m));
	return sd_bus_message_close_container(m);
}

static int append_explanation(sd_bus_message *m, const struct vm *vm, size_t at)
{
	const struct governor_vcpu *v = &vm->governor.vcpus[at];
	char reason[POLICY_REASON_MAX];
	int r;

	governor_reason(vm, v, reason);
	CHECK(sd_bus_message_open_container(m, 'a', "{sv}"));
	CHECK(sd_bus_message_append(m, "{sv}", "Index", "u", v->index));
	CHECK(sd_bus_message_append(m, "{sv}", "Mode", "s",
				    policy_mode_to_string(vm_vcpu_mode(vm, v->index))));
	CHECK(sd_bus_message_append(m, "{sv}", "State", "s",
				    vm_state_to_string((enum vm_state)v->policy.state)));
	CHECK(sd_bus_message_append(m, "{sv}", "Since", "t", v->since_usec));
	CHECK(sd_bus_message_append(m, "{sv}", "Rule", "s", policy_rule_to_string(v->policy.rule)));
	CHECK(sd_bus_message_append(m, "{sv}", "Reason", "s", reason));
	CHECK(append_inputs(m, &v->figures));
	return sd_bus_message_close_container(m);
}

static int append_decision(sd_bus_message *m, const struct vm *vm, size_t at)
{
	const struct governor_decision *d = governor_decision_at(&vm->governor, at);
	int r;

	CHECK(sd_bus_message_open_container(m, 'a', "{sv}"));
	CHECK(sd_bus_message_append(m, "{sv}", "Time", "t", d->time_usec));
	CHECK(sd_bus_message_open_container(m, 'e', "sv"));
	CHECK(sd_bus_message_append(m, "s", "VCPUs"));
	CHECK(sd_bus_message_open_container(m, 'v', "au"));
	CHECK(sd_bus_message_append_array(m, 'u', d->indices,
					  d->n_indices * sizeof(d->indices[0])));
	CHECK(sd_bus_message_close_container(m));
	CHECK(sd_bus_message_close_container(m));
	CHECK(sd_bus_message_append(m, "{sv}", "State", "s",
				    vm_state_to_string((enum vm_state)d->state)));
	CHECK(sd_bus_message_append(m, "{sv}", "Rule", "s", policy_rule_to_string(d->rule)));
	CHECK(sd_bus_message_append(m, "{sv}", "Reason", "s", d->reason));
	CHECK(append_inputs(m, &d->figures));
	CHECK(sd_bus_message_append(m, "{sv}", "DryRun", "b", (int)d->dry_run));
	return sd_bus_message_close_container(m);
}
#undef CHECK

/* One dictionary for each of @n, appended by @append. */
static int answer_list(sd_bus_message *message, const struct vm *vm, size_t n,
		       int (*append)(sd_bus_message *reply, const struct vm *vm, size_t i))
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = append(reply, vm, i);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

static int method_get_vcpus(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct vm *vm = userdata;
	int r;

	r = no_module_or_not_watched(vm, error);
	/* As last read, at most a second ago: callers cannot make us ask the module. */
	return r < 0 ? r : answer_list(message, vm, vm->n_vcpus, append_vcpu);
}

static int method_explain(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct vm *vm = userdata;
	int r;

	r = no_module_or_not_watched(vm, error);
	return r < 0 ? r : answer_list(message, vm, vm->governor.n_vcpus, append_explanation);
}

static int method_history(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct vm *vm = userdata;

	return answer_list(message, vm, vm->governor.n_history, append_decision);
}

static int method_diagnose(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct vm *vm = userdata;

	return doctor_answer_vm(vm->manager->doctor, vm, message, error);
}

/**
 * struct change - what a caller wants, kept until polkit has decided
 * @mode: &enum policy_mode, or SETTINGS_UNSET
 * @gates_now: there is no sense in it unless gates can be changed now
 * @persistent: the answer waits for libvirt to have written it
 */
struct change {
	struct manager *manager;
	char uuid[NAME_UUID_LEN + 1];
	int mode;
	bool gates_now;
	bool persistent;
	size_t n_indices;
	uint32_t indices[];
};

static int change_failed(struct vm *vm, int r, const char *text, sd_bus_error *error)
{
	switch (r) {
	case -ENXIO:
		return sd_bus_error_set(error, APFD_ERROR_NO_HOST_MODULE,
					"The host module apf_host is not loaded");
	case -ENOENT:
		vm_lost(vm);
		return no_module_or_not_watched(vm, error);
	case -ERANGE:
		return sd_bus_error_setf(error, APFD_ERROR_NO_SUCH_VCPU,
					 "VM %s has no such vCPU%s%s", vm->name,
					 text[0] ? ": " : "", text);
	default:
		return sd_bus_error_setf(error, APFD_ERROR_FAILED,
					 "The host module refused: %s%s%s%s",
					 text[0] ? text : strerror(-r), text[0] ? " (" : "",
					 text[0] ? strerror(-r) : "", text[0] ? ")" : "");
	}
}

/* Gates before anything is remembered: what the module refuses is no setting either. */
static int change_gates(struct vm *vm, const struct change *c, uid_t uid, sd_bus_error *error)
{
	char text[GENL_TEXT_MAX], reason[APF_REASON_MAX + 1];
	enum apf_state state;
	int r;

	if (c->gates_now) {
		r = no_module_or_not_watched(vm, error);
		if (r < 0)
			return r;
	}
	if (!vm->module_id)
		return 0;
	for (size_t i = 0; i < c->n_indices; i++)
		if (c->indices[i] >= vm->n_vcpus && !vm_state_of_mode(c->mode, &state))
			return sd_bus_error_setf(error, APFD_ERROR_NO_SUCH_VCPU,
						 "VM %s has no vCPU %u", vm->name, c->indices[i]);
	if (!vm_state_of_mode(c->mode, &state))
		return 0;
	snprintf(reason, sizeof(reason), "asked by user %u over D-Bus", (unsigned int)uid);
	vm_bus_gate_changing(vm, state, c->indices, c->n_indices, reason);
	r = action_set_state(c->manager->genl, vm->module_id, state, c->indices, c->n_indices,
			     reason, text);
	if (r < 0)
		return change_failed(vm, r, text, error);

	governor_found(vm, state, c->indices, c->n_indices);
	/* Who asks next shall see it; the module's own notification comes a little later. */
	vm_gate_set(vm, state, c->indices, c->n_indices);
	r = vm_read_vcpus(vm);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot read the vCPUs of VM %s, ignoring", vm->name);
	return 0;
}

/**
 * struct keeping - a change that libvirt is told of
 * @request: to be answered when it knows; NULL once that was done
 * @timer: the latest time for it, if the change holds without libvirt, too
 */
struct keeping {
	sd_bus_message *request;
	sd_event_source *timer;
};

static struct keeping *keeping_free(struct keeping *k)
{
	if (!k)
		return NULL;
	sd_event_source_disable_unref(k->timer);
	sd_bus_message_unref(k->request);
	free(k);
	return NULL;
}
APF_DEFINE_CLEANUP(struct keeping *, keeping_free);

static void answer(struct keeping *k)
{
	int r;

	if (!k->request)
		return;
	r = sd_bus_reply_method_return(k->request, NULL);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer, ignoring");
	k->request = sd_bus_message_unref(k->request);
}

static int on_keep_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
	answer(userdata);
	return 0;
}

/*
 * Who asked is answered when the setting is safe, unless libvirt takes its time
 * and need not be waited for.
 */
static int keep(struct vm *vm, sd_bus_message *request, bool persistent)
{
	_cleanup_(keeping_freep) struct keeping *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->request = sd_bus_message_ref(request);
	if (!persistent) {
		r = sd_event_add_time_relative(vm->manager->event, &k->timer, CLOCK_MONOTONIC,
					       KEEP_WAIT_USEC, 0, on_keep_timeout, k);
		if (r < 0)
			return r;
	}
	r = vm_keep_settings(vm, persistent, k);
	/* vm_bus_mode_kept() goes on. */
	if (r >= 0)
		TAKE_PTR(k);
	return r;
}

void vm_bus_mode_kept(void *cookie, int error, const char *text)
{
	_cleanup_(keeping_freep) struct keeping *k = cookie;
	int r;

	/* With the time limit goes that it holds in any case. */
	if (error >= 0 || k->timer) {
		answer(k);
		return;
	}
	r = sd_bus_reply_method_errorf(k->request, APFD_ERROR_FAILED,
				       "The mode holds now, but libvirt does not keep it: %s",
				       text);
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot answer, ignoring");
}

static int nothing_keeps_it(const struct vm *vm, sd_bus_error *error)
{
	return sd_bus_error_setf(error, APFD_ERROR_FAILED,
				 vm->view.libvirt_id < 0
					 ? "VM %s is not of libvirt: nothing can keep its mode"
					 : "libvirt is not connected: it cannot keep the mode of "
					   "VM %s",
				 vm->name);
}

static int change_allowed(sd_bus_message *request, uid_t uid, void *userdata, sd_bus_error *error)
{
	struct change *c = userdata;
	struct vm *vm;
	int r;

	/* The VM may have ended, or another may have taken its place, while polkit thought. */
	vm = manager_find_by_uuid(c->manager, c->uuid);
	if (!vm)
		return manager_bus_no_such_vm(c->manager, c->uuid, error);
	if (c->persistent && (vm->view.libvirt_id < 0 || !virt_has_connection(c->manager->virt)))
		return nothing_keeps_it(vm, error);
	/* What is set for a vCPU goes beside what is kept for the others. */
	if (c->n_indices > 0 && !vm->settings.known)
		return sd_bus_error_setf(error, APFD_ERROR_FAILED,
					 "The settings of VM %s have not been read yet, try again",
					 vm->name);
	r = change_gates(vm, c, uid, error);
	if (r < 0)
		return r;
	r = vm_set_mode(vm, c->mode, c->indices, c->n_indices);
	if (r < 0)
		return r;
	/* What a person wants, the policy does not change; the rest is its decision. */
	vm_settings_apply(vm);
	log_fields(LOG_INFO, 0,
		   ((const struct log_field[]){ { "APF_VM", vm->name },
						{ "APF_UUID", vm->uuid },
						{ "APF_MODE", settings_mode_to_string(c->mode) },
						{} }),
		   "VM %s: mode of %s set to %s by user %u%s", vm->name,
		   c->n_indices ? "some vCPUs" : "the VM", settings_mode_to_string(c->mode),
		   (unsigned int)uid, c->persistent ? ", for later starts, too" : "");

	r = keep(vm, request, c->persistent);
	if (r >= 0)
		return 1;
	if (c->persistent)
		return nothing_keeps_it(vm, error);
	/* It holds; when libvirt is back, it is told. */
	log_errno(LOG_DEBUG, r, "libvirt is not told of the mode of VM %s yet", vm->name);
	return sd_bus_reply_method_return(request, NULL);
}

static int bad_mode(const char *name, const char *mode, const char *list, sd_bus_error *error)
{
	char shown[33];

	name_excerpt(mode, shown, sizeof(shown));
	return sd_bus_error_setf(error, name, "Unknown %s \"%s\": it is %s",
				 streq(name, APFD_ERROR_INVALID_STATE) ? "state" : "mode", shown,
				 list);
}

/* Reads the vCPUs, and asks polkit. */
static int change(sd_bus_message *message, struct vm *vm, const struct change *template,
		  sd_bus_error *error)
{
	const uint32_t *indices;
	int persistent = 0, r;
	struct change *c;
	size_t size;

	r = sd_bus_message_read_array(message, 'u', (const void **)&indices, &size);
	if (r < 0)
		return r;
	if (!template->gates_now) {
		r = sd_bus_message_read(message, "b", &persistent);
		if (r < 0)
			return r;
	}
	if (size / sizeof(*indices) > GENL_VCPUS_MAX)
		return sd_bus_error_setf(error, APFD_ERROR_NO_SUCH_VCPU,
					 "No VM has more than %d vCPUs", GENL_VCPUS_MAX);
	for (size_t i = 0; i < size / sizeof(*indices); i++)
		if (indices[i] >= GENL_VCPUS_MAX)
			return sd_bus_error_setf(error, APFD_ERROR_NO_SUCH_VCPU,
						 "No VM has a vCPU %u", indices[i]);

	c = malloc(sizeof(*c) + size);
	if (!c)
		return -ENOMEM;
	*c = *template;
	c->manager = vm->manager;
	memcpy(c->uuid, vm->uuid, sizeof(c->uuid));
	c->persistent = persistent;
	c->n_indices = size / sizeof(*indices);
	if (size > 0)
		memcpy(c->indices, indices, size);
	return polkit_check(vm->manager->polkit, message, APFD_ACTION_MANAGE, change_allowed, c,
			    free, error);
}

static int method_enable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct change c = { .mode = POLICY_MODE_ON, .gates_now = true };

	return change(message, userdata, &c, error);
}

static int method_disable(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct change c = { .mode = POLICY_MODE_OFF, .gates_now = true };

	return change(message, userdata, &c, error);
}

static int method_set_state(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct change c = { .gates_now = true };
	enum apf_state state;
	const char *s;
	int r;

	r = sd_bus_message_read(message, "s", &s);
	if (r < 0)
		return r;
	if (vm_state_from_string(s, &state) < 0)
		return bad_mode(APFD_ERROR_INVALID_STATE, s, "off, pv or on", error);
	c.mode = (int)policy_mode_of_state(state);
	return change(message, userdata, &c, error);
}

static int method_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct change c = { .mode = SETTINGS_UNSET };
	const char *s;
	int r;

	r = sd_bus_message_read(message, "s", &s);
	if (r < 0)
		return r;
	if (!streq(s, "default") && settings_mode_from_string(s, &c.mode) < 0)
		return bad_mode(APFD_ERROR_INVALID_MODE, s, "auto, on, pv, off or default", error);
	return change(message, userdata, &c, error);
}

/* clang-format off */
#define VIEW(field) offsetof(struct vm, view.field)
static const sd_bus_vtable vm_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Enable",
		SD_BUS_ARGS("au", vcpus), SD_BUS_NO_RESULT,
		method_enable, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Disable",
		SD_BUS_ARGS("au", vcpus), SD_BUS_NO_RESULT,
		method_disable, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("SetState",
		SD_BUS_ARGS("s", state, "au", vcpus), SD_BUS_NO_RESULT,
		method_set_state, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("SetMode",
		SD_BUS_ARGS("s", mode, "au", vcpus, "b", persistent), SD_BUS_NO_RESULT,
		method_set_mode, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("GetVCPUs",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", vcpus),
		method_get_vcpus, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Explain",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", vcpus),
		method_explain, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("History",
		SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", decisions),
		method_history, SD_BUS_VTABLE_UNPRIVILEGED),
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
	PROPERTY("Executable",	   "s",	    property_get_executable, 0),
	PROPERTY("Since",	   "t",	    NULL, VIEW(since_usec)),
	PROPERTY("SwappedBytes",   "t",	    NULL, VIEW(swapped_bytes)),
	PROPERTY("Counters",	   "a{st}", property_get_counters, 0),
	PROPERTY("Outstanding",	   "u",	    NULL, VIEW(outstanding)),
	PROPERTY("GuestModule",	   "s",	    property_get_guest_module, 0),
	PROPERTY("GuestReport",	   "a{su}", property_get_guest_report, 0),
	PROPERTY("PausedVCPUs",	   "au",    property_get_paused_vcpus, 0),
	PROPERTY("Pressure",	   "a{sd}", property_get_pressure, 0),
	PROPERTY("CGroup",	   "s",	    property_get_cgroup, 0),
	PROPERTY("AsyncRate",	   "d",	    NULL, VIEW(figures.async_rate)),
	PROPERTY("SyncRate",	   "d",	    NULL, VIEW(figures.sync_rate)),
	PROPERTY("P50USec",	   "t",	    NULL, VIEW(figures.p50_usec)),
	PROPERTY("P95USec",	   "t",	    NULL, VIEW(figures.p95_usec)),
	PROPERTY("StallRatio",	   "d",	    NULL, VIEW(figures.stall_ratio)),
	PROPERTY("AsyncHistogram", "at",    property_get_histogram, VIEW(totals.hist_async)),
	PROPERTY("SyncHistogram",  "at",    property_get_histogram, VIEW(totals.hist_sync)),
#undef PROPERTY
	SD_BUS_VTABLE_END
};
/* clang-format on */

/* ---- objects ---- */

static int find_object(sd_bus *bus, const char *path, const char *interface, void *userdata,
		       void **ret_found, sd_bus_error *error)
{
	char uuid[NAME_UUID_LEN + 1];
	struct vm *vm;

	if (name_path_to_uuid(path, uuid) < 0)
		return 0;
	vm = manager_find_by_uuid(userdata, uuid);
	if (!vm)
		return 0;
	*ret_found = vm;
	return 1;
}

static int enumerate_objects(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
			     sd_bus_error *error)
{
	struct manager *m = userdata;
	char **nodes;
	struct vm *vm;
	size_t n = 0;

	/* sd-bus frees the list and its strings. */
	nodes = calloc(m->n_vms + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	TAILQ_FOREACH(vm, &m->vms, list) {
		nodes[n] = strdup(vm->path);
		if (!nodes[n]) {
			while (n > 0)
				free(nodes[--n]);
			free(nodes);
			return -ENOMEM;
		}
		n++;
	}
	*ret_nodes = nodes;
	return 0;
}

int vm_bus_register(struct manager *m)
{
	int r;

	r = sd_bus_add_fallback_vtable(m->bus, NULL, NAME_PATH_VM, VM_INTERFACE, vm_vtable,
				       find_object, m);
	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(m->bus, NULL, NAME_PATH_VM, enumerate_objects, m);
}
