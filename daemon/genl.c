/* SPDX-License-Identifier: GPL-2.0 */
#include "genl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "log.h"
#include "name.h"

/* The kernel fills dumps up to 32 KiB a message where the reader offers as much. */
#define READ_BUFFER_BYTES (32 * 1024)
/* A burst of gate changes of a thousand VMs fits; a longer one ends in a resync. */
#define EVENT_BUFFER_BYTES (512 * 1024)

enum {
	DUMP_TRIES = 4,
	EVENTS_PER_TURN = 64,		     /* messages read before other sources get their turn */
	MESSAGES_MAX = 2 * GENL_RECORDS_MAX, /* of one answer */
};

/* When the module came and could not be asked. */
#define RETRY_USEC USEC_PER_SEC

/* A dump of all vCPUs of a thousand VMs, with many times the time that takes. */
#define ANSWER_MAX_USEC (2 * USEC_PER_SEC)

APF_DEFINE_CLEANUP(struct nl_msg *, nlmsg_free);

struct apfd_genl {
	const struct apfd_genl_ops *ops;
	void *userdata;
	struct apfd_genl_peer peer;
	sd_event *event;
	sd_event_source *event_source;
	sd_event_source *retry_source;
	struct nl_sock *requests; /* NULL after a time-out: an answer may still come */
	struct nl_sock *events;
	uint16_t family; /* 0 while the module is absent */
	uint32_t notify_group;
	struct genl_info info;
};

/**
 * struct answer - what is collected from the messages of one request
 * @handle: called for each message that belongs to it; 0 or -errno
 * @interrupted: the dump is inconsistent
 * @error: first error met, of the kernel or of @handle
 */
struct answer {
	int (*handle)(struct nlmsghdr *hdr, void *userdata);
	void *userdata;
	char *text;
	bool done;
	bool interrupted;
	int error;
};

static int nl_to_errno(int nl_error)
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
	default:
		return -EIO;
	}
}

