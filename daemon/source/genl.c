/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests, notifications and the presence of the module share struct apfd_genl and its two
 * sockets, which are private to this file.
 */
#include "genl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "log.h"
#include "utf8.h"

/* Enough for a burst of gate changes of a thousand VMs; a longer burst leads to ops->lost(). */
#define EVENT_BUFFER_BYTES (512 * 1024)

enum {
	DUMP_TRIES = 4,
	EVENTS_PER_TURN = 64,		   /* messages read before other event sources run */
	MESSAGES_MAX = 2 * GENL_VCPUS_MAX, /* messages of one answer */
	TIMEOUTS_MAX = 3,		   /* in a row, then requests pause */
};

/* Pause before the next attempt if the module is loaded but a request failed. */
#define RETRY_USEC USEC_PER_SEC

/* After TIMEOUTS_MAX the module is not asked for so long: it would only hold up the loop. */
#define PAUSE_USEC USEC_PER_SEC

/**
 * struct turn - the time that requests may still take in one turn of the event loop
 * @iteration: which turn
 * @used_usec: time that requests have taken in it
 */
struct turn {
	uint64_t iteration;
	uint64_t used_usec;
};

/**
 * struct apfd_genl
 * @requests: NULL after a time-out, as a late answer may still arrive
 * @dumps: see genl-dump.h
 * @family: 0 while the module is absent or @forbidden
 * @timeouts: requests in a row without an answer
 * @pause_usec: no request before this time, CLOCK_MONOTONIC
 */
struct apfd_genl {
	const struct apfd_genl_ops *ops;
	void *userdata;
	struct apfd_genl_peer peer;
	sd_event *event;
	sd_event_source *event_source;
	sd_event_source *retry_source;
	struct nl_sock *requests;
	struct nl_sock *events;
	struct genl_dump *dumps;
	struct turn turn;
	unsigned int timeouts;
	uint64_t pause_usec;
	uint16_t family;
	bool forbidden;
	uint32_t notify_group;
	struct genl_info info;
};

/**
 * struct answer - collected from all answer messages of one request
 * @handle: called for each message that belongs to the request; 0 or -errno
 * @interrupted: the dump is inconsistent
 * @error: first error of the kernel or of @handle
 */
struct answer {
	int (*handle)(struct nlmsghdr *hdr, void *userdata);
	void *userdata;
	char *text;
	bool done;
	bool interrupted;
	int error;
};

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
		/* After an error, read the other messages only to find the end of the answer. */
		if (a->error == 0 && a->handle)
			a->error = a->handle(hdr, a->userdata);
		return 0;
	}
}

/* ---- time ---- */

static struct turn *this_turn(struct apfd_genl *g)
{
	uint64_t iteration = 0;

	/* Before the loop runs everything is one turn. */
	(void)sd_event_get_iteration(g->event, &iteration);
	if (iteration != g->turn.iteration)
		g->turn = (struct turn){ .iteration = iteration };
	return &g->turn;
}

static uint64_t turn_usec(const struct apfd_genl *g)
{
	return g->peer.wait_msec * USEC_PER_MSEC;
}

/* Half of the time, so that each request that is sent can wait for half of the time. */
bool apfd_genl_has_time(struct apfd_genl *g)
{
	return this_turn(g)->used_usec <= turn_usec(g) / 2;
}

uint64_t apfd_genl_pause_usec(const struct apfd_genl *g)
{
	if (g->timeouts < TIMEOUTS_MAX || clock_usec(CLOCK_MONOTONIC) >= g->pause_usec)
		return 0;
	return g->pause_usec;
}

/* -ETIME, or -ETIMEDOUT while the module does not answer; 0: send the request. */
static int check_time(struct apfd_genl *g)
{
	if (!apfd_genl_has_time(g))
		return -ETIME;
	return apfd_genl_pause_usec(g) ? -ETIMEDOUT : 0;
}

static void count_timeout(struct apfd_genl *g, bool timeout)
{
	g->timeouts = timeout ? g->timeouts + 1 : 0;
	if (g->timeouts < TIMEOUTS_MAX)
		return;
	if (g->timeouts == TIMEOUTS_MAX)
		log_warning("apf_host does not answer: asking it once a second from now on");
	g->pause_usec = clock_usec(CLOCK_MONOTONIC) + PAUSE_USEC;
}

/* ---- one request ---- */

