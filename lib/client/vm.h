/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host, its VMs and their vCPUs, read from D-Bus messages that the caller has
 * received.
 */
#ifndef APFCTL_VM_H
#define APFCTL_VM_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include <uapi/apf_host.h>

#include "apf/cleanup.h"
#include "guest.h"
#include "histogram.h"
#include "memory.h"
#include "pressure.h"
#include "recall.h"
#include "vcpu-list.h"

/* Counters of apf_host(4). */
enum counter {
	COUNTER_ASKED,
	COUNTER_REFUSED,
	COUNTER_REFUSED_NESTED,
	COUNTER_NOT_PRESENT,
	COUNTER_DELIVERED,
	COUNTER_HALTED,
	COUNTER_READY,
	COUNTER_READY_UNKNOWN,
	COUNTER_READY_ALL,
	COUNTER_DROPPED,
	COUNTER_REPEATED,
	COUNTER_SYNC_STALLS,
	COUNTER_SYNC_STALL_NSEC,
	COUNTER_ASYNC_NSEC,
	COUNTER_NOWAIT,
	COUNTER_PROBE_MISSES,
	COUNTER_REFUSED_PAUSED,
	COUNTER_BAD_REPORTS,
	COUNTER_SAVED_NSEC,
	_COUNTER_MAX,
};

/**
 * struct counter_name - names of a counter
 * @stat: index into stats_count_names, which has the key on the bus
 * @json: key in the JSON output
 * @nsec: the counter has nanoseconds, not events
 */
struct counter_name {
	enum apf_stat stat;
	const char *json;
	bool nsec;
};

extern const struct counter_name counter_names[_COUNTER_MAX];

/**
 * struct counters - counters of a VM or a vCPU
 * @value: indexed by &enum counter; 0 if not counted
 * @known: a bit for each counter that can be counted on the host's kernel
 */
struct counters {
	uint64_t value[_COUNTER_MAX];
	uint64_t known;
};

static inline bool counter_known(const struct counters *counters, enum counter counter)
{
	return counters->known & (1ULL << counter);
}

/**
 * struct outstanding - pages that the vCPUs wait for
 * @known: the pages can be counted on the host's kernel
 */
struct outstanding {
	bool known;
	uint32_t pages;
};

/**
 * struct host_hook - an element of org.apfd.Manager1.Hooks
 */
struct host_hook {
	char *name;
	bool placed;
	bool required;
	char *on;
	char *error;
	char **takes;
};

/**
 * struct host_hooks - all hooks of the host module
 * @known: apfd sent them
 */
struct host_hooks {
	bool known;
	struct host_hook *all;
	size_t n;
};

/**
 * struct swap_device - an element of org.apfd.Manager1.Swap
 * @read_usec: total time of @reads; UINT64_MAX if apfd did not send it
 * @synchronous: reads complete in the calling task, so a fault cannot be asynchronous
 */
struct swap_device {
	char *path;
	char *kind;
	uint64_t size_bytes;
	uint64_t used_bytes;
	uint64_t reads;
	uint64_t read_latency_usec;
	uint64_t read_usec;
	bool synchronous;
};

/**
 * struct swap_devices - all swap devices of the host
 * @known: apfd sent them
 */
struct swap_devices {
	bool known;
	struct swap_device *all;
	size_t n;
};

/**
 * struct host - org.apfd.Manager1; fields as in org.apfd(5)
 *
 * An apfd older than the policy does not send @config_files and what follows.
 *
 * @config_files, @config_error: NULL if not sent
 * @memory_state: NULL if not sent
 * @memory, @pressure: without figures if not sent
 */
struct host {
	char *version;
	char *host_module;
	char *host_module_version;
	char *nowait_swapin;
	bool nested_guard;
	char *libvirt;
	char *libvirt_uri;
	char **config_files;
	char *config_error;
	bool dry_run;
	struct swap_devices swap;
	struct host_hooks hooks;
	char *memory_state;
	struct memory_figures memory;
	struct host_pressure_figures pressure;
	struct nodes_memory nodes;
	struct auto_recall auto_recall;
};

/**
 * struct vcpu_mode - a vCPU whose mode is not the VM's
 */
struct vcpu_mode {
	uint32_t index;
	char *mode;
};

struct vcpu_modes {
	struct vcpu_mode *all;
	size_t n;
};