static int socket_open(const struct apfd_genl *g, struct nl_sock **ret)
{
	struct nl_sock *sk;
	int one = 1, r;

	sk = nl_socket_alloc();
	if (!sk)
		return -ENOMEM;
	nl_socket_disable_seq_check(sk);
	nl_socket_set_peer_port(sk, g->peer.port);
	nl_socket_set_msg_buf_size(sk, READ_BUFFER_BYTES);
	nl_socket_enable_msg_peek(sk);
	r = nl_connect(sk, g->peer.protocol);
	if (r < 0) {
		nl_socket_free(sk);
		return nl_to_errno(r);
	}
	/* Kernels before 4.12 have neither; texts are then missing. */
	(void)setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(nl_socket_get_fd(sk), SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	*ret = sk;
	return 0;
}

/*
 * Reads one datagram and hands each of its messages to @fn, unless somebody else
 * than the peer sent it: any process with CAP_NET_ADMIN can write to our socket.
 * Returns 0 or -errno; what @fn returns ends it if negative.
 */
static int receive(struct apfd_genl *g, struct nl_sock *sk,
		   int (*fn)(struct nlmsghdr *hdr, void *userdata), void *userdata)
{
	_cleanup_free_ unsigned char *buf = NULL;
	struct sockaddr_nl from = {};
	struct nlmsghdr *hdr;
	int len, r = 0;

	len = nl_recv(sk, &from, &buf, NULL);
	if (len < 0)
		return nl_to_errno(len);
	if (len == 0 || from.nl_pid != g->peer.port)
		return 0;
	for (hdr = (struct nlmsghdr *)buf; r >= 0 && nlmsg_ok(hdr, len);
	     hdr = nlmsg_next(hdr, &len))
		r = fn(hdr, userdata);
	/* Remains that are no whole message. */
	if (r >= 0 && len > 0)
		return -EBADMSG;
	return r;
}

struct pending {
	struct answer *answer;
	uint32_t seq;
	bool dump;
};

static int handle_answer(struct nlmsghdr *hdr, void *userdata)
{
	struct pending *p = userdata;
	struct answer *a = p->answer;
	char text[GENL_TEXT_MAX];
	int r = 0;

	if (hdr->nlmsg_seq != p->seq || a->done)
		return 0;
	if (hdr->nlmsg_flags & NLM_F_DUMP_INTR)
		a->interrupted = true;

	switch (hdr->nlmsg_type) {
	case NLMSG_NOOP:
		return 0;
	case NLMSG_OVERRUN:
		return -ENOBUFS;
	case NLMSG_ERROR:
	case NLMSG_DONE:
		r = genl_parse_ack(hdr, text);
		a->done = true;
		if (r < 0 && a->error == 0) {
			a->error = r;
			if (a->text)
				memcpy(a->text, text, sizeof(text));
		}
		return 0;
	default:
		/* After an error the rest is read only to find the end. */
		if (a->error == 0 && a->handle)
			a->error = a->handle(hdr, a->userdata);
		return 0;
	}
}

/* Sends @msg and reads until its end. The socket is dropped where the end was not seen. */
static int request(struct apfd_genl *g, struct nl_msg *msg, struct answer *a)
{
	struct pending p = { .answer = a };
	uint64_t end_usec;
	int r, messages = 0;

	if (a->text)
		a->text[0] = '\0';
	if (!g->requests) {
		r = socket_open(g, &g->requests);
		if (r < 0)
			return r;
	}
	r = nl_send_auto(g->requests, msg);
	if (r < 0)
		return nl_to_errno(r);
	/*
	 * The kernel has done what was asked for by now. That may have taken long: to look
	 * for the family of a module that is not loaded makes it run modprobe.
	 */
	end_usec = clock_usec(CLOCK_MONOTONIC) + ANSWER_MAX_USEC;
	p.seq = nlmsg_hdr(msg)->nlmsg_seq;

	r = 0;
	while (r >= 0 && !a->done) {
		uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), left_usec;
		struct timeval tv;

		if (now_usec >= end_usec || messages++ > MESSAGES_MAX) {
			r = -ETIMEDOUT;
			break;
		}
		left_usec = MIN_OF(end_usec - now_usec, g->peer.wait_msec * USEC_PER_MSEC);
		/* All zero would mean "wait for ever"; left_usec is at least 1. */
		tv.tv_sec = (time_t)(left_usec / USEC_PER_SEC);
		tv.tv_usec = (suseconds_t)(left_usec % USEC_PER_SEC);
		if (setsockopt(nl_socket_get_fd(g->requests), SOL_SOCKET, SO_RCVTIMEO, &tv,
			       sizeof(tv)) < 0) {
			r = -errno;
			break;
		}
		r = receive(g, g->requests, handle_answer, &p);
		if (r == -EAGAIN)
			r = -ETIMEDOUT;
	}
	if (r < 0) {
		/* A late answer must not be taken for that of the next request. */
		nl_socket_free(g->requests);
		g->requests = NULL;
		return r;
	}
	return a->error;
}

static struct nl_msg *message_new(uint16_t family, uint8_t cmd, uint8_t version, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(64 * 1024);

	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_REQUEST | flags,
				cmd, version)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

static int apf_message_new(struct apfd_genl *g, uint8_t cmd, int flags, struct nl_msg **ret)
{
	struct nl_msg *msg;

	if (!g->family)
		return -ENXIO;
	msg = message_new(g->family, cmd, APF_GENL_VERSION, flags);
	if (!msg)
		return -ENOMEM;
	*ret = msg;
	return 0;
}

/* ---- requests ---- */

static int handle_info(struct nlmsghdr *hdr, void *userdata)
{
	return genl_parse_info(hdr, userdata);
}

int apfd_genl_get_info(struct apfd_genl *g, struct genl_info *ret)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct answer a = { .handle = handle_info, .userdata = ret };
	int r;

	r = apf_message_new(g, APF_CMD_GET_INFO, NLM_F_ACK, &msg);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	r = request(g, msg, &a);
	if (r < 0)
		return r;
	return ret->version[0] ? 0 : -EBADMSG;
}

static int handle_vm(struct nlmsghdr *hdr, void *userdata)
{
	return genl_parse_vm(hdr, userdata);
}

int apfd_genl_vm_add(struct apfd_genl *g, int vm_fd, struct genl_vm *ret, char *text)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct genl_vm vm = {};
	struct answer a = { .handle = handle_vm, .userdata = &vm, .text = text };
	int r;

	r = apf_message_new(g, APF_CMD_VM_ADD, NLM_F_ACK, &msg);
	if (r < 0)
		return r;
	if (nla_put_u32(msg, APF_A_VM_FD, (uint32_t)vm_fd) < 0)
		return -ENOMEM;
	r = request(g, msg, &a);
	if (r < 0)
		return r;
	if (vm.id == 0)
		return -EBADMSG;
	*ret = vm;
	return 0;
}

