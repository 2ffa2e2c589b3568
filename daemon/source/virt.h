/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connection to libvirt: which domains run, and our element in their
 * metadata (METADATA_URI).
 *
 * Every call of libvirt may block for any time, so worker threads make all of them. One makes
 * those about the connection; a few others make those about single domains, at most one about a
 * domain at a time, in the order of the requests. So a domain whose lock is held, for example by
 * a migration, delays requests about itself only. Events arrive on the event loop. After the
 * connection is lost, the worker tries to connect again, with back-off, until virt_free(). The
 * known domains stay known until the next listing, because domains do not stop when libvirtd
 * stops.
 */
#ifndef APFD_VIRT_H
#define APFD_VIRT_H

#include <systemd/sd-event.h>

#include "util.h"
#include "uuid.h"

struct virt;

enum virt_state {
	VIRT_DISCONNECTED, /* waiting for the next attempt */
	VIRT_CONNECTING,   /* the worker is opening the connection or listing domains */
	VIRT_CONNECTED,
	VIRT_STATE_MAX = VIRT_CONNECTED
};

/* virt_state_to_string: the name on the bus. */
const char *virt_state_to_string(enum virt_state state);

/**
 * struct virt_domain - a running domain, as described by libvirt
 * @uuid: lower case, canonical
 * @name: the name in libvirt
 * @id: libvirt's number for the domain while it runs
 * @metadata: our element, NULL if there is none
 * @metadata_known: @metadata was read; events do not contain it
 */
struct virt_domain {
	char uuid[UUID_LEN + 1];
	char *name;
	int id;
	char *metadata;
	bool metadata_known;
};

/**
 * struct virt_ops - callbacks, always called on the loop's thread
 * @state_changed: the connection was established or lost
 * @listed: all running domains, in no order, after each connection; @has_pid_files: the
 *	driver is QEMU's, so each domain is a process of this host. @domains belongs
 *	to the caller
 * @running: @domain was started, or it runs and may be new to the callee
 * @stopped: the domain with @uuid does not run any more
 * @metadata: our element of a running domain, after a request or a change; NULL if
 *	there is none. If reading failed, @read_failed is called instead
 * @read_failed: @text is the reason; the domain may just have stopped
 * @written: a virt_write_metadata() is done, @error is 0 or -errno. Called
 *	once for each request, at the latest from virt_free(), unless the worker
 *	still hangs then
 * @xml: result of the virt_read_xml() with that @query: the XML of the running
 *	domain, and the XML for its next start; NULL if it could not be read. Not
 *	called for requests that are not finished in virt_free()
 */
struct virt_ops {
	void (*state_changed)(enum virt_state state, void *userdata);
	void (*listed)(const struct virt_domain *domains, size_t n_domains, bool has_pid_files,
		       void *userdata);
	void (*running)(const struct virt_domain *domain, void *userdata);
	void (*stopped)(const char *uuid, void *userdata);
	void (*metadata)(const char *uuid, const char *xml, void *userdata);
	void (*read_failed)(const char *uuid, const char *text, void *userdata);
	void (*written)(const char *uuid, int error, const char *text, void *cookie,
			void *userdata);
	void (*xml)(uint64_t query, const char *live, const char *config, void *userdata);
};

/*
 * virt_new: prepares a connection to @uri on @event. @ops is not copied and must stay
 * valid. There can be only one struct virt at a time: libvirt's event loop is global.
 */
int virt_new(sd_event *event, const char *uri, const struct virt_ops *ops, void *userdata,
	     struct virt **ret);

/* virt_start: starts the worker and the first attempt to connect. 0 or -errno. */
int virt_start(struct virt *v);

enum virt_state virt_state(const struct virt *v);

/* virt_has_connection: true if requests can be made; also while domains are being listed. */
bool virt_has_connection(const struct virt *v);

/* virt_ever_tried: true after the first attempt to connect has succeeded or failed. */
bool virt_ever_tried(const struct virt *v);

/*
 * virt_is_busy: requests about the domain are refused now: a call about it has not returned for
 * some seconds, or the calls about other domains that are made at a time have not.
 */
bool virt_is_busy(struct virt *v, const char *uuid);

/* virt_read_metadata: ops->metadata follows. 0; -ENOTCONN; -ENOMEM. */
int virt_read_metadata(struct virt *v, const char *uuid);

/*
 * virt_write_metadata: replaces our element of a running domain with @xml; NULL
 * removes the element. @persistent: also in the domain's persistent definition.
 * ops->written follows, with @cookie. 0; -ENOTCONN; -EBUSY (virt_is_busy(), or too many requests
 * about the domain are not finished); -ENOBUFS (too many of all domains); -ENOMEM.
 */
int virt_write_metadata(struct virt *v, const char *uuid, const char *xml, bool persistent,
			void *cookie);

/*
 * virt_read_xml: ops->xml follows, with @query. Errors as those of virt_write_metadata().
 */
int virt_read_xml(struct virt *v, const char *uuid, uint64_t query);

/*
 * virt_free: closes the connection. Waits a few seconds for the workers. If libvirt
 * blocks a worker for longer, the workers and their memory are not freed: the process
 * is about to end.
 */
struct virt *virt_free(struct virt *v);
APF_DEFINE_CLEANUP(struct virt *, virt_free);

#endif /* APFD_VIRT_H */
