/* SPDX-License-Identifier: GPL-2.0 */
/* Netlink sockets to apf_host, or to a test in its place, and messages on them. */
#ifndef APFD_GENL_SOCKET_H
#define APFD_GENL_SOCKET_H

#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdint.h>

#include "util.h"

APF_DEFINE_CLEANUP(struct nl_msg *, nlmsg_free);

/**
 * struct apfd_genl_peer - receiver of the requests; in tests, a socket of the test
 * @protocol: NETLINK_GENERIC
 * @port: 0, the kernel
 * @wait_msec: 0 means GENL_WAIT_MSEC; a peer that is a process may need longer
 */
struct apfd_genl_peer {
	int protocol;
	uint32_t port;
	unsigned int wait_msec;
};

/* genl_socket_open: a blocking socket. 0 or -errno. */
int genl_socket_open(const struct apfd_genl_peer *peer, struct nl_sock **ret);

/*
 * genl_socket_receive: reads one datagram and calls @fn for each of its messages. Ignores a
 * datagram that the peer did not send: any process with CAP_NET_ADMIN can write to our socket.
 * 0; -EAGAIN (nothing to read in the time of the socket); -EBADMSG (bytes at the end that are no
 * whole message); other errors of recvmsg(). Stops at the first error of @fn and returns it.
 */
int genl_socket_receive(struct nl_sock *sk, const struct apfd_genl_peer *peer,
			int (*fn)(struct nlmsghdr *hdr, void *userdata), void *userdata);

/* genl_message_new: a request of @family; NULL without memory. */
struct nl_msg *genl_message_new(uint16_t family, uint8_t cmd, uint8_t version, int flags);

/* genl_errno: the errno for an error of libnl. */
int genl_errno(int nl_error);

#endif /* APFD_GENL_SOCKET_H */