/* NULL or "" is no reason; a long one is cut, a UTF-8 sequence cut in half becomes '?'. */
static int put_reason(struct nl_msg *msg, const char *reason)
{
	char buf[APF_REASON_MAX + 1];

	if (!reason || !*reason)
		return 0;
	snprintf(buf, sizeof(buf), "%s", reason);
	name_make_utf8(buf);
	return nla_put_string(msg, APF_A_REASON, buf) < 0 ? -ENOMEM : 0;
}

int apfd_genl_vm_set(struct apfd_genl *g, uint32_t vm_id, enum apf_state state, const char *reason,
		     char *text)
{
	return apfd_genl_vcpu_set(g, vm_id, state, NULL, 0, reason, text);
}

int apfd_genl_vcpu_set(struct apfd_genl *g, uint32_t vm_id, enum apf_state state,
		       const uint32_t *indices, size_t n_indices, const char *reason, char *text)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct answer a = { .text = text };
	int r;

	r = apf_message_new(g, n_indices ? APF_CMD_VCPU_SET : APF_CMD_VM_SET, NLM_F_ACK, &msg);
	if (r < 0)
		return r;
	if (nla_put_u32(msg, APF_A_VM_ID, vm_id) < 0 || nla_put_u32(msg, APF_A_STATE, state) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n_indices; i++)
		if (nla_put_u32(msg, APF_A_VCPU_INDEX, indices[i]) < 0)
			return -ENOMEM;
	r = put_reason(msg, reason);
	if (r < 0)
		return r;
	return request(g, msg, &a);
}

/**
 * struct records - a growing array of parsed messages
 * @malformed: how many were left out
 */
struct records {
	int (*parse)(struct nlmsghdr *hdr, void *record);
	size_t size_bytes;
	char *array;
	size_t n, n_allocated;
	size_t malformed;
};

static int handle_record(struct nlmsghdr *hdr, void *userdata)
{
	struct records *rec = userdata;

	if (rec->n >= GENL_RECORDS_MAX)
		return -E2BIG;
	if (rec->n == rec->n_allocated) {
		size_t n = rec->n_allocated ? rec->n_allocated * 2 : 16;
		char *array = realloc(rec->array, n * rec->size_bytes);

		if (!array)
			return -ENOMEM;
		rec->array = array;
		rec->n_allocated = n;
	}
	if (rec->parse(hdr, rec->array + rec->n * rec->size_bytes) < 0)
		rec->malformed++;
	else
		rec->n++;
	return 0;
}

static int dump(struct apfd_genl *g, uint8_t cmd, uint32_t vm_id, struct records *rec)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
		struct answer a = { .handle = handle_record, .userdata = rec };
		int r;

		rec->n = rec->malformed = 0;
		r = apf_message_new(g, cmd, NLM_F_DUMP, &msg);
		if (r < 0)
			return r;
		if (vm_id && nla_put_u32(msg, APF_A_VM_ID, vm_id) < 0)
			return -ENOMEM;
		r = request(g, msg, &a);
		if (r < 0)
			return r;
		if (!a.interrupted) {
			/* Half an answer is worse than none: a VM would seem to have shrunk. */
			return rec->malformed ? -EBADMSG : (int)rec->n;
		}
	}
	return -EAGAIN;
}

static int parse_vm_record(struct nlmsghdr *hdr, void *record)
{
	return genl_parse_vm(hdr, record);
}

static int parse_vcpu_record(struct nlmsghdr *hdr, void *record)
{
	return genl_parse_vcpu(hdr, record);
}

int apfd_genl_vm_dump(struct apfd_genl *g, struct genl_vm **ret)
{
	struct records rec = { .parse = parse_vm_record, .size_bytes = sizeof(struct genl_vm) };
	int r;

	r = dump(g, APF_CMD_VM_GET, 0, &rec);
	if (r < 0) {
		free(rec.array);
		return r;
	}
	*ret = (struct genl_vm *)(void *)rec.array;
	return r;
}

int apfd_genl_vcpu_dump(struct apfd_genl *g, uint32_t vm_id, struct genl_vcpu **ret)
{
	struct records rec = { .parse = parse_vcpu_record, .size_bytes = sizeof(struct genl_vcpu) };
	int r;

	r = dump(g, APF_CMD_VCPU_GET, vm_id, &rec);
	if (r < 0) {
		free(rec.array);
		return r;
	}
	*ret = (struct genl_vcpu *)(void *)rec.array;
	return r;
}

