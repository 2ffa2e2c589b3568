/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A module made by the test: real netlink sockets, but of the user protocol, and a thread in the
 * kernel's place. What it answers can be as wrong as we like.
 */
#ifndef GENL_PEER_H
#define GENL_PEER_H

#include "unit.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "genl.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)
/* Ours is a thread, which may have to wait for its turn; the kernel answers at once. */
enum { PEER_WAIT_MSEC = 1000 };

enum { MAX_ATTRS = 64, FAMILY = 0x42, OTHER_FAMILY = 0x43, GROUP_NOTIFY = 5, GROUP_EVENTS = 6 };

/* How the peer behaves; set before a request, read by its thread. */
enum mode {
	NORMAL,
	SILENT,	     /* no answer */
	LATE,	     /* the answer of the request before, then that of this one */
	REFUSE,	     /* an error with the module's words */
	FORBID,	     /* no CAP_NET_ADMIN */
	NO_REPLY,    /* an acknowledgement and nothing else */
	MALFORMED,   /* a record without its mandatory attributes */
	CUT,	     /* half a message at the end of a datagram */
	INTERRUPTED, /* the first dump is inconsistent */
	ALWAYS_INTERRUPTED,
	DONE_WITH_ERROR,
	ENDLESS,   /* a dump that never stops */
	BAD_VCPU,  /* of VM 2, vCPU 1 has nothing but its VM */
	NO_ID,	   /* of VM 2, vCPU 1 does not even have that */
	TWICE,	   /* VM 2 has vCPU 1 twice */
	BACKWARDS, /* vCPUs in the opposite order */
	TORN,	   /* VM 1, VM 2, VM 1 again */
	OVERSIZED, /* of VM 2, vCPU 1 is longer than any message of the kernel */
	STALLED,   /* the dump stops in VM 2 */
	MANY,	   /* as many VMs and vCPUs as apfd can handle */
};

enum { MANY_VMS = 4096, MANY_VCPUS = 64 };

static struct {
	int fd, stop_fd;
	uint32_t port;
	pthread_t thread;
	atomic_int mode;
	atomic_bool present;
	atomic_int dumps, requests;
	atomic_uint hooks;
	atomic_bool knows_leases;
	atomic_uint delay_msec; /* of each answer of the module */
	struct {
		uint32_t vm_id, state, n_indices, last_index, fd, lease_msec, cmd;
		char reason[256];
	} last;
} peer;

static inline void peer_send(struct nl_msg *m, uint32_t port, uint32_t groups)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups };

	/* Nobody may listen to a group: ECONNREFUSED, ESRCH; a full socket: EAGAIN. */
	(void)sendto(peer.fd, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len, MSG_DONTWAIT,
		     (struct sockaddr *)&to, sizeof(to));
	nlmsg_free(m);
}

static inline struct nl_msg *reply_to(const struct nlmsghdr *req, uint16_t type, uint8_t cmd,
				      int flags)
{
	struct nl_msg *m = nlmsg_alloc_size(16384);

	genlmsg_put(m, 0, req ? req->nlmsg_seq : 0, type, 0, flags, cmd, 1);
	return m;
}

static inline void peer_ack(const struct nlmsghdr *req, int error, const char *text)
{
	struct nl_msg *m = nlmsg_alloc_size(4096);
	struct nlmsgerr e = { .error = error, .msg = *req };

	nlmsg_put(m, 0, req->nlmsg_seq, NLMSG_ERROR, 0, NLM_F_CAPPED | (text ? NLM_F_ACK_TLVS : 0));
	nlmsg_append(m, &e, sizeof(e), 0);
	if (text)
		nla_put_string(m, NLMSGERR_ATTR_MSG, text);
	peer_send(m, req->nlmsg_pid, 0);
}

static inline void peer_done(const struct nlmsghdr *req, int error)
{
	struct nl_msg *m = nlmsg_alloc_size(4096);

	nlmsg_put(m, 0, req->nlmsg_seq, NLMSG_DONE, 0, NLM_F_MULTI);
	nlmsg_append(m, &error, sizeof(error), 0);
	peer_send(m, req->nlmsg_pid, 0);
}

