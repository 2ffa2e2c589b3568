/* SPDX-License-Identifier: GPL-2.0 */
/* One running VM: its identity, its process, and the module's counters for it. */
#ifndef APFD_VM_H
#define APFD_VM_H

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "genl.h"
#include "governor.h"
#include "identity.h"
#include "memory-figures.h"
#include "memory.h"
#include "peak.h"
#include "pressure.h"
#include "proc.h"
#include "ratelimit.h"
#include "recall-pause.h"
#include "stats.h"
#include "uuid.h"
#include "virt.h"
#include "vm-settings.h"

struct context;

/* Common state of all gates of a VM; the first three are the values of enum apf_state. */
enum vm_state {
	VM_STATE_OFF = APF_STATE_OFF,
	VM_STATE_PV = APF_STATE_PV,
	VM_STATE_ON = APF_STATE_ON,
	VM_STATE_MIXED,
	VM_STATE_UNKNOWN,
	VM_STATE_MAX = VM_STATE_UNKNOWN
};

const char *vm_state_to_string(enum vm_state state);

/* vm_state_from_string: accepts only states that can be set. 0 or -EINVAL. */
int vm_state_from_string(const char *s, enum apf_state *ret);

/* Whether the guest's module reports about any vCPU. */
enum vm_guest_module {
	VM_GUEST_MODULE_ABSENT,
	VM_GUEST_MODULE_PRESENT,
	VM_GUEST_MODULE_UNKNOWN, /* while not watched */
};

const char *vm_guest_module_to_string(enum vm_guest_module state);

/**
 * struct vm_view - the properties of a VM on the bus, except name and lists; types as
 * sd-bus reads them. Two views are compared to find the changed properties.
 * @libvirt_id: -1 if none
 * @pid: 0 if not known
 * @watched: 0 or 1
 * @state: &enum vm_state
 * @since_usec: CLOCK_REALTIME, 0 while not watched
 * @swapped: memory of the VM on swap
 * @outstanding: sum over all vCPUs
 * @guest_module: &enum vm_guest_module
 * @guest: by &enum apf_guest_attr, sums over the vCPUs that report; for the age of the
 *	oldest sleeper, the maximum. AGE_MSEC is 0, so that two views with the same
 *	report are equal
 * @pressure: by &enum pressure_figure
 * @totals: sum over all vCPUs; at_usec is CLOCK_MONOTONIC
 */
struct vm_view {
	int32_t libvirt_id;
	uint32_t pid;
	int watched;
	int state;
	uint64_t since_usec;
	struct memory_swapped swapped;
	uint32_t outstanding;
	int guest_module;
	uint32_t guest[APF_GUEST_A_MAX + 1];
	double pressure[PRESSURE_FIGURE_MAX + 1];
	struct stats_figures figures;
	struct stats_totals totals;
};

/**
 * struct vm_reading - what a reading of the module's counters, that may go on for several turns of
 * the event loop, knows of a VM
 * @listed: the module has listed the VM in this reading
 * @must_read: the vCPUs must be read
 * @was_read: they were
 * @asked: with a request for this VM alone
 * @n_vcpus, @counters: as listed; @counters replace vm->sums when the vCPUs were read
 */
struct vm_reading {
	bool listed;
	bool must_read;
	bool was_read;
	bool asked;
	uint32_t n_vcpus;
	uint64_t counters[APF_STAT_MAX + 1];
};