/* Reads the whole answer until @end_usec. */
static int read_answer(struct apfd_genl *g, struct pending *p, uint64_t end_usec)
{
	int r = 0, messages = 0;

	while (r >= 0 && !p->answer->done) {
		uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), left_usec;
		struct timeval tv;

		if (now_usec >= end_usec || messages++ > MESSAGES_MAX)
			return -ETIMEDOUT;
		/* A time of zero would mean "wait for ever", but left_usec is at least 1. */
		left_usec = end_usec - now_usec;
		tv.tv_sec = (time_t)(left_usec / USEC_PER_SEC);
		tv.tv_usec = (suseconds_t)(left_usec % USEC_PER_SEC);
		if (setsockopt(nl_socket_get_fd(g->requests), SOL_SOCKET, SO_RCVTIMEO, &tv,
			       sizeof(tv)) < 0)
			return -errno;
		r = genl_socket_receive(g->requests, &g->peer, handle_answer, p);
	}
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* Sends @msg and reads the whole answer. Closes the socket if the end of the answer is missing. */
static int request(struct apfd_genl *g, struct nl_msg *msg, struct answer *a)
{
	const bool control = nlmsg_hdr(msg)->nlmsg_type == GENL_ID_CTRL;
	struct pending p = { .answer = a };
	struct turn *turn = this_turn(g);
	uint64_t begin_usec, sent_usec;
	int r;

	r = check_time(g);
	if (r < 0)
		return r;
	if (!g->requests) {
		r = genl_socket_open(&g->peer, &g->requests);
		if (r < 0)
			return r;
	}
	begin_usec = clock_usec(CLOCK_MONOTONIC);
	r = nl_send_auto(g->requests, msg);
	if (r < 0)
		return genl_errno(r);
	/*
	 * The kernel has handled the request by now, which may have taken long: to place hooks,
	 * or, for the family of a module that is not loaded, to run modprobe. Its answer is there.
	 */
	sent_usec = clock_usec(CLOCK_MONOTONIC);
	p.seq = nlmsg_hdr(msg)->nlmsg_seq;
	r = read_answer(g, &p, sent_usec + turn_usec(g) - turn->used_usec);
	turn->used_usec += clock_usec(CLOCK_MONOTONIC) - (control ? sent_usec : begin_usec);
	count_timeout(g, r == -ETIMEDOUT);
	if (r < 0) {
		/* A late answer must not be taken for that of the next request. */
		nl_socket_free(g->requests);
		g->requests = NULL;
		return r;
	}
	return a->error;
}

static int apf_message_new(struct apfd_genl *g, uint8_t cmd, int flags, struct nl_msg **ret)
{
	struct nl_msg *msg;

	if (!g->family)
		return g->forbidden ? -EPERM : -ENXIO;
	msg = genl_message_new(g->family, cmd, APF_GENL_VERSION, flags);
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

	text[0] = '\0';
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

int apfd_genl_vm_del(struct apfd_genl *g, uint32_t vm_id)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct answer a = {};
	int r;

	r = apf_message_new(g, APF_CMD_VM_DEL, NLM_F_ACK, &msg);
	if (r < 0)
		return r;
	if (nla_put_u32(msg, APF_A_VM_ID, vm_id) < 0)
		return -ENOMEM;
	return request(g, msg, &a);
}

/* Omits a reason of NULL or ""; truncates a long one, with '?' for a cut UTF-8 sequence. */
static int put_reason(struct nl_msg *msg, const char *reason)
{
	char buf[APF_REASON_MAX + 1];

	if (!reason || !*reason)
		return 0;
	snprintf(buf, sizeof(buf), "%s", reason);
	utf8_make_valid(buf);
	return nla_put_string(msg, APF_A_REASON, buf) < 0 ? -ENOMEM : 0;
}

int apfd_genl_set(struct apfd_genl *g, uint32_t vm_id, enum apf_state state,
		  const uint32_t *indices, size_t n_indices, uint32_t lease_msec,
		  const char *reason, char *text)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct answer a = { .text = text };
	int r;

	text[0] = '\0';
	r = apf_message_new(g, n_indices ? APF_CMD_VCPU_SET : APF_CMD_VM_SET, NLM_F_ACK, &msg);
	if (r < 0)
		return r;
	if (nla_put_u32(msg, APF_A_VM_ID, vm_id) < 0 || nla_put_u32(msg, APF_A_STATE, state) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n_indices; i++)
		if (nla_put_u32(msg, APF_A_VCPU_INDEX, indices[i]) < 0)
			return -ENOMEM;
	if (lease_msec && g->info.knows_leases &&
	    nla_put_u32(msg, APF_A_LEASE_MSEC, lease_msec) < 0)
		return -ENOMEM;
	r = put_reason(msg, reason);
	if (r < 0)
		return r;
	return request(g, msg, &a);
}

