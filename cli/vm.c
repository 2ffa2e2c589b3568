// SPDX-License-Identifier: GPL-2.0
#include "vm.h"

#include <errno.h>
#include <string.h>

#include "objects.h"
#include "props.h"
#include "strv.h"

const struct counter_name counter_names[_COUNTER_MAX] = {
	[COUNTER_ASKED] = { "Asked", "asked" },
	[COUNTER_REFUSED] = { "Refused", "refused" },
	[COUNTER_REFUSED_NESTED] = { "RefusedNested", "refused_nested" },
	[COUNTER_NOT_PRESENT] = { "NotPresent", "not_present" },
	[COUNTER_DELIVERED] = { "Delivered", "delivered" },
	[COUNTER_HALTED] = { "Halted", "halted" },
	[COUNTER_READY] = { "Ready", "ready" },
	[COUNTER_READY_UNKNOWN] = { "ReadyUnknown", "ready_unknown" },
	[COUNTER_READY_ALL] = { "ReadyAll", "ready_all" },
	[COUNTER_DROPPED] = { "Dropped", "dropped" },
	[COUNTER_REPEATED] = { "Repeated", "repeated" },
	[COUNTER_SYNC_STALLS] = { "SyncStalls", "sync_stalls" },
	[COUNTER_SYNC_STALL_NSEC] = { "SyncStallNSec", "sync_stall_nsec", true },
	[COUNTER_ASYNC_NSEC] = { "AsyncNSec", "async_nsec", true },
	[COUNTER_NOWAIT] = { "NoWait", "nowait" },
	[COUNTER_PROBE_MISSES] = { "ProbeMisses", "probe_misses" },
	[COUNTER_REFUSED_PAUSED] = { "RefusedPaused", "refused_paused" },
	[COUNTER_BAD_REPORTS] = { "BadReports", "bad_reports" },
};

struct counters_reading {
	uint64_t *counters;
	uint64_t seen;
};

static int read_counter(sd_bus_message *m, void *userdata)
{
	struct counters_reading *reading = userdata;
	const char *name;
	uint64_t value;
	int r;

	r = sd_bus_message_read(m, "st", &name, &value);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < _COUNTER_MAX; i++) {
		if (strcmp(counter_names[i].bus, name) == 0) {
			reading->counters[i] = value;
			reading->seen |= 1ULL << i;
		}
	}
	return 0;
}

/* All counters must be there; those of a newer apfd are skipped. */
static int read_counters(sd_bus_message *m, void *field)
{
	struct counters_reading reading = { .counters = field };
	int r;

	r = dict_read(m, "st", read_counter, &reading);
	if (r < 0)
		return r;
	return reading.seen == (1ULL << _COUNTER_MAX) - 1 ? 0 : -EBADMSG;
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

#define SWAP(name, type, read, field)                                 \
	{                                                             \
		name, type, read, offsetof(struct swap_device, field) \
	}
static const struct prop swap_props[] = {
	SWAP("Path", "s", prop_read_string, path),
	SWAP("Kind", "s", prop_read_string, kind),
	SWAP("Size", "t", prop_read_basic, size_bytes),
	SWAP("Used", "t", prop_read_basic, used_bytes),
	SWAP("Reads", "t", prop_read_basic, reads),
	SWAP("ReadLatencyUSec", "t", prop_read_basic, read_latency_usec),
	SWAP("Synchronous", "b", prop_read_bool, synchronous),
};

static int append_swap(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct swap_devices *devices = userdata;
	struct swap_device *all = reallocarray(devices->all, devices->n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	devices->all = all;
	all[devices->n] = (struct swap_device){};
	return props_read(m, swap_props, ELEMENTSOF(swap_props), &all[devices->n++], ret_bad);
}

static int read_swap(sd_bus_message *m, void *field)
{
	struct swap_devices *devices = field;
	const char *bad;

	devices->known = true;
	return props_read_array(m, append_swap, devices, &bad);
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
	VM("Outstanding", "u", prop_read_basic, outstanding_pages),
	VM("GuestModule", "s", prop_read_string, guest_module),
	VM("GuestReport", "a{su}", prop_read_guest_sum, guest),
	VM("PausedVCPUs", "au", prop_read_vcpus, paused_vcpus),
	VM("AsyncRate", "d", prop_read_basic, async_per_sec),
	VM("SyncRate", "d", prop_read_basic, sync_per_sec),
	VM("P50USec", "t", prop_read_basic, p50_usec),
	VM("P95USec", "t", prop_read_basic, p95_usec),
	VM("StallRatio", "d", prop_read_basic, stall_ratio),
	VM("AsyncHistogram", "at", prop_read_histogram, async),
	VM("SyncHistogram", "at", prop_read_histogram, sync),
	VM("Mode", "s", prop_read_string, mode, .optional = true),
	VM("ModeSource", "s", prop_read_string, mode_source, .optional = true),
	VM("VCPUModes", "a{us}", read_vcpu_modes, vcpu_modes, .optional = true),
	VM("Pressure", "a{sd}", prop_read_pressure, pressure, .optional = true),
	VM("CGroup", "s", prop_read_string, cgroup, .optional = true),
	VM("Manager", "s", prop_read_string, manager, .optional = true),
	VM("Executable", "s", prop_read_string, executable, .optional = true),
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
	VCPU("Outstanding", "u", prop_read_basic, outstanding_pages),
	VCPU("Counters", "a{st}", read_counters, counters),
	VCPU("AsyncHistogram", "at", prop_read_histogram, async),
	VCPU("SyncHistogram", "at", prop_read_histogram, sync),
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
	free(vm->executable);
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

int vm_read(sd_bus_message *m, struct vm *vm, const char **ret_bad)
{
	return read_object(m, vm_props, ELEMENTSOF(vm_props), vm, ret_bad);
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
	/* web2 before web10. */
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

uint64_t counters_swapins(const uint64_t counters[_COUNTER_MAX])
{
	return counters[COUNTER_READY] + counters[COUNTER_SYNC_STALLS];
}
