/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The link to the module, against a peer made by the test: real netlink sockets,
 * but of the user protocol, and a thread in the kernel's place. What it answers
 * can be as wrong as we like.
 */
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
	NO_REPLY,    /* an acknowledgement and nothing else */
	MALFORMED,   /* a record without its mandatory attributes */
	CUT,	     /* half a message at the end of a datagram */
	INTERRUPTED, /* the first dump is inconsistent */
	ALWAYS_INTERRUPTED,
	DONE_WITH_ERROR,
	ENDLESS, /* a dump that never stops */
};

static struct {
	int fd, stop_fd;
	uint32_t port;
	pthread_t thread;
	atomic_int mode;
	atomic_bool present;
	atomic_int dumps, requests;
	struct {
		uint32_t vm_id, state, n_indices, last_index, fd;
		char reason[256];
	} last;
} peer;

static sd_event *event;
static struct apfd_genl *g;
static struct {
	int present, absent, lost, events;
	struct genl_event event;
} seen;

/* ---- the peer ---- */

static void peer_send(struct nl_msg *m, uint32_t port, uint32_t groups)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups };

	/* Nobody may listen to a group: ECONNREFUSED, ESRCH; a full socket: EAGAIN. */
	(void)sendto(peer.fd, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len, MSG_DONTWAIT,
		     (struct sockaddr *)&to, sizeof(to));
	nlmsg_free(m);
}

static struct nl_msg *reply_to(const struct nlmsghdr *req, uint16_t type, uint8_t cmd, int flags)
{
	struct nl_msg *m = nlmsg_alloc_size(16384);

	genlmsg_put(m, 0, req ? req->nlmsg_seq : 0, type, 0, flags, cmd, 1);
	return m;
}

static void peer_ack(const struct nlmsghdr *req, int error, const char *text)
{
	struct nl_msg *m = nlmsg_alloc_size(4096);
	struct nlmsgerr e = { .error = error, .msg = *req };

	nlmsg_put(m, 0, req->nlmsg_seq, NLMSG_ERROR, 0, NLM_F_CAPPED | (text ? NLM_F_ACK_TLVS : 0));
	nlmsg_append(m, &e, sizeof(e), 0);
	if (text)
		nla_put_string(m, NLMSGERR_ATTR_MSG, text);
	peer_send(m, req->nlmsg_pid, 0);
}

static void peer_done(const struct nlmsghdr *req, int error)
{
	struct nl_msg *m = nlmsg_alloc_size(4096);

	nlmsg_put(m, 0, req->nlmsg_seq, NLMSG_DONE, 0, NLM_F_MULTI);
	nlmsg_append(m, &error, sizeof(error), 0);
	peer_send(m, req->nlmsg_pid, 0);
}

static struct nl_msg *family_message(const struct nlmsghdr *req, uint8_t cmd, uint16_t id)
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

static void put_guest(struct nl_msg *m, uint32_t size, uint32_t in_use)
{
	struct nlattr *nest = nla_nest_start(m, APF_A_GUEST);

	nla_put_u32(m, APF_GUEST_A_POOL_SIZE, size);
	nla_put_u32(m, APF_GUEST_A_POOL_IN_USE, in_use);
	nla_nest_end(m, nest);
}

static struct nl_msg *vcpu_message(const struct nlmsghdr *req, uint32_t vm, uint32_t index)
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

static void peer_ctrl(const struct nlmsghdr *req, struct nlattr **a)
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

static void peer_dump(const struct nlmsghdr *req, uint32_t only_vm)
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
	for (uint32_t vm = 1; vm <= 2; vm++)
		for (uint32_t i = 0; i < 3; i++) {
			if (only_vm && vm != only_vm)
				continue;
			m = vcpu_message(req, vm, i);
			if (peer.mode == ALWAYS_INTERRUPTED ||
			    (peer.mode == INTERRUPTED && round == 1 && i == 1))
				nlmsg_hdr(m)->nlmsg_flags |= NLM_F_DUMP_INTR;
			peer_send(m, req->nlmsg_pid, 0);
		}
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