/* ---- presence ---- */

struct family_query {
	const char *group; /* NULL: the family "apf" is asked for */
	uint32_t group_id;
	struct genl_family family;
};

static int handle_family(struct nlmsghdr *hdr, void *userdata)
{
	struct family_query *q = userdata;

	if (q->group)
		return genl_parse_group(hdr, q->group, &q->group_id);
	return genl_parse_family(hdr, &q->family);
}

/* libnl has genl_ctrl_resolve(), which knows neither time limit nor group and version at once. */
static int get_family(struct apfd_genl *g, const char *name, struct family_query *q)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct answer a = { .handle = handle_family, .userdata = q };

	msg = message_new(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, NLM_F_ACK);
	if (!msg || nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, name) < 0)
		return -ENOMEM;
	return request(g, msg, &a);
}

static void leave(struct apfd_genl *g)
{
	if (!g->family)
		return;
	/* Its groups died with the family, and our memberships with them. */
	g->family = 0;
	memset(&g->info, 0, sizeof(g->info));
	g->ops->presence(false, g->userdata);
}

static int arrive(struct apfd_genl *g, const struct genl_family *f)
{
	int r;

	if (g->family == f->id)
		return 0;
	leave(g);
	g->family = f->id;
	if (f->version != APF_GENL_VERSION)
		log_warning("apf_host speaks version %u of its protocol, not %u; going on",
			    f->version, APF_GENL_VERSION);

	r = -ENOENT;
	if (f->events_group) {
		r = nl_socket_add_membership(g->events, (int)f->events_group);
		r = r < 0 ? nl_to_errno(r) : 0;
	}
	if (r >= 0)
		r = apfd_genl_get_info(g, &g->info);
	if (r < 0) {
		g->family = 0;
		return r;
	}
	g->ops->presence(true, g->userdata);
	return 1;
}

/* Returns 1 if the module came, 0 if nothing changed or it is absent. */
static int resolve(struct apfd_genl *g)
{
	struct family_query q = {};
	int r;

	/* The kernel loads the module for this where it may (net-pf-16-proto-16-family-apf). */
	r = get_family(g, APF_GENL_NAME, &q);
	if (r == -ENOENT || (r >= 0 && !q.family.is_ours)) {
		leave(g);
		return 0;
	}
	if (r < 0)
		return r;
	return arrive(g, &q.family);
}

static int resolve_later(struct apfd_genl *g);

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct apfd_genl *g = userdata;
	int r;

	r = resolve(g);
	if (r == 0 && g->family)
		g->ops->lost(g->userdata);
	return r < 0 ? resolve_later(g) : 0;
}

/* Something was short of memory; the module does not announce itself a second time. */
static int resolve_later(struct apfd_genl *g)
{
	int r;

	if (!g->retry_source) {
		r = sd_event_add_time_relative(g->event, &g->retry_source, CLOCK_MONOTONIC,
					       RETRY_USEC, 0, on_retry, g);
		if (r >= 0)
			(void)sd_event_source_set_description(g->retry_source, "apf-host-retry");
		return r;
	}
	r = sd_event_source_set_time_relative(g->retry_source, RETRY_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(g->retry_source, SD_EVENT_ONESHOT);
}

/* ---- events ---- */

static int handle_ctrl(struct apfd_genl *g, struct nlmsghdr *hdr)
{
	struct genl_family f;
	int r;

	if (hdr->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN))
		return -EBADMSG;
	switch (genlmsg_hdr(hdr)->cmd) {
	case CTRL_CMD_NEWFAMILY:
	case CTRL_CMD_DELFAMILY:
		r = genl_parse_family(hdr, &f);
		if (r < 0 || !f.is_ours)
			return r;
		if (genlmsg_hdr(hdr)->cmd == CTRL_CMD_NEWFAMILY)
			return arrive(g, &f);
		/* One that was unloaded before the present one was loaded is past. */
		if (f.id == g->family)
			leave(g);
		return 0;
	default:
		return 0;
	}
}

