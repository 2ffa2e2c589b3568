/* SPDX-License-Identifier: GPL-2.0 */
/* struct manager owns all state of the daemon. */
#ifndef APFD_MANAGER_H
#define APFD_MANAGER_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "conf.h"
#include "context.h"
#include "module.h"
#include "tick.h"
#include "util.h"
#include "waiting.h"

struct apfd_genl_peer;
struct doctor;
struct foreign;
struct server;

/**
 * struct manager_options - the environment of the daemon
 * @uri: of libvirt
 * @pid_dir: where libvirt writes NAME.pid
 * @pid_dir_given: use @pid_dir with every libvirt driver; else only with the QEMU driver
 * @proc_root: usually /proc
 * @run_root, @pods_dir: see struct identity_roots
 * @state_dir: for settings that last, usually /var/lib/apfd
 * @conf: where the configuration is
 * @debug: log everything, regardless of the configuration
 * @sys_root: usually /sys
 * @host_root: directory with the host's lib/modules, boot, var/lib and var/log, usually ""
 * @cgroup_root: usually /sys/fs/cgroup
 * @netlink: replaces the kernel in tests; NULL for the kernel
 */
struct manager_options {
	const char *uri;
	const char *pid_dir;
	bool pid_dir_given;
	const char *proc_root;
	const char *run_root;
	const char *pods_dir;
	const char *state_dir;
	struct conf_source conf;
	bool debug;
	const char *sys_root;
	const char *host_root;
	const char *cgroup_root;
	const struct apfd_genl_peer *netlink;
};

/**
 * struct manager
 * @context: passed to all layers below the manager
 * @libvirt_answered: libvirt has answered since apfd was started
 * @libvirt_silent: libvirt had the time to answer first, see ForeignVMs=auto
 * @foreign_wanted: VMs that libvirt does not manage are to be watched now
 * @has_pid_files: libvirt writes PID files for the domains of the present connection
 * @tick: see tick.h
 * @reading: of the module's counters, in a tick
 * @events_lost: the module's notifications were lost: the next tick reads all VMs
 * @name_source: time limit for requesting the bus name
 * @name_requested: the bus name was requested
 * @was_watching: at the last tick there was a watched VM
 * @dump_failed: the last tick could not read some VM's counters, and this was logged
 * @vms_max_logged: it was logged that there are too many VMs
 * @waiting: domains of libvirt that were not taken in yet, some of them because there is no room
 * @waiting_source: takes them in, some in each turn of the event loop
 * @conf_root, @conf_file: see struct conf_source
 * @debug: log everything, regardless of the configuration
 * @stopping: apfd ends; see manager_stop()
 * @stop_source: time limit for that
 * @n_restored, @n_not_restored: VMs whose gates were restored, or could not be
 */
struct manager {
	struct context context;
	struct server *server;
	struct doctor *doctor;
	struct foreign *foreign;
	bool libvirt_answered;
	bool libvirt_silent;
	bool foreign_wanted;
	bool has_pid_files;
	bool pid_dir_given;
	struct tick tick;
	struct module_reading reading;
	bool events_lost;
	sd_event_source *name_source;
	bool name_requested;
	bool was_watching;
	bool dump_failed;
	bool vms_max_logged;
	struct waiting waiting;
	sd_event_source *waiting_source;
	char *conf_root;
	char *conf_file;
	bool debug;
	bool stopping;
	sd_event_source *stop_source;
	size_t n_restored;
	size_t n_not_restored;
};

/*
 * manager_new: connects to the system bus and opens the netlink sockets. References
 * @event. 0 or -errno.
 */
int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret);

/*
 * manager_start: starts to search for the module and for VMs. Requests the bus name
 * after the first listing of domains has finished, and its VMs are watched, or when this has
 * failed or exceeded a time limit, so that a method call that activates the daemon finds the VMs.
 * SIGTERM and SIGINT are manager_stop() from then on.
 */
int manager_start(struct manager *m);

/*
 * manager_stop: sets the gates as OnExit= requires, in this and later turns of the event loop, then
 * exits the loop with code 0; after a time limit in any case. If called again, exits at once.
 */
void manager_stop(struct manager *m);

/* manager_free: does not change any gate. */
struct manager *manager_free(struct manager *m);
APF_DEFINE_CLEANUP(struct manager *, manager_free);

/*
 * manager_reload: reads the configuration again. 0; -EINVAL if it has errors: then the
 * previous configuration stays in use, and m->context.conf_error lists the errors.
 */
int manager_reload(struct manager *m);

/* manager_dump: logs the state of the daemon and of all VMs. */
void manager_dump(struct manager *m);

#endif /* APFD_MANAGER_H */