static void peer_apf(struct nlmsghdr *req, struct nlattr **a)
{
	uint8_t cmd = genlmsg_hdr(req)->cmd;
	struct nlattr *pos;
	struct nl_msg *m;
	int rem;

	peer.requests++;
	memset(&peer.last, 0, sizeof(peer.last));
	peer.last.vm_id = a[APF_A_VM_ID] ? nla_get_u32(a[APF_A_VM_ID]) : 0;
	peer.last.state = a[APF_A_STATE] ? nla_get_u32(a[APF_A_STATE]) : 99;
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

static void *peer_main(void *arg)
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

static void send_family_event(uint8_t cmd, uint16_t id)
{
	peer_send(family_message(NULL, cmd, id), 0, 1u << (GROUP_NOTIFY - 1));
}

static void send_gate_event(uint32_t vm_id)
{
	struct nl_msg *m = reply_to(NULL, FAMILY, APF_CMD_EVENT, 0);

	nla_put_u32(m, APF_A_EVENT, APF_EVENT_GATE_CHANGED);
	nla_put_u32(m, APF_A_VM_ID, vm_id);
	nla_put_u32(m, APF_A_STATE, APF_STATE_OFF);
	nla_put_u32(m, APF_A_BY_PID, 5);
	nla_put_string(m, APF_A_BY_COMM, "someone");
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
}

static void send_report_event(uint32_t type, uint32_t index)
{
	struct nl_msg *m = reply_to(NULL, FAMILY, APF_CMD_EVENT, 0);

	nla_put_u32(m, APF_A_EVENT, type);
	nla_put_u32(m, APF_A_VM_ID, 12);
	nla_put_u32(m, APF_A_VCPU_INDEX, index);
	if (type != APF_EVENT_REPORT_GONE)
		put_guest(m, 3, 2);
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
}

/* ---- the daemon's side ---- */

static void on_presence(bool present, void *userdata)
{
	if (present)
		seen.present++;
	else
		seen.absent++;
}

static void on_event(const struct genl_event *e, void *userdata)
{
	seen.events++;
	seen.event = *e;
}

static void on_lost(void *userdata)
{
	seen.lost++;
}

static const struct apfd_genl_ops ops = { on_presence, on_event, on_lost };

static void run_until(const int *counter, int want)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (*counter < want) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		assert_true(sd_event_run(event, 10 * USEC_PER_MSEC) >= 0);
	}
}

static void run_for(uint64_t usec)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + usec, now_usec;

	while ((now_usec = clock_usec(CLOCK_MONOTONIC)) < end_usec)
		assert_true(sd_event_run(event, end_usec - now_usec) >= 0);
}

static int setup_with(bool present)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(addr);
	struct apfd_genl_peer to;

	memset(&seen, 0, sizeof(seen));
	peer.mode = NORMAL;
	peer.present = present;
	peer.dumps = peer.requests = 0;
	peer.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	peer.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (peer.fd < 0 || peer.stop_fd < 0 || bind(peer.fd, (struct sockaddr *)&addr, len) < 0 ||
	    getsockname(peer.fd, (struct sockaddr *)&addr, &len) < 0)
		return -1;
	peer.port = addr.nl_pid;
	if (pthread_create(&peer.thread, NULL, peer_main, NULL) != 0)
		return -1;

	to = (struct apfd_genl_peer){ NETLINK_USERSOCK, peer.port, PEER_WAIT_MSEC };
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(apfd_genl_new(event, &to, &ops, NULL, &g), 0);
	assert_int_equal(apfd_genl_start(g), 0);
	return 0;
}

static int setup(void **state)
{
	return setup_with(true);
}

static int setup_absent(void **state)
{
	return setup_with(false);
}

static int teardown(void **state)
{
	peer.mode = NORMAL;
	g = apfd_genl_free(g);
	event = sd_event_unref(event);
	eventfd_write(peer.stop_fd, 1);
	pthread_join(peer.thread, NULL);
	close(peer.fd);
	close(peer.stop_fd);
	return 0;
}