static int handle_event(struct nlmsghdr *hdr, void *userdata)
{
	struct apfd_genl *g = userdata;
	struct genl_event e;
	int r;

	if (hdr->nlmsg_type == GENL_ID_CTRL) {
		r = handle_ctrl(g, hdr);
		if (r < 0) {
			log_errno(LOG_ERR, r, "Cannot use apf_host yet");
			(void)resolve_later(g);
		}
		return 0;
	}
	if (!g->family || hdr->nlmsg_type != g->family)
		return 0;
	if (hdr->nlmsg_len < NLMSG_LENGTH(GENL_HDRLEN) || genlmsg_hdr(hdr)->cmd != APF_CMD_EVENT)
		return 0;
	r = genl_parse_event(hdr, &e);
	if (r < 0) {
		log_errno(LOG_DEBUG, r, "Malformed notification of apf_host, ignoring");
		return 0;
	}
	g->ops->event(&e, g->userdata);
	return 0;
}

static int on_event(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct apfd_genl *g = userdata;
	int r;

	for (int i = 0; i < EVENTS_PER_TURN; i++) {
		r = receive(g, g->events, handle_event, g);
		if (r == -EAGAIN)
			return 0;
		if (r == -EBADMSG || r == -EINTR)
			continue;
		if (r == -ENOBUFS) {
			log_debug("Notifications of apf_host were lost, asking for all");
			r = resolve(g);
			if (r < 0) {
				log_errno(LOG_ERR, r, "Cannot ask for apf_host yet");
				(void)resolve_later(g);
			} else if (r == 0 && g->family) {
				g->ops->lost(g->userdata);
			}
			continue;
		}
		if (r < 0)
			return log_errno(LOG_ERR, r, "Cannot read notifications of apf_host");
	}
	return 0;
}

int apfd_genl_new(sd_event *event, const struct apfd_genl_peer *peer,
		  const struct apfd_genl_ops *ops, void *userdata, struct apfd_genl **ret)
{
	_cleanup_(apfd_genl_freep) struct apfd_genl *g = NULL;
	int r;

	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->ops = ops;
	g->userdata = userdata;
	g->event = sd_event_ref(event);
	g->peer = peer ? *peer : (struct apfd_genl_peer){ .protocol = NETLINK_GENERIC };
	if (g->peer.wait_msec == 0)
		g->peer.wait_msec = GENL_WAIT_MSEC;

	r = socket_open(g, &g->requests);
	if (r < 0)
		return r;
	r = socket_open(g, &g->events);
	if (r < 0)
		return r;
	if (nl_socket_set_nonblocking(g->events) < 0)
		return -EIO;
	r = EVENT_BUFFER_BYTES;
	/* The first one needs CAP_NET_ADMIN, the second is cut to net.core.rmem_max. */
	if (setsockopt(nl_socket_get_fd(g->events), SOL_SOCKET, SO_RCVBUFFORCE, &r, sizeof(r)) < 0)
		(void)setsockopt(nl_socket_get_fd(g->events), SOL_SOCKET, SO_RCVBUF, &r, sizeof(r));
	*ret = TAKE_PTR(g);
	return 0;
}

int apfd_genl_start(struct apfd_genl *g)
{
	struct family_query q = { .group = "notify" };
	int r;

	r = sd_event_add_io(g->event, &g->event_source, nl_socket_get_fd(g->events), EPOLLIN,
			    on_event, g);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(g->event_source, "apf-host-events");
	/* A deaf daemon is of no use; a restarted one finds every gate as it was. */
	r = sd_event_source_set_exit_on_failure(g->event_source, true);
	if (r < 0)
		return r;

	/* Listen first, then look: a module loaded in between is seen twice, not never. */
	r = get_family(g, "nlctrl", &q);
	if (r < 0)
		return r;
	r = nl_socket_add_membership(g->events, (int)q.group_id);
	if (r < 0)
		return nl_to_errno(r);
	r = resolve(g);
	return r < 0 ? r : 0;
}

struct apfd_genl *apfd_genl_free(struct apfd_genl *g)
{
	if (!g)
		return NULL;
	sd_event_source_disable_unref(g->event_source);
	sd_event_source_disable_unref(g->retry_source);
	nl_socket_free(g->requests);
	nl_socket_free(g->events);
	sd_event_unref(g->event);
	free(g);
	return NULL;
}

const struct genl_info *apfd_genl_info(const struct apfd_genl *g)
{
	return g->family ? &g->info : NULL;
}

uint32_t apfd_genl_event_port(const struct apfd_genl *g)
{
	return nl_socket_get_local_port(g->events);
}
