/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connection to libvirt: which domains run.
 *
 * Opening a connection and listing its domains may block for as long as
 * libvirtd likes, so both happen on a worker thread. Events arrive on the loop.
 * A lost connection is tried again with back-off for as long as the object
 * lives; the domains known stay until the next listing says otherwise, because
 * they do not stop when libvirtd does.
 */
#ifndef APFD_VIRT_H
#define APFD_VIRT_H

#include <systemd/sd-event.h>

#include "name.h"
#include "util.h"

struct virt;

enum virt_state {
	VIRT_DISCONNECTED, /* waiting for the next try */
	VIRT_CONNECTING,   /* the worker is opening or listing */
	VIRT_CONNECTED,
	VIRT_STATE_MAX = VIRT_CONNECTED
};

/* virt_state_to_string: as on the bus. */
const char *virt_state_to_string(enum virt_state state);

/**
 * struct virt_domain - what libvirt says of a running domain
 * @uuid: lower case, canonical
 * @name: libvirt's
 * @id: its number while it runs
 */
struct virt_domain {
	char uuid[NAME_UUID_LEN + 1];
	char *name;
	int id;
};

/**
 * struct virt_ops - who is told, always on the loop's thread
 * @state_changed: the connection came or went
 * @listed: all running domains, after each connection; @has_pid_files: the
 *	driver is QEMU's, each domain a process of this host. @domains belongs
 *	to the caller
 * @running: @domain was started, or runs and may be new
 * @stopped: the domain with @uuid does not run any more
 */
struct virt_ops {
	void (*state_changed)(enum virt_state state, void *userdata);
	void (*listed)(const struct virt_domain *domains, size_t n_domains, bool has_pid_files,
		       void *userdata);
	void (*running)(const struct virt_domain *domain, void *userdata);
	void (*stopped)(const char *uuid, void *userdata);
};

/*
 * virt_new: prepares a connection to @uri on @event. @ops is kept, not copied.
 * There can be only one at a time: libvirt's event loop is global.
 */
int virt_new(sd_event *event, const char *uri, const struct virt_ops *ops, void *userdata,
	     struct virt **ret);

/* virt_start: starts the worker and the first try. 0 or -errno. */
int virt_start(struct virt *v);

enum virt_state virt_state(const struct virt *v);

/* virt_ever_tried: the first try has succeeded or failed. */
bool virt_ever_tried(const struct virt *v);

/*
 * virt_free: closes the connection. Waits a few seconds for the worker; one that
 * libvirtd holds up longer is left behind, and with it the memory it uses: the
 * process is about to end.
 */
struct virt *virt_free(struct virt *v);
APF_DEFINE_CLEANUP(struct virt *, virt_free);

#endif /* APFD_VIRT_H */
