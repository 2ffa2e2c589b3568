/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connection to libvirt: which domains run, and our element in their
 * metadata (SETTINGS_XML_URI).
 *
 * Every call of libvirt may block for as long as libvirtd likes, so all of them
 * are made by a worker thread, one after the other. Events arrive on the loop.
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
 * @metadata: our element, NULL if there is none
 * @metadata_known: it was read; events do not carry it
 */
struct virt_domain {
	char uuid[NAME_UUID_LEN + 1];
	char *name;
	int id;
	char *metadata;
	bool metadata_known;
};

/**
 * struct virt_ops - who is told, always on the loop's thread
 * @state_changed: the connection came or went
 * @listed: all running domains, after each connection; @has_pid_files: the
 *	driver is QEMU's, each domain a process of this host. @domains belongs
 *	to the caller
 * @running: @domain was started, or runs and may be new
 * @stopped: the domain with @uuid does not run any more
 * @metadata: our element of a running domain, asked for or changed; NULL if
 *	there is none. Not called where reading failed: @unread is then
 * @unread: @text says why; the domain may just have stopped
 * @written: a virt_write_metadata() is done, @error is 0 or -errno. Called
 *	once for each, at the latest from virt_free(), unless the worker hangs
 *	even then
 * @xml: what virt_read_xml() brought, for its @query: the XML of the domain as it
 *	runs, and as it will be started next; NULL what could not be had. Not
 *	called for what is under way in virt_free()
 */
struct virt_ops {
	void (*state_changed)(enum virt_state state, void *userdata);
	void (*listed)(const struct virt_domain *domains, size_t n_domains, bool has_pid_files,
		       void *userdata);
	void (*running)(const struct virt_domain *domain, void *userdata);
	void (*stopped)(const char *uuid, void *userdata);
	void (*metadata)(const char *uuid, const char *xml, void *userdata);
	void (*unread)(const char *uuid, const char *text, void *userdata);
	void (*written)(const char *uuid, int error, const char *text, void *cookie,
			void *userdata);
	void (*xml)(uint64_t query, const char *live, const char *config, void *userdata);
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

/* virt_has_connection: requests can be made, also while domains are being listed. */
bool virt_has_connection(const struct virt *v);

/* virt_ever_tried: the first try has succeeded or failed. */
bool virt_ever_tried(const struct virt *v);

/* virt_read_metadata: ops->metadata follows. 0; -ENOTCONN; -ENOMEM. */
int virt_read_metadata(struct virt *v, const char *uuid);

/*
 * virt_write_metadata: replaces our element of a running domain by @xml, NULL
 * removes it; @persistent: in its persistent definition, too. ops->written
 * follows, with @cookie. 0; -ENOTCONN; -ENOBUFS (too many are under way); -ENOMEM.
 */
int virt_write_metadata(struct virt *v, const char *uuid, const char *xml, bool persistent,
			void *cookie);

/*
 * virt_read_xml: ops->xml follows, with @query. 0; -ENOTCONN; -ENOBUFS (too many are
 * under way); -ENOMEM.
 */
int virt_read_xml(struct virt *v, const char *uuid, uint64_t query);

/*
 * virt_free: closes the connection. Waits a few seconds for the worker; one that
 * libvirtd holds up longer is left behind, and with it the memory it uses: the
 * process is about to end.
 */
struct virt *virt_free(struct virt *v);
APF_DEFINE_CLEANUP(struct virt *, virt_free);

#endif /* APFD_VIRT_H */
