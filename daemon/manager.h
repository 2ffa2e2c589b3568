/* SPDX-License-Identifier: GPL-2.0 */
/* struct manager owns all state of the daemon. */
#ifndef APFD_MANAGER_H
#define APFD_MANAGER_H

#include <sys/queue.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "conf.h"
#include "doctor.h"
#include "genl.h"
#include "policy.h"
#include "polkit.h"
#include "swapdev.h"
#include "virt.h"
#include "vm.h"

/* Bounds memory, and the work of each second; a host with more of them is not known. */
#define MANAGER_VMS_MAX 4096

/**
 * struct manager_options - the world the daemon lives in
 * @uri: of libvirt
 * @pid_dir: where libvirt leaves NAME.pid
 * @pid_dir_given: look there whatever libvirt's driver is; else only for QEMU's
 * @proc_root: usually /proc
 * @conf: where the configuration is
 * @debug: log everything, whatever the configuration says
 * @sys_root: usually /sys
 * @cgroup_root: usually /sys/fs/cgroup
 * @netlink: in the kernel's place, NULL for the kernel
 */
struct manager_options {
	const char *uri;
	const char *pid_dir;
	bool pid_dir_given;
	const char *proc_root;
	struct conf_source conf;
	bool debug;
	const char *sys_root;
	const char *cgroup_root;
	const struct apfd_genl_peer *netlink;
};

TAILQ_HEAD(vm_list, vm);
LIST_HEAD(vm_bucket, vm);

/* Of a table with a list of VMs each. */
enum { MANAGER_BUCKETS = 1024 };

/**
 * struct manager
 * @vms: in the order they were found
 * @by_uuid: the same, by their UUID's hash
 * @has_pid_files: of the domains of the present connection
 * @tick_source: once a second while there are VMs, sooner where that matters
 * @tick_usec: when the last one was, CLOCK_MONOTONIC
 * @publish_usec: when the bus was told last what has changed
 * @round: counts ticks; quiet VMs take turns
 * @swap: the host's swap devices
 * @swap_changed: since the bus was told last
 * @name_source: the latest time to appear on the bus
 * @name_asked: the bus name was asked for
 * @policy: thresholds
 * @dry_run: decisions are told but not carried out
 * @dump_failed: the last tick could not read the module; logged once
 * @vms_max_logged: likewise for too many VMs
 * @conf: never NULL; the last one that was right
 * @conf_error: what was wrong at the last reload, "" if nothing was
 * @conf_root: see struct conf_source; likewise @conf_file
 */
struct manager {
	sd_event *event;
	sd_bus *bus;
	struct polkit *polkit;
	struct apfd_genl *genl;
	struct virt *virt;
	struct doctor *doctor;
	struct foreign *foreign;
	struct vm_list vms;
	struct vm_bucket by_uuid[MANAGER_BUCKETS];
	size_t n_vms;
	bool has_pid_files;
	sd_event_source *tick_source;
	uint64_t tick_usec;
	uint64_t publish_usec;
	unsigned int round;
	struct swapdevs swap;
	bool swap_changed;
	sd_event_source *name_source;
	bool name_asked;
	struct policy_params policy;
	bool dry_run;
	bool dump_failed;
	bool vms_max_logged;
	char *uri;
	char *pid_dir;
	bool pid_dir_given;
	char *proc_root;
	struct conf *conf;
	char *conf_error;
	char *conf_root;
	char *conf_file;
	bool debug;
	char *sys_root;
	char *cgroup_root;
};

/*
 * manager_new: connects to the system bus and opens the netlink sockets. Takes
 * over no descriptor; @event is referenced. 0 or -errno.
 */
int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret);

/*
 * manager_start: begins to look for the module and for VMs, and takes the bus
 * name as soon as the first listing is in, or failed, or takes too long: whoever
 * starts the daemon by a call gets the answer of one that knows.
 */
int manager_start(struct manager *m);

/* manager_stop: the clean end: gates become what OnExit= says. */
void manager_stop(struct manager *m);

/* manager_free: leaves every gate as it is. */
struct manager *manager_free(struct manager *m);
APF_DEFINE_CLEANUP(struct manager *, manager_free);

/*
 * manager_reload: reads the configuration anew. 0, or -EINVAL if it has errors:
 * then the one in force stays, and m->conf_error says what they are.
 */
int manager_reload(struct manager *m);

/* manager_dump: all that is known, to the log. */
void manager_dump(struct manager *m);

/* manager_tick_soon: there is news that a decision may wait for. */
void manager_tick_soon(struct manager *m);

/* manager_remove: @vm is gone, and freed. */
void manager_remove(struct manager *m, struct vm *vm);

/* manager_remove_foreign: the process @pid turned out to be libvirt's. */
void manager_remove_foreign(struct manager *m, pid_t pid);

/* manager_insert: takes over @vm, to be found from now on. */
void manager_insert(struct manager *m, struct vm *vm);

struct vm *manager_find_by_uuid(struct manager *m, const char *uuid);
struct vm *manager_find_by_module_id(struct manager *m, uint32_t module_id);

/* manager_find: by name, then UUID (any case), then libvirt's number. NULL if none. */
struct vm *manager_find(struct manager *m, const char *wanted);

/* manager_dump_vcpus: apfd_genl_vcpu_dump(), sorted by VM and index. */
int manager_dump_vcpus(struct manager *m, uint32_t module_id, struct genl_vcpu **ret);

#endif /* APFD_MANAGER_H */
