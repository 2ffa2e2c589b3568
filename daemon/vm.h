/* SPDX-License-Identifier: GPL-2.0 */
/* One running VM: who it is, its process, what the module counts for it. */
#ifndef APFD_VM_H
#define APFD_VM_H

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "cgroup.h"
#include "foreign.h"
#include "genl.h"
#include "governor.h"
#include "name.h"
#include "pressure.h"
#include "ratelimit.h"
#include "stats.h"
#include "virt.h"
#include "vm-settings.h"

struct manager;

/* State of a VM's gates as a whole; the first three are enum apf_state. */
enum vm_state {
	VM_STATE_OFF = APF_STATE_OFF,
	VM_STATE_PV = APF_STATE_PV,
	VM_STATE_ON = APF_STATE_ON,
	VM_STATE_MIXED,
	VM_STATE_UNKNOWN,
	VM_STATE_MAX = VM_STATE_UNKNOWN
};

const char *vm_state_to_string(enum vm_state state);

/* vm_state_from_string: only states that can be set. 0 or -EINVAL. */
int vm_state_from_string(const char *s, enum apf_state *ret);

/* Does the guest's module report about any vCPU? */
enum vm_guest_module {
	VM_GUEST_MODULE_ABSENT,
	VM_GUEST_MODULE_PRESENT,
	VM_GUEST_MODULE_UNKNOWN, /* while not watched */
};

const char *vm_guest_module_to_string(enum vm_guest_module state);

/* vm_guest_event_to_string: for the events about a report; NULL for the others. */
const char *vm_guest_event_to_string(enum apf_event type);

/**
 * struct vm_view - what the bus shows of a VM, besides name and lists; types as
 * sd-bus reads them. Two views are compared to find what changed.
 * @libvirt_id: -1 if none
 * @pid: 0 if not known
 * @watched: 0 or 1
 * @state: &enum vm_state
 * @since_usec: CLOCK_REALTIME, 0 while not watched
 * @swapped_bytes: of the process
 * @outstanding: sum over all vCPUs
 * @guest_module: &enum vm_guest_module
 * @guest: by &enum apf_guest_attr, sums over the vCPUs that report, the oldest
 *	sleeper the oldest of them; AGE_MSEC is left 0, so that reports that are
 *	the same look the same
 * @pressure: by &enum pressure_figure
 * @totals: sum over all vCPUs; at_usec is CLOCK_MONOTONIC
 */
struct vm_view {
	int32_t libvirt_id;
	uint32_t pid;
	int watched;
	int state;
	uint64_t since_usec;
	uint64_t swapped_bytes;
	uint32_t outstanding;
	int guest_module;
	uint32_t guest[APF_GUEST_A_MAX + 1];
	double pressure[PRESSURE_FIGURE_MAX + 1];
	struct stats_figures figures;
	struct stats_totals totals;
};

/**
 * struct vm - owned by the manager's list
 * @path: object path
 * @foreign: libvirt does not know it
 * @executable: file name of the process's program, NULL while not known
 * @executable_changed: since the last PropertiesChanged
 * @has_pid_file: libvirt leaves a PID file for it
 * @pidfd: of the process, -1 if not known
 * @module_id: the module's name of it, 0 while not watched
 * @gate: the state given to the VM as a whole, while watched
 * @gate_usec: when a gate of it was last moved, CLOCK_MONOTONIC; 0 if never
 * @why_unwatched: for people, while not watched
 * @vcpus: by index, as last read
 * @have_sample: view.totals is from the module and not the start
 * @vcpu_states_changed: since the last PropertiesChanged
 * @paused_changed: likewise, which vCPUs are paused
 * @name_changed: likewise
 * @published: the view that the bus was told last
 * @settings: its modes, see vm-settings.h
 * @retries: attempts to watch it that failed in a row
 * @complained: that was logged
 * @cgroup_changed: likewise
 * @cgroup: of its process, NULL if that is in none that accounts memory
 * @psi_source: tells of waiting for memory in it; only while it has something
 *	on swap, because the kernel has a thread for each
 * @psi_refused: the kernel does not allow that
 * @pressure: earlier readings of its files
 * @waiting: share of the last interval in which pages were waited for
 * @sums: counters of the module's last listing
 * @due: its vCPUs are read with this tick
 * @active: something was swapped in lately: its files are worth reading
 * @looks: at its files while it was active
 * @status_swap_bytes: on swap by its cgroup when its process was last looked at
 * @governor: what is decided for its vCPUs
 * @guest_warnings: events of the guest that are bad news, in the log
 * @guest_notices: the others, which must not take the place of those
 */
