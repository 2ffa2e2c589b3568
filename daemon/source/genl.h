/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The link to apf_host.ko: generic netlink family "apf" (see apf_host.h).
 *
 * Requests are synchronous, on a socket of their own. The module reads no disk and
 * answers while the request is being sent. If it does not, which should never happen, all
 * requests of one turn of the event loop together wait for at most GENL_WAIT_MSEC; further ones
 * are not sent in this turn (-ETIME). After several time-outs in a row the module is asked once
 * a second. The listing of all VMs and of all vCPUs does not wait at all: genl-dump.h.
 * Notifications arrive on a further socket, read by the event loop. The module may be loaded and
 * unloaded at any time: the generic netlink controller notifies us.
 */
#ifndef APFD_GENL_H
#define APFD_GENL_H

#include <systemd/sd-event.h>

#include "genl-dump.h"
#include "genl-parse.h"
#include "genl-socket.h"
#include "util.h"

struct apfd_genl;

/* How long all requests of one turn of the event loop may take together. */
enum { GENL_WAIT_MSEC = 100 };

/**
 * struct apfd_genl_ops - callbacks, called on the thread of the event loop
 * @presence: the module was loaded (@present) or unloaded. A newly loaded module
 *	does not watch any VM.
 * @event: a notification
 * @lost: notifications were lost; the callee must read the state from the module
 */
struct apfd_genl_ops {
	void (*presence)(bool present, void *userdata);
	void (*event)(const struct genl_event *event, void *userdata);
	void (*lost)(void *userdata);
};

/* apfd_genl_new: @peer may be NULL: the kernel. @ops is not copied and must stay valid. */
int apfd_genl_new(sd_event *event, const struct apfd_genl_peer *peer,
		  const struct apfd_genl_ops *ops, void *userdata, struct apfd_genl **ret);

/*
 * apfd_genl_start: listens, then calls ops->presence if the module is loaded already. If the
 * module does not answer, apfd starts without it and retries.
 */
int apfd_genl_start(struct apfd_genl *g);

struct apfd_genl *apfd_genl_free(struct apfd_genl *g);
APF_DEFINE_CLEANUP(struct apfd_genl *, apfd_genl_free);

/*
 * apfd_genl_is_forbidden: the module is loaded, but every request to the module needs
 * CAP_NET_ADMIN, which this process does not have. The module then counts as absent.
 */
bool apfd_genl_is_forbidden(const struct apfd_genl *g);

/* apfd_genl_info: as read when the module was loaded or refreshed; NULL while it is absent. */
const struct genl_info *apfd_genl_info(const struct apfd_genl *g);

/*
 * apfd_genl_refresh: reads apfd_genl_info() again. The module places hooks when it
 * watches the first VM, and some other user of the kernel may disable one later. 1 if
 * hooks have changed, 0 if not, errors as those of the requests below.
 */
int apfd_genl_refresh(struct apfd_genl *g);

/* apfd_genl_get_info: reads the module's present state; returns as the requests below. */
int apfd_genl_get_info(struct apfd_genl *g, struct genl_info *ret);

/* apfd_genl_event_port: netlink port of the event socket, for tests. */
uint32_t apfd_genl_event_port(const struct apfd_genl *g);

/*
 * apfd_genl_has_time: requests can be sent in this turn of the event loop. If not, work that
 * consists of many requests continues in the next turn.
 */
bool apfd_genl_has_time(struct apfd_genl *g);

/*
 * apfd_genl_pause_usec: until then (CLOCK_MONOTONIC) requests fail at once, because the module did
 * not answer; 0: there is no pause.
 */
uint64_t apfd_genl_pause_usec(const struct apfd_genl *g);

/*
 * Requests. All return 0 or a count, or a negative errno: those of apf_host.h,
 * -ENXIO (the module is absent), -EPERM (apfd_genl_is_forbidden()), -ETIMEDOUT (no answer; the
 * request may have been carried out), -ETIME (not sent: see apfd_genl_has_time()), -EBADMSG (an
 * invalid answer), -EAGAIN (a dump was interrupted repeatedly). @text has GENL_TEXT_MAX bytes and
 * receives the module's error text, or "", whatever is returned.
 */
int apfd_genl_vm_add(struct apfd_genl *g, int vm_fd, struct genl_vm *ret, char *text);

/* apfd_genl_vm_del: ends the watching of a VM, which then has KVM's own behaviour. */
int apfd_genl_vm_del(struct apfd_genl *g, uint32_t vm_id);

/*
 * apfd_genl_set: sets the gates of the vCPUs in @indices, or of the whole VM if @n_indices is 0.
 * @lease_msec: 0, or the length of a lease; a module that knows no leases keeps the change.
 */
int apfd_genl_set(struct apfd_genl *g, uint32_t vm_id, enum apf_state state,
		  const uint32_t *indices, size_t n_indices, uint32_t lease_msec,
		  const char *reason, char *text);

/* apfd_genl_renew: starts all leases again; does nothing if the module knows none. */
int apfd_genl_renew(struct apfd_genl *g);

/* apfd_genl_knows_leases: whether the module that is loaded ends leases. */
bool apfd_genl_knows_leases(const struct apfd_genl *g);

/*
 * apfd_genl_vcpu_dump: reads the vCPUs of @vm_id, sorted by index; the caller frees *ret. Returns
 * the number of vCPUs.
 */
int apfd_genl_vcpu_dump(struct apfd_genl *g, uint32_t vm_id, struct genl_vcpu **ret);

/*
 * apfd_genl_dump_start: as genl_dump_start(); -ENXIO and -EPERM as above. A dump ends with -ENXIO
 * when the module is unloaded.
 */
int apfd_genl_dump_start(struct apfd_genl *g, enum apf_cmd cmd, uint32_t vm_id,
			 const struct genl_dump_ops *ops, void *userdata);

#endif /* APFD_GENL_H */
