/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What apfd tells of the host, its VMs and their vCPUs, read from D-Bus messages.
 * No calls here: the callers have the messages.
 */
#ifndef APFCTL_VM_H
#define APFCTL_VM_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "apf/cleanup.h"
#include "guest.h"
#include "histogram.h"
#include "pressure.h"
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
	_COUNTER_MAX,
};

/**
 * struct counter_name - names of a counter
 * @bus: key of the D-Bus dictionary
 * @json: key in our JSON
 * @nsec: it counts nanoseconds, not events
 */
struct counter_name {
	const char *bus;
	const char *json;
	bool nsec;
};

extern const struct counter_name counter_names[_COUNTER_MAX];

/**
 * struct swap_device - an element of org.apfd.Manager1.Swap
 * @synchronous: it completes in the caller: nothing is left to wait for
 */
struct swap_device {
	char *path;
	char *kind;
	uint64_t size_bytes;
	uint64_t used_bytes;
	uint64_t reads;
	uint64_t read_latency_usec;
	bool synchronous;
};

/**
 * struct swap_devices - all of the host
 * @known: apfd told of them
 */
struct swap_devices {
	bool known;
	struct swap_device *all;
	size_t n;
};

/**
 * struct host - org.apfd.Manager1; fields as in org.apfd(5)
 *
 * An apfd older than the policy tells nothing from @config_files on.
 *
 * @config_files, @config_error: NULL if not told
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
 * An apfd older than the policy tells nothing from @mode on; NULL then.
 *
 * @path: its object; NULL if it is not from a list
 * @libvirt_id: -1 if none
 * @pid: 0 if not known
 * @guest_module: "present", "absent" or "unknown"
 * @guest: sum of what it reports of its vCPUs
 * @paused_vcpus: vCPUs whose gate is closed whatever their state says
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
	uint64_t counters[_COUNTER_MAX];
	uint32_t outstanding_pages;
	char *guest_module;
	struct guest_report guest;
	struct vcpu_list paused_vcpus;
	double async_per_sec;
	double sync_per_sec;
	uint64_t p50_usec;
	uint64_t p95_usec;
	double stall_ratio;
	struct histogram async;
	struct histogram sync;
	char *path;
	char *mode;
	char *mode_source;
	struct vcpu_modes vcpu_modes;
	struct pressure pressure;
	char *cgroup;
	char *manager;
	char *executable;
};

struct vm_list {
	struct vm *vms;
	size_t n;
};

/**
 * struct vcpu - an element of org.apfd.VM1.GetVCPUs()
 * @paused: the gate is closed whatever @state says
 * @guest: what the guest's module reports of it
 */
struct vcpu {
	uint32_t index;
	uint32_t vcpu_id;
	char *state;
	char *guest_apf;
	uint32_t outstanding_pages;
	uint64_t counters[_COUNTER_MAX];
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
 * All: read from the message's read position into an empty object, which is to
 * be cleared also after a failure. Return 0 or negative errno; after -EBADMSG
 * @ret_bad is the name of the property that is missing or of another type, or
 * NULL.
 */
int host_read(sd_bus_message *m, struct host *host, const char **ret_bad);
int vm_read(sd_bus_message *m, struct vm *vm, const char **ret_bad);
int vcpu_array_read(sd_bus_message *m, struct vcpu_array *array, const char **ret_bad);

/* The reply of GetManagedObjects(); the list is ordered by name, then UUID. */
int vm_list_read(sd_bus_message *m, struct vm_list *list, const char **ret_bad);

/* Whether SwappedBytes is a figure: without a process there is nothing to ask. */
static inline bool vm_knows_swapped(const struct vm *vm)
{
	return vm->pid > 0;
}

/* Name to show: the name, the UUID where there is none. */
const char *vm_label(const struct vm *vm);

/* Swap-ins seen: asynchronous and synchronous ones. */
uint64_t counters_swapins(const uint64_t counters[_COUNTER_MAX]);

#endif