bool apfd_genl_knows_leases(const struct apfd_genl *g)
{
	return g && g->family && g->info.knows_leases;
}

int apfd_genl_renew(struct apfd_genl *g)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct answer a = {};
	int r;

	if (!apfd_genl_knows_leases(g))
		return 0;
	r = apf_message_new(g, APF_CMD_RENEW, NLM_F_ACK, &msg);
	if (r < 0)
		return r;
	return request(g, msg, &a);
}

/**
 * struct records - vCPUs of one VM
 * @malformed: number of messages that could not be parsed, or are about another VM
 */
struct records {
	uint32_t vm_id;
	struct genl_vcpus vcpus;
	size_t malformed;
};

static int handle_record(struct nlmsghdr *hdr, void *userdata)
{
	struct records *rec = userdata;
	struct genl_vcpu vcpu;

	if (rec->vcpus.n >= GENL_VCPUS_MAX)
		return -E2BIG;
	if (genl_parse_vcpu(hdr, &vcpu) < 0 || vcpu.vm_id != rec->vm_id) {
		rec->malformed++;
		return 0;
	}
	return genl_vcpus_add(&rec->vcpus, &vcpu);
}

static int read_vcpus(struct apfd_genl *g, struct records *rec)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
		struct answer a = { .handle = handle_record, .userdata = rec };
		int r;

		rec->vcpus.n = rec->malformed = 0;
		r = apf_message_new(g, APF_CMD_VCPU_GET, NLM_F_DUMP, &msg);
		if (r < 0)
			return r;
		if (nla_put_u32(msg, APF_A_VM_ID, rec->vm_id) < 0)
			return -ENOMEM;
		r = request(g, msg, &a);
		if (r < 0)
			return r;
		if (!a.interrupted) {
			/* With a partial result, vCPUs of the VM would seem to be removed. */
			return rec->malformed ? -EBADMSG : (int)rec->vcpus.n;
		}
	}
	return -EAGAIN;
}

int apfd_genl_vcpu_dump(struct apfd_genl *g, uint32_t vm_id, struct genl_vcpu **ret)
{
	struct records rec = { .vm_id = vm_id };
	int r;

	r = read_vcpus(g, &rec);
	if (r < 0) {
		free(rec.vcpus.all);
		return r;
	}
	genl_vcpus_sort(&rec.vcpus);
	*ret = rec.vcpus.all;
	return r;
}

int apfd_genl_dump_start(struct apfd_genl *g, enum apf_cmd cmd, uint32_t vm_id,
			 const struct genl_dump_ops *ops, void *userdata)
{
	if (!g->family)
		return g->forbidden ? -EPERM : -ENXIO;
	return genl_dump_start(g->dumps, g->family, cmd, vm_id, ops, userdata);
}

/* ---- presence ---- */

struct family_query {
	const char *group; /* NULL: query the family "apf" */
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

/* genl_ctrl_resolve() of libnl has no time limit and returns neither group nor version. */
static int get_family(struct apfd_genl *g, const char *name, struct family_query *q)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	struct answer a = { .handle = handle_family, .userdata = q };

	msg = genl_message_new(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, NLM_F_ACK);
	if (!msg || nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, name) < 0)
		return -ENOMEM;
	return request(g, msg, &a);
}

static void set_absent(struct apfd_genl *g)
{
	g->forbidden = false;
	if (!g->family)
		return;
	/* The kernel has removed the family's groups, and our memberships with the groups. */
	g->family = 0;
	g->timeouts = 0;
	memset(&g->info, 0, sizeof(g->info));
	g->ops->presence(false, g->userdata);
	genl_dump_end(g->dumps, -ENXIO);
}

static int set_present(struct apfd_genl *g, const struct genl_family *f)
{
	int r;

	if (g->family == f->id)
		return 0;
	set_absent(g);
	g->family = f->id;
	if (f->version != APF_GENL_VERSION)
		log_warning("apf_host uses version %u of the protocol, apfd uses version %u; "
			    "ignoring the difference",
			    f->version, APF_GENL_VERSION);

	r = -ENOENT;
	if (f->events_group) {
		r = nl_socket_add_membership(g->events, (int)f->events_group);
		r = r < 0 ? genl_errno(r) : 0;
	}
	if (r >= 0)
		r = apfd_genl_get_info(g, &g->info);
	if (r < 0) {
		g->family = 0;
		g->forbidden = r == -EPERM;
		return r;
	}
	g->ops->presence(true, g->userdata);
	return 1;
}