/* ---- tests ---- */

static void test_info(void **state)
{
	assert_int_equal(seen.present, 1);
	assert_non_null(apfd_genl_info(g));
	assert_string_equal(apfd_genl_info(g)->version, "9.9.9");
	assert_int_equal(apfd_genl_info(g)->nowait, APF_NOWAIT_ACTIVE);
	assert_true(apfd_genl_info(g)->nested_guard);
}

static void test_requests(void **state)
{
	_cleanup_free_ struct genl_vm *vms = NULL;
	uint32_t indices[] = { 3, 1, 2 };
	char text[GENL_TEXT_MAX];
	struct genl_vm vm = {};

	assert_int_equal(apfd_genl_vm_add(g, 33, &vm, text), 0);
	assert_int_equal(peer.last.fd, 33);
	assert_int_equal(vm.id, 12);
	assert_int_equal(vm.state, APF_STATE_PV);
	assert_int_equal(vm.pid, 4711);
	assert_int_equal(vm.age_msec, 60000);

	assert_int_equal(apfd_genl_vm_set(g, 12, APF_STATE_OFF, "because", text), 0);
	assert_int_equal(peer.last.vm_id, 12);
	assert_int_equal(peer.last.state, APF_STATE_OFF);
	assert_string_equal(peer.last.reason, "because");
	assert_int_equal(peer.last.n_indices, 0);

	assert_int_equal(apfd_genl_vcpu_set(g, 12, APF_STATE_ON, indices, 3, NULL, text), 0);
	assert_int_equal(peer.last.n_indices, 3);
	assert_int_equal(peer.last.last_index, 2);
	assert_string_equal(peer.last.reason, "");

	assert_int_equal(apfd_genl_vm_dump(g, &vms), 1);
	assert_int_equal(vms[0].id, 12);
}

static void test_refusal_has_words(void **state)
{
	char text[GENL_TEXT_MAX] = "before";

	peer.mode = REFUSE;
	assert_int_equal(apfd_genl_vm_set(g, 12, APF_STATE_OFF, NULL, text), -ERANGE);
	assert_string_equal(text, "this VM has 2 vCPUs");
	peer.mode = NORMAL;
	assert_int_equal(apfd_genl_vm_set(g, 12, APF_STATE_OFF, NULL, text), 0);
	assert_string_equal(text, "");
}

static void test_long_reason_is_cut(void **state)
{
	char reason[300], text[GENL_TEXT_MAX];

	memset(reason, 'r', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	assert_int_equal(apfd_genl_vm_set(g, 1, APF_STATE_ON, reason, text), 0);
	assert_int_equal(strlen(peer.last.reason), APF_REASON_MAX);
}

static void test_silence_has_an_end(void **state)
{
	uint64_t start_usec = clock_usec(CLOCK_MONOTONIC), took_usec;
	char text[GENL_TEXT_MAX];

	peer.mode = SILENT;
	assert_int_equal(apfd_genl_vm_set(g, 12, APF_STATE_OFF, NULL, text), -ETIMEDOUT);
	took_usec = clock_usec(CLOCK_MONOTONIC) - start_usec;
	assert_in_range(took_usec, PEER_WAIT_MSEC * USEC_PER_MSEC,
			(PEER_WAIT_MSEC + 1000) * USEC_PER_MSEC);
	/* And the next one works. */
	peer.mode = NORMAL;
	assert_int_equal(apfd_genl_vm_set(g, 12, APF_STATE_OFF, NULL, text), 0);
}

static void test_endless_dump_has_an_end(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = ENDLESS;
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), -ETIMEDOUT);
	assert_null(vcpus);
}

static void test_answers_of_others_are_not_ours(void **state)
{
	char text[GENL_TEXT_MAX];
	struct genl_vm vm;

	peer.mode = LATE;
	assert_int_equal(apfd_genl_vm_add(g, 1, &vm, text), 0);
	assert_int_equal(vm.id, 12);
}

