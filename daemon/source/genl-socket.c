/* SPDX-License-Identifier: GPL-2.0 */
#include "genl-socket.h"

#include <errno.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <sys/socket.h>

/* The kernel sends dump messages of up to 32 KiB if the reader's buffer is that large. */
#define READ_BUFFER_BYTES (32 * 1024)

/* The longest request lists all vCPUs of a VM, of 8 bytes each. */
#define REQUEST_BYTES (36 * 1024)

int genl_errno(int nl_error)
{
	switch (-nl_error) {
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_NOMEM:
		return -ENOBUFS;
	case NLE_INTR:
		return -EINTR;
	case NLE_PERM:
		return -EPERM;
	case NLE_MSG_TRUNC:
		return -EMSGSIZE;
	default:
		return -EIO;
	}
}

int genl_socket_open(const struct apfd_genl_peer *peer, struct nl_sock **ret)
{
	struct nl_sock *sk;
	int one = 1, r;

	sk = nl_socket_alloc();
	if (!sk)
		return -ENOMEM;
	nl_socket_disable_seq_check(sk);
	nl_socket_set_peer_port(sk, peer->port);
	nl_socket_set_msg_buf_size(sk, READ_BUFFER_BYTES);
	nl_socket_enable_msg_peek(sk);
	r = nl_connect(sk, peer->protocol);
	if (r < 0) {
		nl_socket_free(sk);
		return genl_errno(r);
	}
	/* Kernels before 4.12 have neither option; then there are no error texts. */
	(void)setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	*ret = sk;
	return 0;
}

int genl_socket_receive(struct nl_sock *sk, const struct apfd_genl_peer *peer,
			int (*fn)(struct nlmsghdr *hdr, void *userdata), void *userdata)
{
	_cleanup_free_ unsigned char *buf = NULL;
	struct sockaddr_nl from = {};
	struct nlmsghdr *hdr;
	int len, r = 0;

	len = nl_recv(sk, &from, &buf, NULL);
	if (len < 0)
		return genl_errno(len);
	if (len == 0 || from.nl_pid != peer->port)
		return 0;
	for (hdr = (struct nlmsghdr *)buf; r >= 0 && nlmsg_ok(hdr, len);
	     hdr = nlmsg_next(hdr, &len))
		r = fn(hdr, userdata);
	if (r >= 0 && len > 0)
		return -EBADMSG;
	return r;
}

struct nl_msg *genl_message_new(uint16_t family, uint8_t cmd, uint8_t version, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(REQUEST_BYTES);

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_REQUEST | flags,
				cmd, version)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}