static inline struct nl_msg *family_message(const struct nlmsghdr *req, uint8_t cmd, uint16_t id)
{
	struct nl_msg *m = reply_to(req, GENL_ID_CTRL, cmd, 0);
	struct nlattr *groups, *group;

	nla_put_string(m, CTRL_ATTR_FAMILY_NAME, id == GENL_ID_CTRL ? "nlctrl" : "apf");
	nla_put_u16(m, CTRL_ATTR_FAMILY_ID, id);
	nla_put_u32(m, CTRL_ATTR_VERSION, 1);
	groups = nla_nest_start(m, CTRL_ATTR_MCAST_GROUPS);
	group = nla_nest_start(m, 1);
	nla_put_string(m, CTRL_ATTR_MCAST_GRP_NAME, id == GENL_ID_CTRL ? "notify" : "events");
	nla_put_u32(m, CTRL_ATTR_MCAST_GRP_ID, id == GENL_ID_CTRL ? GROUP_NOTIFY : GROUP_EVENTS);
	nla_nest_end(m, group);
	nla_nest_end(m, groups);
	return m;
}

static inline void put_guest(struct nl_msg *m, uint32_t size, uint32_t in_use)
{
	struct nlattr *nest = nla_nest_start(m, APF_A_GUEST);

	nla_put_u32(m, APF_GUEST_A_POOL_SIZE, size);
	nla_put_u32(m, APF_GUEST_A_POOL_IN_USE, in_use);
	nla_nest_end(m, nest);
}

static inline struct nl_msg *vcpu_message(const struct nlmsghdr *req, uint32_t vm, uint32_t index)
{
	struct nl_msg *m = reply_to(req, FAMILY, APF_CMD_VCPU_GET, NLM_F_MULTI);
	struct nlattr *nest;

	nla_put_u32(m, APF_A_VM_ID, vm);
	nla_put_u32(m, APF_A_VCPU_INDEX, index);
	nla_put_u32(m, APF_A_STATE, APF_STATE_ON);
	nest = nla_nest_start(m, APF_A_STATS);
	nla_put_u64(m, APF_STAT_READY, 1000 * vm + index);
	nla_nest_end(m, nest);
	nla_put_u8(m, APF_A_PAUSED, index == 1);
	if (index > 0)
		put_guest(m, vm, index == 1);
	return m;
}

static inline void peer_ctrl(const struct nlmsghdr *req, struct nlattr **a)
{
	const char *name = nla_get_string(a[CTRL_ATTR_FAMILY_NAME]);

	if (streq(name, "nlctrl"))
		peer_send(family_message(req, CTRL_CMD_NEWFAMILY, GENL_ID_CTRL), req->nlmsg_pid, 0);
	else if (streq(name, "apf") && peer.present)
		peer_send(family_message(req, CTRL_CMD_NEWFAMILY, FAMILY), req->nlmsg_pid, 0);
	else
		return peer_ack(req, -ENOENT, NULL);
	peer_ack(req, 0, NULL);
}

/* As vcpu_message(), or wrong in the way of the mode. */
static inline struct nl_msg *wrong_message(const struct nlmsghdr *req, uint32_t vm, uint32_t index)
{
	struct nl_msg *m;

	if (vm == 2 && index == 1 && (peer.mode == BAD_VCPU || peer.mode == NO_ID)) {
		m = reply_to(req, FAMILY, APF_CMD_VCPU_GET, NLM_F_MULTI);
		if (peer.mode == BAD_VCPU)
			nla_put_u32(m, APF_A_VM_ID, vm);
		return m;
	}
	m = vcpu_message(req, vm, index);
	if (vm == 2 && index == 1 && peer.mode == TWICE)
		peer_send(vcpu_message(req, vm, index), req->nlmsg_pid, 0);
	if (vm == 2 && index == 1 && peer.mode == OVERSIZED) {
		static const char filler[40000];

		nlmsg_expand(m, sizeof(filler) + 1000);
		nla_put(m, MAX_ATTRS, sizeof(filler), filler);
	}
	return m;
}

