/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Receives apfd's signals and reports them as events; continues when apfd is restarted.
 */
#ifndef APFCTL_WATCH_H
#define APFCTL_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "client.h"
#include "event.h"

/**
 * struct watched_vm - a running VM; has the name for the event of its end
 * @unconfirmed: apfd was restarted and has not reported this VM since
 */
struct watched_vm {
	char *path;
	char *name;
	char *uuid;
	bool unconfirmed;
};

/**
 * struct watch - state of apfd and its VMs. The caller sets the fields from @client to
 *	@userdata.
 * @client: its bus is open and attached to an event loop
 * @paths: D-Bus objects of @n_paths VMs; the signals of other VMs are not received. 0: all VMs
 * @on_event: called for each event; if it does not return STATUS_OK, the watch ends with
 *	that exit status
 * @on_end: called when the watch has ended; the exit status is in @status
 * @userdata: for @on_event and @on_end
 * @listed: the first list of VMs was read; a VM that is new after that is an event
 * @owner: unique name of apfd on the bus, NULL while apfd is not on the bus
 * @host_module, @host_module_version, @libvirt: as on the bus, NULL before known
 */
struct watch {
	struct client *client;
	char *const *paths;
	size_t n_paths;
	int (*on_event)(const struct event *event, void *userdata);
	void (*on_end)(void *userdata);
	void *userdata;

	int status;
	bool listed;
	char *owner;
	char *host_module;
	char *host_module_version;
	char *libvirt;
	struct watched_vm *vms;
	size_t n_vms;
};

/*
 * Starts to receive signals and requests the state of the host and its VMs. VMs that
 * already run are not events. Returns an exit status.
 */
int watch_start(struct watch *watch);

void watch_clear(struct watch *watch);

#endif