/**
 * struct vm - org.apfd.VM1; fields as in org.apfd(5)
 *
 * An apfd older than the policy does not send @mode and what follows; they are NULL.
 *
 * @id, @vmm: "" if none
 * @path: D-Bus object; only set by vm_list_read()
 * @libvirt_id: -1 if none
 * @pid: 0 if not known
 * @guest_module: "present", "absent" or "unknown"
 * @guest: sum of the guest module's reports of all vCPUs
 * @paused_vcpus: vCPUs whose gate is closed although their state says otherwise
 * @async_per_sec, @sync_per_sec, @stall_ratio, @saved_ratio: NAN if not counted
 * @saved_usec: 0 if @saved_ratio is NAN
 * @latency_known: @p50_usec and @p95_usec are counted
 * @async, @sync: without buckets if not counted
 * @swapped_source: where @swapped_bytes is from; NULL if apfd did not send it
 * @peak_stall_ratio: of the last minute; NAN if not counted or not sent
 * @peak_latency_usec: of the last minute; UINT64_MAX if not counted or not sent
 * @memory, @nodes: without figures if not sent
 * @not_counted: bus names of the figures that are not counted; NULL if apfd did not send it
 */
struct vm {
	char *uuid;
	char *name;
	int32_t libvirt_id;
	uint32_t pid;
	bool watched;
	char *state;
	char **vcpu_states;
	uint64_t since_usec;
	uint64_t swapped_bytes;
	struct counters counters;
	struct outstanding outstanding;
	char *guest_module;
	struct guest_report guest;
	struct vcpu_list paused_vcpus;
	double async_per_sec;
	double sync_per_sec;
	bool latency_known;
	uint64_t p50_usec;
	uint64_t p95_usec;
	double stall_ratio;
	double saved_ratio;
	uint64_t saved_usec;
	struct histogram async;
	struct histogram sync;
	char *path;
	char *mode;
	char *mode_source;
	struct vcpu_modes vcpu_modes;
	struct pressure pressure;
	char *cgroup;
	char *manager;
	char *id;
	char *vmm;
	char *executable;
	char *swapped_source;
	double peak_stall_ratio;
	uint64_t peak_latency_usec;
	struct memory_figures memory;
	struct nodes_memory nodes;
	struct auto_recall auto_recall;
	char **not_counted;
};

struct vm_list {
	struct vm *vms;
	size_t n;
};

/**
 * struct vcpu - an element of org.apfd.VM1.GetVCPUs()
 * @paused: the gate is closed although @state says otherwise
 * @guest: report of the guest's module for this vCPU
 */
struct vcpu {
	uint32_t index;
	uint32_t vcpu_id;
	char *state;
	char *guest_apf;
	struct outstanding outstanding;
	struct counters counters;
	struct histogram async;
	struct histogram sync;
	bool paused;
	struct guest_report guest;
};

struct vcpu_array {
	struct vcpu *vcpus;
	size_t n;
};

void host_clear(struct host *host);
void vm_clear(struct vm *vm);
void vm_list_clear(struct vm_list *list);
void vcpu_array_clear(struct vcpu_array *array);

/*
 * All functions read from the message's read position into an empty object. The caller
 * clears the object, also after a failure. They return 0 or a negative errno; after
 * -EBADMSG, @ret_bad is the name of the property that is missing or has another type,
 * or NULL.
 */
int host_read(sd_bus_message *m, struct host *host, const char **ret_bad);
int vm_read(sd_bus_message *m, struct vm *vm, const char **ret_bad);
int vcpu_array_read(sd_bus_message *m, struct vcpu_array *array, const char **ret_bad);

/* Reads the reply of ListVMs() or GetManagedObjects(); the list is sorted by name, then UUID. */
int vm_list_read(sd_bus_message *m, struct vm_list *list, const char **ret_bad);

/* False if SwappedBytes is 0 because there is no figure. */
bool vm_swapped_known(const struct vm *vm);

/* Name to show: the VM's name, or its UUID if the name is empty. */
const char *vm_label(const struct vm *vm);

/* True if both kinds of swap-ins are counted. */
bool counters_swapins_known(const struct counters *counters);

/* Sum of asynchronous and synchronous swap-ins, as far as they are counted. */
uint64_t counters_swapins(const struct counters *counters);

#endif