/* One message, of which VM and vCPU change, many in a datagram, as the kernel sends them. */
static inline void peer_dump_many(const struct nlmsghdr *req)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = req->nlmsg_pid };
	struct nl_msg *m = vcpu_message(req, 1, 0);
	struct nlmsghdr *hdr = nlmsg_hdr(m);
	struct nlattr *vm = nlmsg_find_attr(hdr, GENL_HDRLEN, APF_A_VM_ID);
	struct nlattr *index = nlmsg_find_attr(hdr, GENL_HDRLEN, APF_A_VCPU_INDEX);
	static char out[30000];
	size_t bytes = 0;

	for (uint32_t n = 0; n < MANY_VMS * MANY_VCPUS; n++) {
		*(uint32_t *)nla_data(vm) = 1 + n / MANY_VCPUS;
		*(uint32_t *)nla_data(index) = n % MANY_VCPUS;
		memcpy(out + bytes, hdr, hdr->nlmsg_len);
		bytes += NLMSG_ALIGN(hdr->nlmsg_len);
		if (bytes + NLMSG_ALIGN(hdr->nlmsg_len) <= sizeof(out) &&
		    n + 1 < MANY_VMS * MANY_VCPUS)
			continue;
		/* Waits for the reader, as the kernel's dump does; fails without a reader. */
		if (sendto(peer.fd, out, bytes, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			break;
		bytes = 0;
	}
	nlmsg_free(m);
}

static inline void peer_dump(const struct nlmsghdr *req, uint32_t only_vm)
{
	int round = ++peer.dumps;
	struct nl_msg *m;

	if (peer.mode == ENDLESS) {
		uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + 3 * USEC_PER_SEC;

		while (peer.mode == ENDLESS && clock_usec(CLOCK_MONOTONIC) < end_usec) {
			peer_send(vcpu_message(req, 1, 0), req->nlmsg_pid, 0);
			usleep(1000);
		}
		return;
	}
	if (peer.mode == MANY) {
		peer_dump_many(req);
		return peer_done(req, 0);
	}
	for (uint32_t vm = 1; vm <= 2; vm++)
		for (uint32_t i = 0; i < 3; i++) {
			if (only_vm && vm != only_vm)
				continue;
			if (peer.mode == STALLED && vm == 2 && i == 1)
				return;
			m = wrong_message(req, vm, peer.mode == BACKWARDS ? 2 - i : i);
			if (peer.mode == ALWAYS_INTERRUPTED ||
			    (peer.mode == INTERRUPTED && round == 1 && i == 1))
				nlmsg_hdr(m)->nlmsg_flags |= NLM_F_DUMP_INTR;
			peer_send(m, req->nlmsg_pid, 0);
		}
	if (peer.mode == TORN)
		peer_send(vcpu_message(req, 1, 3), req->nlmsg_pid, 0);
	if (peer.mode == MALFORMED)
		peer_send(reply_to(req, FAMILY, APF_CMD_VCPU_GET, NLM_F_MULTI), req->nlmsg_pid, 0);
	if (peer.mode == CUT) {
		m = vcpu_message(req, 3, 0);
		/* It claims to be longer than the datagram. */
		struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = req->nlmsg_pid };

		(void)sendto(peer.fd, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len - 8, 0,
			     (struct sockaddr *)&to, sizeof(to));
		nlmsg_free(m);
	}
	peer_done(req, peer.mode == DONE_WITH_ERROR ? -ENOMEM : 0);
}

static inline void peer_apf(struct nlmsghdr *req, struct nlattr **a)
{
	uint8_t cmd = genlmsg_hdr(req)->cmd;
	struct nlattr *pos;
	struct nl_msg *m;
	int rem;

	peer.requests++;
	usleep(peer.delay_msec * 1000);
	memset(&peer.last, 0, sizeof(peer.last));
	peer.last.vm_id = a[APF_A_VM_ID] ? nla_get_u32(a[APF_A_VM_ID]) : 0;
	peer.last.state = a[APF_A_STATE] ? nla_get_u32(a[APF_A_STATE]) : 99;
	peer.last.cmd = cmd;
	peer.last.lease_msec = a[APF_A_LEASE_MSEC] ? nla_get_u32(a[APF_A_LEASE_MSEC]) : 0;
	peer.last.fd = a[APF_A_VM_FD] ? nla_get_u32(a[APF_A_VM_FD]) : 0;
	if (a[APF_A_REASON])
		nla_strlcpy(peer.last.reason, a[APF_A_REASON], sizeof(peer.last.reason));
	nla_for_each_attr(pos, genlmsg_attrdata(genlmsg_hdr(req), 0),
			  genlmsg_attrlen(genlmsg_hdr(req), 0), rem)
		if (nla_type(pos) == APF_A_VCPU_INDEX) {
			peer.last.n_indices++;
			peer.last.last_index = nla_get_u32(pos);
		}

	switch (peer.mode) {
	case SILENT:
		return;
	case REFUSE:
		return peer_ack(req, -ERANGE, "this VM has 2 vCPUs");
	case FORBID:
		return peer_ack(req, -EPERM, NULL);
	case NO_REPLY:
		return peer_ack(req, 0, NULL);
	case LATE: {
		struct nlmsghdr before = *req;

		before.nlmsg_seq--;
		peer_ack(&before, -EPERM, "of another request");
		break;
	}
	default:
		break;
	}

	if (req->nlmsg_flags & NLM_F_DUMP && cmd == APF_CMD_VCPU_GET)
		return peer_dump(req, peer.last.vm_id);
	switch (cmd) {
	case APF_CMD_GET_INFO:
		m = reply_to(req, FAMILY, cmd, 0);
		nla_put_string(m, APF_A_INFO_VERSION, "9.9.9");
		nla_put_u32(m, APF_A_INFO_NOWAIT, APF_NOWAIT_ACTIVE);
		nla_put_u8(m, APF_A_INFO_NESTED_GUARD, 1);
		nla_put_u32(m, APF_A_INFO_HOOKS, peer.hooks);
		if (peer.knows_leases)
			nla_put_u32(m, APF_A_INFO_LEASES, 0);
		peer_send(m, req->nlmsg_pid, 0);
		break;
	case APF_CMD_VM_ADD:
	case APF_CMD_VM_GET:
		m = reply_to(req, FAMILY, cmd, 0);
		nla_put_u32(m, APF_A_VM_ID, 12);
		nla_put_u32(m, APF_A_STATE, APF_STATE_PV);
		nla_put_u32(m, APF_A_PID, 4711);
		nla_put_u64(m, APF_A_AGE_MSEC, 60000);
		peer_send(m, req->nlmsg_pid, 0);
		if (req->nlmsg_flags & NLM_F_DUMP)
			return peer_done(req, 0);
		break;
	}
	peer_ack(req, 0, NULL);
}

