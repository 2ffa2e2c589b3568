/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Listens to apfd and makes events of what it says; survives apfd's restart.
 */
#ifndef APFCTL_WATCH_H
#define APFCTL_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "apfctl.h"
#include "event.h"

/**
 * struct watched_vm - a VM seen, so that it can be named when it goes
 * @unsure: apfd was restarted and has not shown it since
 */
struct watched_vm {
	char *path;
	char *name;
	char *uuid;
	bool unsure;
};

/**
 * struct watch - what is known of apfd and its VMs; all but the first part is the
 *	watch's own
 * @ctl: its bus is open and listens on an event loop
 * @told: takes each event; returns an exit status, anything but APFCTL_OK ends
 * @userdata: for @told
 * @ended: called when nothing more will come; the exit status is in @status
 * @paths: objects of the VMs wanted, NULL for all
 * @owner: unique name of apfd on the bus, NULL while it is not there
 * @host_module, @host_module_version, @libvirt: as on the bus, NULL before known
 */
struct watch {
	struct apfctl *ctl;
	int (*told)(const struct event *event, void *userdata);
	void (*ended)(void *userdata);
	void *userdata;
	char **paths;
	size_t n_paths;

	int status;
	bool primed;
	char *owner;
	char *host_module;
	char *host_module_version;
	char *libvirt;
	struct watched_vm *vms;
	size_t n_vms;
};

/*
 * Begins to listen, finds the VMs that ctl->args name, and asks apfd for what
 * there is. No event is told of what was there before. Returns an exit status.
 */
int watch_start(struct watch *watch);

void watch_clear(struct watch *watch);

#endif
