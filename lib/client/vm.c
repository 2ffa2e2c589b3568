// SPDX-License-Identifier: GPL-2.0
#include "vm.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "names.h"
#include "objects.h"
#include "props.h"
#include "stats.h"
#include "strv.h"

const struct counter_name counter_names[_COUNTER_MAX] = {
	[COUNTER_ASKED] = { APF_STAT_ASKED, "asked" },
	[COUNTER_REFUSED] = { APF_STAT_REFUSED, "refused" },
	[COUNTER_REFUSED_NESTED] = { APF_STAT_REFUSED_NESTED, "refused_nested" },
	[COUNTER_NOT_PRESENT] = { APF_STAT_NOT_PRESENT, "not_present" },
	[COUNTER_DELIVERED] = { APF_STAT_DELIVERED, "delivered" },
	[COUNTER_HALTED] = { APF_STAT_HALTED, "halted" },
	[COUNTER_READY] = { APF_STAT_READY, "ready" },
	[COUNTER_READY_UNKNOWN] = { APF_STAT_READY_UNKNOWN, "ready_unknown" },
	[COUNTER_READY_ALL] = { APF_STAT_READY_ALL, "ready_all" },
	[COUNTER_DROPPED] = { APF_STAT_DROPPED, "dropped" },
	[COUNTER_REPEATED] = { APF_STAT_REPEATED, "repeated" },
	[COUNTER_SYNC_STALLS] = { APF_STAT_SYNC_STALLS, "sync_stalls" },
	[COUNTER_SYNC_STALL_NSEC] = { APF_STAT_SYNC_STALL_NSEC, "sync_stall_nsec", true },
	[COUNTER_ASYNC_NSEC] = { APF_STAT_ASYNC_NSEC, "async_nsec", true },
	[COUNTER_NOWAIT] = { APF_STAT_NOWAIT, "nowait" },
	[COUNTER_PROBE_MISSES] = { APF_STAT_PROBE_MISSES, "probe_misses" },
	[COUNTER_REFUSED_PAUSED] = { APF_STAT_REFUSED_PAUSED, "refused_paused" },
	[COUNTER_BAD_REPORTS] = { APF_STAT_BAD_REPORTS, "bad_reports" },
	[COUNTER_SAVED_NSEC] = { APF_STAT_SAVED_NSEC, "saved_nsec", true },
};

static int read_counter(sd_bus_message *m, void *userdata)
{
	struct counters *counters = userdata;
	const char *name;
	uint64_t value;
	int r;

	r = sd_bus_message_read(m, "st", &name, &value);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < _COUNTER_MAX; i++) {
		if (strcmp(stats_count_names[counter_names[i].stat], name) == 0) {
			counters->value[i] = value;
			counters->known |= 1ULL << i;
		}
	}
	return 0;
}

/* A missing counter is not counted; an unknown counter of a newer apfd is skipped. */
static int read_counters(sd_bus_message *m, void *field)
{
	struct counters *counters = field;

	*counters = (struct counters){};
	return dict_read(m, "st", read_counter, counters);
}

static int read_outstanding(sd_bus_message *m, void *field)
{
	struct outstanding *outstanding = field;

	outstanding->known = true;
	return prop_read_basic(m, &outstanding->pages);
}