/**
 * struct vm - owned by the manager's list
 * @path: D-Bus object path
 * @foreign: libvirt does not know the VM
 * @identity: of a foreign VM, else NULL
 * @vm_fd: descriptor of the KVM VM in the process; -1: the process has only one
 * @shadowed: another VM has the name or the UUID that this one claims, see vm-identity.h
 * @stale: the VM must be found again, because its identity has changed
 * @executable: path of the process's program, NULL while not known
 * @executable_changed: changed since the last PropertiesChanged signal
 * @has_pid_file: libvirt writes a PID file for the VM
 * @pidfd: of the process, -1 if not known
 * @module_id: the module's id of the VM, 0 while not watched
 * @gate: the state set for the VM as a whole, while watched
 * @leased: @gate has a lease
 * @gate_usec: time of the last change of a gate, CLOCK_MONOTONIC; 0 if none was changed
 * @why_unwatched: the reason, for people, while not watched
 * @access_refused: the reason is that the kernel does not let apfd access the process
 * @vcpus: sorted by index, from the last reading
 * @have_sample: the vCPUs have been read since the module watches the VM
 * @vcpu_states_changed: changed since the last PropertiesChanged signal
 * @paused_changed: the set of paused vCPUs has changed since that signal
 * @name_changed: changed since that signal
 * @announced: clients of the bus know the VM: InterfacesAdded was sent
 * @publish_late: a PropertiesChanged signal was not sent, because the bus did not read
 * @published: the view as last published on the bus
 * @settings: the modes, see vm-settings.h
 * @retries: number of failed attempts in a row to watch the VM
 * @warned: the failure was logged
 * @memory: figures from the files of the process and its control group
 * @memory_figures: of the bus property Memory, by &enum vm_memory
 * @peak_stall_ratio, @peak_latency_usec: of the intervals of the last minute
 * @waiting: share of the last interval spent waiting for pages
 * @sums: counters from the module's last listing after which the vCPUs were read or did not have
 *	to be
 * @reading: of the counters
 * @work: mask of &enum vm_work that is to be done, see vm-work.h
 * @working: entry of the list of VMs with work
 * @pass: number of the last pass over all VMs that this VM was in, see tick.c
 * @governor: decisions for the vCPUs
 * @recall_pause: when apfd itself may recall the VM's memory
 * @guest_warnings: rate limit for warnings about the guest in the log
 * @guest_notices: rate limit for other log entries about the guest; separate, so that
 *	notices cannot suppress warnings
 */
struct vm {
	TAILQ_ENTRY(vm) list;
	LIST_ENTRY(vm) same_hash;
	struct context *context;
	char uuid[UUID_LEN + 1];
	char path[UUID_PATH_LEN + 1];
	char *name;
	bool has_pid_file;
	bool foreign;
	struct identity *identity;
	int vm_fd;
	bool shadowed;
	bool stale;
	char *executable;
	bool executable_changed;
	int pidfd;
	sd_event_source *exit_source;
	sd_event_source *retry_source;
	unsigned int retries;
	bool warned;
	uint32_t module_id;
	enum apf_state gate;
	bool leased;
	uint64_t gate_usec;
	char why_unwatched[GENL_TEXT_MAX + PROC_REFUSAL_MAX];
	bool access_refused;
	struct genl_vcpu *vcpus;
	size_t n_vcpus;
	bool have_sample;
	bool vcpu_states_changed;
	bool paused_changed;
	bool name_changed;
	bool announced;
	bool publish_late;
	struct vm_settings settings;
	struct memory memory;
	struct memory_figures memory_figures;
	struct peak peak_stall_ratio;
	struct peak peak_latency_usec;
	double waiting;
	uint64_t sums[APF_STAT_MAX + 1];
	struct vm_reading reading;
	unsigned int work;
	TAILQ_ENTRY(vm) working;
	unsigned int pass;
	struct vm_view view;
	struct vm_view published;
	struct governor governor;
	struct recall_pause recall_pause;
	struct ratelimit guest_warnings;
	struct ratelimit guest_notices;
};

/* vm_new: does not insert the VM into the registry and does not attach it. 0 or -ENOMEM. */
int vm_new(struct context *c, const struct virt_domain *d, bool has_pid_file, struct vm **ret);
/* vm_free: @vm must not be in the registry, so that no work is left for it. */
struct vm *vm_free(struct vm *vm);
APF_DEFINE_CLEANUP(struct vm *, vm_free);

/* vm_clear_process: the process has ended. */
void vm_clear_process(struct vm *vm);

/* vm_unwatch: the module does not watch the VM (any more). @why is for people. */
void vm_unwatch(struct vm *vm, const char *why);

/* vm_gate_set: records @state for the vCPUs in @indices, or for the whole VM if there are none. */
void vm_gate_set(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices);

/* vm_lease_set: records whether these gates have a lease; arguments as for vm_gate_set(). */
void vm_lease_set(struct vm *vm, bool leased, const uint32_t *indices, size_t n_indices);

/* vm_set_paused: @vcpu is one of vm->vcpus. vm_unpause_all: marks no vCPU as paused. */
void vm_set_paused(struct vm *vm, struct genl_vcpu *vcpu, bool paused);
void vm_unpause_all(struct vm *vm);

/* vm_update_state, vm_update_guest: recompute these parts of the view from vm->vcpus. */
void vm_update_state(struct vm *vm);
void vm_update_guest(struct vm *vm);

/* vm_dump: logs the state of the VM as one line. */
void vm_dump(const struct vm *vm);

#endif /* APFD_VM_H */