static void test_stranger_is_ignored(void **state)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = apfd_genl_event_port(g) };
	struct nl_msg *m = family_message(NULL, CTRL_CMD_DELFAMILY, FAMILY);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	assert_true(sendto(fd, nlmsg_hdr(m), nlmsg_hdr(m)->nlmsg_len, 0, (struct sockaddr *)&to,
			   sizeof(to)) > 0);
	run_for(50 * USEC_PER_MSEC);
	assert_int_equal(seen.absent, 0);
	/* The same from the peer counts. */
	peer_send(m, to.nl_pid, 0);
	run_until(&seen.absent, 1);
	close(fd);
}

static void test_missing_answer(void **state)
{
	char text[GENL_TEXT_MAX];
	struct genl_vm vm = { .id = 77 };

	peer.mode = NO_REPLY;
	assert_int_equal(apfd_genl_vm_add(g, 1, &vm, text), -EBADMSG);
	assert_int_equal(vm.id, 77);
}

static void test_dump(void **state)
{
	_cleanup_free_ struct genl_vcpu *all = NULL, *one = NULL;

	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &all), 6);
	assert_int_equal(all[0].vm_id, 1);
	assert_int_equal(all[5].vm_id, 2);
	assert_int_equal(all[5].index, 2);
	assert_int_equal(all[5].totals.counters[APF_STAT_READY], 2002);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(all[i].paused, all[i].index == 1);
		assert_int_equal(all[i].guest.present, all[i].index > 0);
		assert_int_equal(all[i].guest.value[APF_GUEST_A_POOL_SIZE],
				 all[i].index > 0 ? all[i].vm_id : 0);
		assert_int_equal(all[i].guest.value[APF_GUEST_A_POOL_IN_USE], all[i].index == 1);
	}

	assert_int_equal(apfd_genl_vcpu_dump(g, 2, &one), 3);
	assert_int_equal(one[0].vm_id, 2);
}

static void test_interrupted_dump_is_repeated(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = INTERRUPTED;
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), 6);
	assert_int_equal(peer.dumps, 2);
}

static void test_dump_that_never_succeeds(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = ALWAYS_INTERRUPTED;
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), -EAGAIN);
	assert_in_range(peer.dumps, 2, 10);
	peer.mode = DONE_WITH_ERROR;
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), -ENOMEM);
	assert_null(vcpus);
}

static void test_malformed_dump(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;

	peer.mode = MALFORMED;
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), -EBADMSG);
	peer.mode = CUT;
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), -EBADMSG);
	assert_null(vcpus);
	peer.mode = NORMAL;
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), 6);
}

static void test_absent(void **state)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;
	char text[GENL_TEXT_MAX];
	struct genl_vm vm;

	assert_int_equal(seen.present, 0);
	assert_int_equal(seen.absent, 0);
	assert_null(apfd_genl_info(g));
	assert_int_equal(apfd_genl_vm_add(g, 1, &vm, text), -ENXIO);
	assert_int_equal(apfd_genl_vcpu_dump(g, 0, &vcpus), -ENXIO);
	assert_int_equal(peer.requests, 0);
}

static void test_loaded_and_unloaded(void **state)
{
	/* Somebody else's family. */
	struct nl_msg *m = family_message(NULL, CTRL_CMD_NEWFAMILY, OTHER_FAMILY);

	nla_put_string(m, CTRL_ATTR_FAMILY_NAME, "other");
	peer.present = true;
	peer_send(m, 0, 1u << (GROUP_NOTIFY - 1));
	run_for(50 * USEC_PER_MSEC);
	assert_int_equal(seen.present, 0);

	for (int i = 1; i <= 3; i++) {
		peer.present = true;
		send_family_event(CTRL_CMD_NEWFAMILY, FAMILY);
		run_until(&seen.present, i);
		assert_non_null(apfd_genl_info(g));
		/* Told twice is not loaded twice. */
		send_family_event(CTRL_CMD_NEWFAMILY, FAMILY);
		send_gate_event(12);
		run_until(&seen.events, i);
		assert_int_equal(seen.present, i);

		peer.present = false;
		send_family_event(CTRL_CMD_DELFAMILY, FAMILY);
		run_until(&seen.absent, i);
		assert_null(apfd_genl_info(g));
	}
}

