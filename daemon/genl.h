/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The link to apf_host.ko: generic netlink family "apf" (see apf_host.h).
 *
 * Requests are synchronous, on a socket of their own: the module answers from
 * memory, while the request is being sent. Where it does not, which should never
 * happen, the loop is held up by GENL_WAIT_MSEC at most; a dump of very many
 * vCPUs takes as long as it takes to read. Notifications arrive on a second
 * socket on the loop. The module may come and go at any time: the generic
 * netlink controller tells.
 */
#ifndef APFD_GENL_H
#define APFD_GENL_H

#include <systemd/sd-event.h>

#include "genl-parse.h"
#include "util.h"

struct apfd_genl;

enum {
	GENL_WAIT_MSEC = 100,
	GENL_RECORDS_MAX = 16384, /* vCPUs in one dump; about 12 MB */
};

/**
 * struct apfd_genl_ops - who is told, on the loop's thread
 * @presence: the module was loaded or unloaded; apfd_genl_info() says which.
 *	On arrival the module knows nothing of what its predecessor knew.
 * @event: a notification
 * @lost: notifications were lost; what they told must be asked for
 */
struct apfd_genl_ops {
	void (*presence)(bool present, void *userdata);
	void (*event)(const struct genl_event *event, void *userdata);
	void (*lost)(void *userdata);
};

/**
 * struct apfd_genl_peer - whom to talk to; tests talk to themselves
 * @protocol: NETLINK_GENERIC
 * @port: 0, the kernel
 * @wait_msec: 0 is GENL_WAIT_MSEC; a peer that is a process may take longer
 */
struct apfd_genl_peer {
	int protocol;
	uint32_t port;
	unsigned int wait_msec;
};

/* apfd_genl_new: @peer may be NULL: the kernel. @ops is kept, not copied. */
int apfd_genl_new(sd_event *event, const struct apfd_genl_peer *peer,
		  const struct apfd_genl_ops *ops, void *userdata, struct apfd_genl **ret);

/* apfd_genl_start: looks for the module (ops->presence is called if it is there), then listens. */
int apfd_genl_start(struct apfd_genl *g);

struct apfd_genl *apfd_genl_free(struct apfd_genl *g);
APF_DEFINE_CLEANUP(struct apfd_genl *, apfd_genl_free);

/* apfd_genl_info: what the module said when it arrived, NULL while it is absent. */
const struct genl_info *apfd_genl_info(const struct apfd_genl *g);

/* apfd_genl_get_info: what it says now; as the requests below. */
int apfd_genl_get_info(struct apfd_genl *g, struct genl_info *ret);

/* apfd_genl_event_port: netlink port of the event socket, for tests. */
uint32_t apfd_genl_event_port(const struct apfd_genl *g);

/*
 * Requests. All return 0 or a count, or a negative errno: those of apf_host.h,
 * -ENXIO (the module is absent), -ETIMEDOUT, -EBADMSG (an answer that makes no
 * sense), -EAGAIN (a dump was interrupted again and again). @text, if not NULL,
 * has GENL_TEXT_MAX bytes and receives the module's words, or "".
 */
int apfd_genl_vm_add(struct apfd_genl *g, int vm_fd, struct genl_vm *ret, char *text);
int apfd_genl_vm_set(struct apfd_genl *g, uint32_t vm_id, enum apf_state state, const char *reason,
		     char *text);
int apfd_genl_vcpu_set(struct apfd_genl *g, uint32_t vm_id, enum apf_state state,
		       const uint32_t *indices, size_t n_indices, const char *reason, char *text);

/* apfd_genl_vm_dump: all VMs; the caller frees *ret. Returns their number. */
int apfd_genl_vm_dump(struct apfd_genl *g, struct genl_vm **ret);

/* apfd_genl_vcpu_dump: vCPUs of @vm_id, or of all VMs if it is 0; the caller frees *ret. */
int apfd_genl_vcpu_dump(struct apfd_genl *g, uint32_t vm_id, struct genl_vcpu **ret);

#endif /* APFD_GENL_H */