static int read_vcpu_mode(sd_bus_message *m, void *userdata)
{
	struct vcpu_modes *modes = userdata;
	struct vcpu_mode *all, entry = {};
	const char *mode;
	int r;

	r = sd_bus_message_read(m, "us", &entry.index, &mode);
	if (r < 0)
		return r;
	all = reallocarray(modes->all, modes->n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	modes->all = all;
	entry.mode = strdup(mode);
	if (!entry.mode)
		return -ENOMEM;
	all[modes->n++] = entry;
	return 0;
}

static int compare_vcpu_modes(const void *a, const void *b)
{
	const struct vcpu_mode *mode_a = a, *mode_b = b;

	return mode_a->index < mode_b->index ? -1 : mode_a->index > mode_b->index;
}

static int read_vcpu_modes(sd_bus_message *m, void *field)
{
	struct vcpu_modes *modes = field;
	int r;

	r = dict_read(m, "us", read_vcpu_mode, modes);
	if (r >= 0 && modes->n > 0)
		qsort(modes->all, modes->n, sizeof(*modes->all), compare_vcpu_modes);
	return r;
}

#define SWAP(name, type, read, field, ...)                                         \
	{                                                                          \
		name, type, read, offsetof(struct swap_device, field), __VA_ARGS__ \
	}
static const struct prop swap_props[] = {
	SWAP("Path", "s", prop_read_string, path),
	SWAP("Kind", "s", prop_read_string, kind),
	SWAP("Size", "t", prop_read_basic, size_bytes),
	SWAP("Used", "t", prop_read_basic, used_bytes),
	SWAP("Reads", "t", prop_read_basic, reads),
	SWAP("ReadLatencyUSec", "t", prop_read_basic, read_latency_usec),
	SWAP("ReadUSec", "t", prop_read_basic, read_usec, .optional = true),
	SWAP("Synchronous", "b", prop_read_bool, synchronous),
};

static int append_swap(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct swap_devices *devices = userdata;
	struct swap_device *all = reallocarray(devices->all, devices->n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	devices->all = all;
	all[devices->n] = (struct swap_device){ .read_usec = UINT64_MAX };
	return props_read(m, swap_props, ELEMENTSOF(swap_props), &all[devices->n++], ret_bad);
}

static int read_swap(sd_bus_message *m, void *field)
{
	struct swap_devices *devices = field;
	const char *bad;

	devices->known = true;
	return props_read_array(m, append_swap, devices, &bad);
}

#define HOOK(name, type, read, field)                               \
	{                                                           \
		name, type, read, offsetof(struct host_hook, field) \
	}
static const struct prop hook_props[] = {
	HOOK("Name", "s", prop_read_string, name),
	HOOK("Placed", "b", prop_read_bool, placed),
	HOOK("Required", "b", prop_read_bool, required),
	HOOK("On", "s", prop_read_string, on),
	HOOK("Error", "s", prop_read_string, error),
	HOOK("Takes", "as", prop_read_strv, takes),
};

static int append_hook(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct host_hooks *hooks = userdata;
	struct host_hook *all = reallocarray(hooks->all, hooks->n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	hooks->all = all;
	all[hooks->n] = (struct host_hook){};
	return props_read(m, hook_props, ELEMENTSOF(hook_props), &all[hooks->n++], ret_bad);
}

static int read_hooks(sd_bus_message *m, void *field)
{
	struct host_hooks *hooks = field;
	const char *bad;

	hooks->known = true;
	return props_read_array(m, append_hook, hooks, &bad);
}

#define HOST(name, type, read, field, ...)                                  \
	{                                                                   \
		name, type, read, offsetof(struct host, field), __VA_ARGS__ \
	}
static const struct prop host_props[] = {
	HOST("Version", "s", prop_read_string, version),
	HOST("HostModule", "s", prop_read_string, host_module),
	HOST("HostModuleVersion", "s", prop_read_string, host_module_version),
	HOST("NoWaitSwapin", "s", prop_read_string, nowait_swapin),
	HOST("NestedGuard", "b", prop_read_bool, nested_guard),
	HOST("Libvirt", "s", prop_read_string, libvirt),
	HOST("LibvirtURI", "s", prop_read_string, libvirt_uri),
	HOST("ConfigFiles", "as", prop_read_strv, config_files, .optional = true),
	HOST("ConfigError", "s", prop_read_string, config_error, .optional = true),
	HOST("DryRun", "b", prop_read_bool, dry_run, .optional = true),
	HOST("Swap", "aa{sv}", read_swap, swap, .optional = true),
	HOST("Hooks", "aa{sv}", read_hooks, hooks, .optional = true),
	HOST("MemoryState", "s", prop_read_string, memory_state, .optional = true),
	HOST("Memory", "a{st}", prop_read_host_memory, memory, .optional = true),
	HOST("Pressure", "a{sd}", prop_read_host_pressure, pressure, .optional = true),
	HOST("Nodes", "aa{sv}", prop_read_host_nodes, nodes, .optional = true),
	HOST("AutoRecall", "a{sv}", prop_read_auto_recall, auto_recall, .optional = true),
};

#define VM(name, type, read, field, ...)                                  \
	{                                                                 \
		name, type, read, offsetof(struct vm, field), __VA_ARGS__ \
	}
static const struct prop vm_props[] = {
	VM("UUID", "s", prop_read_string, uuid),
	VM("Name", "s", prop_read_string, name),
	VM("LibvirtID", "i", prop_read_basic, libvirt_id),
	VM("PID", "u", prop_read_basic, pid),
	VM("Watched", "b", prop_read_bool, watched),
	VM("State", "s", prop_read_string, state),
	VM("VCPUStates", "as", prop_read_strv, vcpu_states),
	VM("Since", "t", prop_read_basic, since_usec),
	VM("SwappedBytes", "t", prop_read_basic, swapped_bytes),
	VM("Counters", "a{st}", read_counters, counters),
	VM("Outstanding", "u", read_outstanding, outstanding),
	VM("GuestModule", "s", prop_read_string, guest_module),
	VM("GuestReport", "a{su}", prop_read_guest_report, guest),
	VM("PausedVCPUs", "au", prop_read_vcpus, paused_vcpus),
	VM("AsyncRate", "d", prop_read_basic, async_per_sec),
	VM("SyncRate", "d", prop_read_basic, sync_per_sec),
	VM("P50USec", "t", prop_read_basic, p50_usec),
	VM("P95USec", "t", prop_read_basic, p95_usec),
	VM("StallRatio", "d", prop_read_basic, stall_ratio),
	VM("SavedUSec", "t", prop_read_basic, saved_usec, .optional = true),
	VM("SavedRatio", "d", prop_read_basic, saved_ratio, .optional = true),
	VM("AsyncHistogram", "at", prop_read_histogram, async),
	VM("SyncHistogram", "at", prop_read_histogram, sync),
	VM("Mode", "s", prop_read_string, mode, .optional = true),
	VM("ModeSource", "s", prop_read_string, mode_source, .optional = true),
	VM("VCPUModes", "a{us}", read_vcpu_modes, vcpu_modes, .optional = true),
	VM("Pressure", "a{sd}", prop_read_pressure, pressure, .optional = true),
	VM("CGroup", "s", prop_read_string, cgroup, .optional = true),
	VM("Manager", "s", prop_read_string, manager, .optional = true),
	VM("ID", "s", prop_read_string, id, .optional = true),
	VM("VMM", "s", prop_read_string, vmm, .optional = true),
	VM("Executable", "s", prop_read_string, executable, .optional = true),
	VM("AutoRecall", "a{sv}", prop_read_auto_recall, auto_recall, .optional = true),
	VM("SwappedSource", "s", prop_read_string, swapped_source, .optional = true),
	VM("PeakStallRatio", "d", prop_read_basic, peak_stall_ratio, .optional = true),
	VM("PeakLatencyUSec", "t", prop_read_basic, peak_latency_usec, .optional = true),
	VM("Memory", "a{st}", prop_read_vm_memory, memory, .optional = true),
	VM("NodeMemory", "a{st}", prop_read_vm_nodes, nodes, .optional = true),
	VM("NotCounted", "as", prop_read_strv, not_counted, .optional = true),
};

#define VCPU(name, type, read, field, ...)                                  \
	{                                                                   \
		name, type, read, offsetof(struct vcpu, field), __VA_ARGS__ \
	}
static const struct prop vcpu_props[] = {
	VCPU("Index", "u", prop_read_basic, index),
	VCPU("VCPUID", "u", prop_read_basic, vcpu_id),
	VCPU("State", "s", prop_read_string, state),
	VCPU("GuestAPF", "s", prop_read_string, guest_apf),
	VCPU("Outstanding", "u", read_outstanding, outstanding, .optional = true),
	VCPU("Counters", "a{st}", read_counters, counters),
	VCPU("AsyncHistogram", "at", prop_read_histogram, async, .optional = true),
	VCPU("SyncHistogram", "at", prop_read_histogram, sync, .optional = true),
	VCPU("Paused", "b", prop_read_bool, paused),
	VCPU("GuestReport", "a{su}", prop_read_guest_report, guest, .optional = true),
};

void host_clear(struct host *host)
{
	free(host->version);
	free(host->host_module);
	free(host->host_module_version);
	free(host->nowait_swapin);
	free(host->libvirt);
	free(host->libvirt_uri);
	strv_free(host->config_files);
	free(host->config_error);
	for (size_t i = 0; i < host->swap.n; i++) {
		free(host->swap.all[i].path);
		free(host->swap.all[i].kind);
	}
	free(host->swap.all);
	for (size_t i = 0; i < host->hooks.n; i++) {
		free(host->hooks.all[i].name);
		free(host->hooks.all[i].on);
		free(host->hooks.all[i].error);
		strv_free(host->hooks.all[i].takes);
	}
	free(host->hooks.all);
	free(host->memory_state);
	auto_recall_clear(&host->auto_recall);
	nodes_memory_clear(&host->nodes);
	*host = (struct host){};
}

void vm_clear(struct vm *vm)
{
	free(vm->uuid);
	free(vm->name);
	free(vm->state);
	free(vm->guest_module);
	strv_free(vm->vcpu_states);
	free(vm->path);
	free(vm->mode);
	free(vm->mode_source);
	for (size_t i = 0; i < vm->vcpu_modes.n; i++)
		free(vm->vcpu_modes.all[i].mode);
	free(vm->vcpu_modes.all);
	free(vm->cgroup);
	free(vm->manager);
	free(vm->id);
	free(vm->vmm);
	free(vm->executable);
	free(vm->swapped_source);
	auto_recall_clear(&vm->auto_recall);
	nodes_memory_clear(&vm->nodes);
	strv_free(vm->not_counted);
	*vm = (struct vm){};
}

void vm_list_clear(struct vm_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		vm_clear(&list->vms[i]);
	free(list->vms);
	*list = (struct vm_list){};
}

void vcpu_array_clear(struct vcpu_array *array)
{
	for (size_t i = 0; i < array->n; i++) {
		free(array->vcpus[i].state);
		free(array->vcpus[i].guest_apf);
	}
	free(array->vcpus);
	*array = (struct vcpu_array){};
}

static int read_object(sd_bus_message *m, const struct prop *props, size_t n_props, void *object,
		       const char **ret_bad)
{
	const struct prop *bad;
	int r;

	r = props_read(m, props, n_props, object, &bad);
	if (r < 0)
		*ret_bad = bad ? bad->name : NULL;
	return r;
}

int host_read(sd_bus_message *m, struct host *host, const char **ret_bad)
{
	return read_object(m, host_props, ELEMENTSOF(host_props), host, ret_bad);
}

/* apfd sends 0 for mandatory figures that cannot be counted: mark them as not known. */
static void clear_uncounted(struct vm *vm)
{
	const struct {
		const char *name;
		double *figure;
	} rates[] = {
		{ "AsyncRate", &vm->async_per_sec },
		{ "SyncRate", &vm->sync_per_sec },
		{ "StallRatio", &vm->stall_ratio },
		{ "PeakStallRatio", &vm->peak_stall_ratio },
		{ "SavedRatio", &vm->saved_ratio },
	};

	vm->latency_known = true;
	for (char **name = vm->not_counted; name && *name; name++) {
		for (size_t i = 0; i < ELEMENTSOF(rates); i++)
			if (strcmp(*name, rates[i].name) == 0)
				*rates[i].figure = NAN;
		if (strcmp(*name, "Outstanding") == 0)
			vm->outstanding = (struct outstanding){};
		/* Both are computed from the same histograms. */
		if (strcmp(*name, "P50USec") == 0 || strcmp(*name, "P95USec") == 0)
			vm->latency_known = false;
		if (strcmp(*name, "PeakLatencyUSec") == 0)
			vm->peak_latency_usec = UINT64_MAX;
	}
}

int vm_read(sd_bus_message *m, struct vm *vm, const char **ret_bad)
{
	int r;

	/* An older apfd does not send these. */
	vm->peak_stall_ratio = NAN;
	vm->peak_latency_usec = UINT64_MAX;
	/* An apfd that is older than the figure does not send it. */
	vm->saved_ratio = NAN;
	r = read_object(m, vm_props, ELEMENTSOF(vm_props), vm, ret_bad);
	if (r >= 0)
		clear_uncounted(vm);
	return r;
}

static int append_vcpu(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct vcpu_array *array = userdata;
	struct vcpu *vcpus = reallocarray(array->vcpus, array->n + 1, sizeof(*vcpus));

	if (!vcpus)
		return -ENOMEM;
	array->vcpus = vcpus;
	vcpus[array->n] = (struct vcpu){};
	return props_read(m, vcpu_props, ELEMENTSOF(vcpu_props), &vcpus[array->n++], ret_bad);
}

int vcpu_array_read(sd_bus_message *m, struct vcpu_array *array, const char **ret_bad)
{
	return props_read_array(m, append_vcpu, array, ret_bad);
}

static int vm_list_append(const char *path, sd_bus_message *m, void *userdata, const char **ret_bad)
{
	struct vm_list *list = userdata;
	struct vm *vms = reallocarray(list->vms, list->n + 1, sizeof(*vms)), *vm;

	if (!vms)
		return -ENOMEM;
	list->vms = vms;
	vm = &vms[list->n++];
	*vm = (struct vm){ .path = strdup(path) };
	if (!vm->path)
		return -ENOMEM;
	return vm_read(m, vm, ret_bad);
}

static int compare_vms(const void *a, const void *b)
{
	const struct vm *vm_a = a, *vm_b = b;
	/* strverscmp() sorts web2 before web10. */
	int order = strverscmp(vm_label(vm_a), vm_label(vm_b));

	return order ?: strcmp(vm_a->uuid, vm_b->uuid);
}

int vm_list_read(sd_bus_message *m, struct vm_list *list, const char **ret_bad)
{
	int r;

	*ret_bad = NULL;
	r = objects_read(m, vm_list_append, list, ret_bad);
	if (r < 0)
		return r;
	if (list->n > 0)
		qsort(list->vms, list->n, sizeof(*list->vms), compare_vms);
	return 0;
}

const char *vm_label(const struct vm *vm)
{
	return vm->name[0] != '\0' ? vm->name : vm->uuid;
}

bool vm_swapped_known(const struct vm *vm)
{
	return vm->pid > 0 &&
	       (!vm->swapped_source || strcmp(vm->swapped_source, NAME_UNKNOWN) != 0);
}

bool counters_swapins_known(const struct counters *counters)
{
	return counter_known(counters, COUNTER_READY) &&
	       counter_known(counters, COUNTER_SYNC_STALLS);
}

uint64_t counters_swapins(const struct counters *counters)
{
	return counters->value[COUNTER_READY] + counters->value[COUNTER_SYNC_STALLS];
}