/* Returns 1 if the module was newly loaded, 0 if nothing changed or the module is absent. */
static int resolve(struct apfd_genl *g)
{
	struct family_query q = {};
	int r;

	/* This request makes the kernel load the module (alias net-pf-16-proto-16-family-apf). */
	r = get_family(g, APF_GENL_NAME, &q);
	if (r == -ENOENT || (r >= 0 && !q.family.is_ours)) {
		set_absent(g);
		return 0;
	}
	if (r < 0)
		return r;
	return set_present(g, &q.family);
}

static int resolve_later(struct apfd_genl *g);

/* The module is loaded but a request failed with @r: most such errors are temporary. */
static void handle_use_error(struct apfd_genl *g, int r)
{
	if (g->forbidden) {
		/* A retry would not help. */
		log_error("apf_host is loaded, but apfd cannot use it: requests to apf_host need "
			  "the capability CAP_NET_ADMIN, which this process does not have");
		return;
	}
	log_errno(LOG_ERR, r, "Cannot use apf_host yet");
	(void)resolve_later(g);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct apfd_genl *g = userdata;
	int r;

	r = resolve(g);
	if (r == 0 && g->family)
		g->ops->lost(g->userdata);
	return r < 0 && !g->forbidden ? resolve_later(g) : 0;
}

/* A request failed, for example for lack of memory. No second notification will arrive. */
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
			return set_present(g, &f);
		/* Ignore the end of an earlier family: the module was loaded again since. */
		if (f.id == g->family || g->forbidden)
			set_absent(g);
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
		if (r < 0)
			handle_use_error(g, r);
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
		r = genl_socket_receive(g->events, &g->peer, handle_event, g);
		if (r == -EAGAIN)
			return 0;
		if (r == -EBADMSG || r == -EINTR)
			continue;
		if (r == -ENOBUFS) {
			log_debug("Notifications of apf_host were lost, reading its state again");
			r = resolve(g);
			if (r < 0) {
				log_errno(LOG_ERR, r, "Cannot query the family of apf_host yet");
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
	r = genl_dump_new(event, &g->peer, &g->dumps);
	if (r < 0)
		return r;
	if (g->peer.wait_msec == 0)
		g->peer.wait_msec = GENL_WAIT_MSEC;
	r = genl_socket_open(&g->peer, &g->requests);
	if (r < 0)
		return r;
	r = genl_socket_open(&g->peer, &g->events);
	if (r < 0)
		return r;
	if (nl_socket_set_nonblocking(g->events) < 0)
		return -EIO;
	r = EVENT_BUFFER_BYTES;
	/* SO_RCVBUFFORCE needs CAP_NET_ADMIN; SO_RCVBUF is limited to net.core.rmem_max. */
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
	/* apfd is useless without notifications. Gates do not change when systemd restarts apfd. */
	r = sd_event_source_set_exit_on_failure(g->event_source, true);
	if (r < 0)
		return r;

	/* Join the group before resolve(): otherwise a load in between would be missed. */
	r = get_family(g, "nlctrl", &q);
	if (r < 0)
		return r;
	r = nl_socket_add_membership(g->events, (int)q.group_id);
	if (r < 0)
		return genl_errno(r);
	r = resolve(g);
	/* apfd can still show VMs, as it does without the module. */
	if (r < 0)
		handle_use_error(g, r);
	return 0;
}

struct apfd_genl *apfd_genl_free(struct apfd_genl *g)
{
	if (!g)
		return NULL;
	sd_event_source_disable_unref(g->event_source);
	sd_event_source_disable_unref(g->retry_source);
	nl_socket_free(g->requests);
	nl_socket_free(g->events);
	genl_dump_free(g->dumps);
	sd_event_unref(g->event);
	free(g);
	return NULL;
}

int apfd_genl_refresh(struct apfd_genl *g)
{
	struct genl_info info;
	bool changed;
	int r;

	r = apfd_genl_get_info(g, &info);
	if (r < 0)
		return r;
	changed = memcmp(&g->info.hooks, &info.hooks, sizeof(info.hooks)) != 0;
	g->info = info;
	return changed;
}

bool apfd_genl_is_forbidden(const struct apfd_genl *g)
{
	return g->forbidden;
}

const struct genl_info *apfd_genl_info(const struct apfd_genl *g)
{
	return g->family ? &g->info : NULL;
}

uint32_t apfd_genl_event_port(const struct apfd_genl *g)
{
	return nl_socket_get_local_port(g->events);
}