static void test_event(void **state)
{
	send_gate_event(12);
	run_until(&seen.events, 1);
	assert_int_equal(seen.event.type, APF_EVENT_GATE_CHANGED);
	assert_int_equal(seen.event.vm_id, 12);
	assert_int_equal(seen.event.state, APF_STATE_OFF);
	assert_string_equal(seen.event.by_comm, "someone");
	assert_int_equal(seen.event.n_indices, 0);
}

static void test_report_event(void **state)
{
	send_report_event(APF_EVENT_POOL_TAKEN, 5);
	run_until(&seen.events, 1);
	assert_int_equal(seen.event.type, APF_EVENT_POOL_TAKEN);
	assert_int_equal(seen.event.indices[0], 5);
	assert_int_equal(seen.event.guest.value[APF_GUEST_A_POOL_IN_USE], 2);

	/* Without its vCPU it is no event; the one behind it is. */
	send_report_event(APF_EVENT_POOL_RETURNED, GENL_VCPUS_MAX);
	send_report_event(APF_EVENT_REPORT_GONE, 6);
	run_until(&seen.events, 2);
	assert_int_equal(seen.event.type, APF_EVENT_REPORT_GONE);
	assert_int_equal(seen.event.indices[0], 6);
	assert_false(seen.event.guest.present);
}

static void test_malformed_event(void **state)
{
	struct nl_msg *m = reply_to(NULL, FAMILY, APF_CMD_EVENT, 0);

	nla_put_u32(m, APF_A_EVENT, APF_EVENT_VM_GONE);
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
	/* Shorter than a generic netlink header. */
	m = nlmsg_alloc();
	nlmsg_put(m, 0, 0, FAMILY, 0, 0);
	peer_send(m, 0, 1u << (GROUP_EVENTS - 1));
	m = nlmsg_alloc();
	nlmsg_put(m, 0, 0, GENL_ID_CTRL, 0, 0);
	peer_send(m, 0, 1u << (GROUP_NOTIFY - 1));
	/* It goes on. */
	send_gate_event(3);
	run_until(&seen.events, 1);
	assert_int_equal(seen.event.vm_id, 3);
}

static void test_flood(void **state)
{
	/* More than any buffer holds; the loop does not run meanwhile. */
	for (int i = 0; i < 20000; i++)
		send_gate_event(1);
	run_until(&seen.lost, 1);
	assert_int_equal(seen.absent, 0);
	/* Deaf no more. */
	run_for(50 * USEC_PER_MSEC);
	seen.events = 0;
	send_gate_event(44);
	run_until(&seen.events, 1);
	assert_int_equal(seen.event.vm_id, 44);
}

int main(void)
{
#define PRESENT(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define ABSENT(t)  cmocka_unit_test_setup_teardown(t, setup_absent, teardown)
	const struct CMUnitTest tests[] = {
		PRESENT(test_info),
		PRESENT(test_requests),
		PRESENT(test_refusal_has_words),
		PRESENT(test_long_reason_is_cut),
		PRESENT(test_silence_has_an_end),
		PRESENT(test_endless_dump_has_an_end),
		PRESENT(test_answers_of_others_are_not_ours),
		PRESENT(test_stranger_is_ignored),
		PRESENT(test_missing_answer),
		PRESENT(test_dump),
		PRESENT(test_interrupted_dump_is_repeated),
		PRESENT(test_dump_that_never_succeeds),
		PRESENT(test_malformed_dump),
		ABSENT(test_absent),
		ABSENT(test_loaded_and_unloaded),
		PRESENT(test_event),
		PRESENT(test_report_event),
		PRESENT(test_malformed_event),
		PRESENT(test_flood),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	if (fd < 0) {
		printf("skipped: this kernel has no NETLINK_USERSOCK\n");
		return 77;
	}
	close(fd);
	return cmocka_run_group_tests_name("genl", tests, NULL, NULL);
}