static inline void *peer_main(void *arg)
{
	union {
		struct nlmsghdr hdr;
		char bytes[65536];
	} buf;
	struct nlattr *a[MAX_ATTRS];
	struct pollfd fds[] = { { peer.fd, POLLIN, 0 }, { peer.stop_fd, POLLIN, 0 } };

	for (;;) {
		ssize_t n;

		if (poll(fds, 2, -1) < 0 || fds[1].revents)
			return NULL;
		n = recv(peer.fd, &buf, sizeof(buf), 0);
		if (n < (ssize_t)sizeof(buf.hdr) ||
		    genlmsg_parse(&buf.hdr, 0, a, MAX_ATTRS - 1, NULL))
			continue;
		if (buf.hdr.nlmsg_type == GENL_ID_CTRL)
			peer_ctrl(&buf.hdr, a);
		else if (buf.hdr.nlmsg_type == FAMILY && peer.present)
			peer_apf(&buf.hdr, a);
		else
			peer_ack(&buf.hdr, -ENOENT, NULL);
	}
}

static inline void send_family_event(uint8_t cmd, uint16_t id)
{
	peer_send(family_message(NULL, cmd, id), 0, 1u << (GROUP_NOTIFY - 1));
}

static inline void send_gate_event(uint32_t vm_id)
{
	struct nl_msg *m = reply_to(NULL, FAMILY, APF_CMD_EVENT, 0);

	nla_put_u32(m, APF_A_EVENT, APF_EVENT_GATE_CHANGED);
	nla_put_u32(m, APF_A_VM_ID, vm_id);
	nla_put_u32(m, APF_A_STATE, APF_STATE_OFF);
	nla_put_u32(m, APF_A_BY_PID, 5);
	nla_put_string(m, APF_A_BY_COMM, "someone");
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
}

static inline void send_report_event(uint32_t type, uint32_t index)
{
	struct nl_msg *m = reply_to(NULL, FAMILY, APF_CMD_EVENT, 0);

	nla_put_u32(m, APF_A_EVENT, type);
	nla_put_u32(m, APF_A_VM_ID, 12);
	nla_put_u32(m, APF_A_VCPU_INDEX, index);
	if (type != APF_EVENT_REPORT_GONE)
		put_guest(m, 3, 2);
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
}

static inline int peer_start(bool present, enum mode mode)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(addr);

	peer.mode = mode;
	peer.present = present;
	peer.dumps = peer.requests = 0;
	peer.delay_msec = 0;
	peer.hooks = (1U << (APF_HOOK_MAX + 1)) - 1;
	peer.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	peer.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (peer.fd < 0 || peer.stop_fd < 0 || bind(peer.fd, (struct sockaddr *)&addr, len) < 0 ||
	    getsockname(peer.fd, (struct sockaddr *)&addr, &len) < 0)
		return -1;
	peer.port = addr.nl_pid;
	return pthread_create(&peer.thread, NULL, peer_main, NULL) == 0 ? 0 : -1;
}

static inline void peer_stop(void)
{
	peer.mode = NORMAL;
	eventfd_write(peer.stop_fd, 1);
	pthread_join(peer.thread, NULL);
	close(peer.fd);
	close(peer.stop_fd);
}

#endif /* GENL_PEER_H */