struct vm {
	TAILQ_ENTRY(vm) list;
	LIST_ENTRY(vm) same_hash;
	struct manager *manager;
	char uuid[NAME_UUID_LEN + 1];
	char path[NAME_PATH_LEN + 1];
	char *name;
	bool has_pid_file;
	bool foreign;
	char *executable;
	bool executable_changed;
	int pidfd;
	sd_event_source *exit_source;
	sd_event_source *retry_source;
	unsigned int retries;
	bool complained;
	uint32_t module_id;
	enum apf_state gate;
	uint64_t gate_usec;
	char why_unwatched[GENL_TEXT_MAX + 64];
	struct genl_vcpu *vcpus;
	size_t n_vcpus;
	bool have_sample;
	bool vcpu_states_changed;
	bool paused_changed;
	bool name_changed;
	struct vm_settings settings;
	bool cgroup_changed;
	struct cgroup *cgroup;
	sd_event_source *psi_source;
	bool psi_refused;
	struct pressure pressure;
	double waiting;
	uint64_t sums[APF_STAT_MAX + 1];
	bool due;
	bool active;
	unsigned int looks;
	uint64_t status_swap_bytes;
	struct vm_view view;
	struct vm_view published;
	struct governor governor;
	struct ratelimit guest_warnings;
	struct ratelimit guest_notices;
};

/* vm_new: not yet in any list, not yet attached. 0 or -ENOMEM. */
int vm_new(struct manager *m, const struct virt_domain *d, bool has_pid_file, struct vm **ret);
struct vm *vm_free(struct vm *vm);
APF_DEFINE_CLEANUP(struct vm *, vm_free);

/* vm_new_foreign: likewise, of a process whose pidfd it takes from @p. 0 or -errno. */
int vm_new_foreign(struct manager *m, struct foreign_process *p, struct vm **ret);

/*
 * vm_attach: finds the process and has the module watch it, as far as both are
 * there; tries again later if not. Harmless if all is done.
 */
void vm_attach(struct vm *vm);

/* vm_unwatch: the module does not know it (any more). @why is for people. */
void vm_unwatch(struct vm *vm, const char *why);

/*
 * vm_lost: the module says that the KVM VM it knew is gone. Usually the process ends
 * now; if not, it may make a new one, which is looked for.
 */
void vm_lost(struct vm *vm);

/*
 * vm_update_vcpus: takes over what the module said of all its vCPUs at @at_usec
 * (CLOCK_MONOTONIC); @vcpus is sorted by index. 0 or -ENOMEM.
 */
int vm_update_vcpus(struct vm *vm, const struct genl_vcpu *vcpus, size_t n, uint64_t at_usec);

/*
 * vm_has_news: whether there can be anything new about single vCPUs, by a record
 * of the module's listing of VMs, which is taken over.
 */
bool vm_has_news(struct vm *vm, const struct genl_vm *listed);

/* vm_has_no_news: it had none up to @now_usec, so its last interval was without swap-ins. */
void vm_has_no_news(struct vm *vm, uint64_t now_usec);

/* vm_read_vcpus: asks the module for this VM alone, now. 0 or -errno. */
int vm_read_vcpus(struct vm *vm);

/* vm_gate_set: these gates are now in @state; all of them if there are none. */
void vm_gate_set(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices);

/* vm_gate_changed: the module says gates were changed. */
void vm_gate_changed(struct vm *vm, const struct genl_event *e);

/* vm_guest_event: the module says a report has news. */
void vm_guest_event(struct vm *vm, const struct genl_event *e);

/* vm_read_pressure: renews what the files of its process and its control group say. */
void vm_read_pressure(struct vm *vm, uint64_t now_usec);

/* vm_dump: all that is known of it, as one line of the log. */
void vm_dump(const struct vm *vm);

#endif /* APFD_VM_H */
