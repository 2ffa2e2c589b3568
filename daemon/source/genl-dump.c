/* SPDX-License-Identifier: GPL-2.0 */
#include "genl-dump.h"

#include <errno.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <poll.h>
#include <sys/epoll.h>

#define TIMER_ACCURACY_USEC (10 * USEC_PER_MSEC)

/**
 * struct slice - the records of one VM
 * @bad: they must not be used
 */
struct slice {
	uint32_t vm_id;
	bool bad;
	struct genl_vcpus vcpus;
};

/**
 * struct genl_dump
 * @sk: NULL after an error: what may still arrive must not be taken for the next answer
 * @running: a request was sent, and its answer has not ended
 * @ended: the end of the answer was read, with @error
 * @malformed: messages of which not even the VM is known
 * @heard_usec: time of the last datagram, CLOCK_MONOTONIC
 */
struct genl_dump {
	sd_event *event;
	struct apfd_genl_peer peer;
	struct nl_sock *sk;
	sd_event_source *io_source;
	sd_event_source *timer;
	const struct genl_dump_ops *ops;
	void *userdata;
	bool running;
	bool ended;
	int error;
	enum apf_cmd cmd;
	uint32_t vm_id;
	uint32_t seq;
	size_t records;
	size_t malformed;
	uint64_t begin_usec;
	uint64_t heard_usec;
	struct slice slice;
};

/* ---- records ---- */

/* Passes on the records of a VM. */
static void slice_end(struct genl_dump *d)
{
	struct slice *s = &d->slice;
	struct genl_vcpus *v = &s->vcpus;
	bool sorted = true;

	if (!s->vm_id)
		return;
	for (size_t i = 1; sorted && i < v->n; i++)
		sorted = v->all[i - 1].index < v->all[i].index;
	if (!sorted && !s->bad) {
		genl_vcpus_sort(v);
		for (size_t i = 1; i < v->n; i++)
			s->bad = s->bad || v->all[i - 1].index == v->all[i].index;
	}
	if (s->bad)
		d->ops->bad(s->vm_id, d->userdata);
	else
		d->ops->vcpus(s->vm_id, v->all, v->n, d->userdata);
	s->vm_id = 0;
}

static void slice_begin(struct genl_dump *d, uint32_t vm_id)
{
	struct slice *s = &d->slice;

	if (s->vm_id == vm_id)
		return;
	slice_end(d);
	s->vm_id = vm_id;
	s->bad = false;
	s->vcpus.n = 0;
}

static int slice_add(struct slice *s, const struct genl_vcpu *vcpu)
{
	if (s->vcpus.n == GENL_VCPUS_MAX) {
		s->bad = true;
		return 0;
	}
	return genl_vcpus_add(&s->vcpus, vcpu);
}

static int take_vcpu(struct genl_dump *d, struct nlmsghdr *hdr)
{
	struct genl_vcpu vcpu;
	uint32_t vm_id;
	int r;

	r = genl_parse_vcpu(hdr, &vcpu);
	vm_id = r < 0 ? genl_parse_vm_id(hdr) : vcpu.vm_id;
	if (!vm_id || (d->vm_id && vm_id != d->vm_id)) {
		d->malformed++;
		return 0;
	}
	slice_begin(d, vm_id);
	if (r < 0) {
		d->slice.bad = true;
		return 0;
	}
	return slice_add(&d->slice, &vcpu);
}

static int take_vm(struct genl_dump *d, struct nlmsghdr *hdr)
{
	struct genl_vm vm;
	uint32_t vm_id;

	if (genl_parse_vm(hdr, &vm) >= 0) {
		d->ops->vm(&vm, d->userdata);
		return 0;
	}
	vm_id = genl_parse_vm_id(hdr);
	if (vm_id)
		d->ops->bad(vm_id, d->userdata);
	else
		d->malformed++;
	return 0;
}

static int handle(struct nlmsghdr *hdr, void *userdata)
{
	struct genl_dump *d = userdata;
	char text[GENL_TEXT_MAX];

	/* NLM_F_DUMP_INTR needs no handling: a VM of which vCPUs are missing is read again. */
	if (hdr->nlmsg_seq != d->seq || d->ended)
		return 0;
	switch (hdr->nlmsg_type) {
	case NLMSG_NOOP:
		return 0;
	case NLMSG_OVERRUN:
		return -ENOBUFS;
	case NLMSG_ERROR:
	case NLMSG_DONE:
		d->error = genl_parse_ack(hdr, text);
		d->ended = true;
		return 0;
	default:
		if (d->records++ >= GENL_DUMP_RECORDS_MAX)
			return -E2BIG;
		return d->cmd == APF_CMD_VM_GET ? take_vm(d, hdr) : take_vcpu(d, hdr);
	}
}

/* ---- the dump ---- */

static void close_socket(struct genl_dump *d)
{
	d->io_source = sd_event_source_disable_unref(d->io_source);
	nl_socket_free(d->sk);
	d->sk = NULL;
}

/* @complete: the end of the answer was read, so that the socket can be used again. */
static void finish(struct genl_dump *d, int error, bool complete)
{
	if (error == 0)
		slice_end(d);
	/* The rest of this VM is missing. */
	d->slice.vm_id = 0;
	d->running = false;
	if (!complete)
		close_socket(d);
	if (error == 0 && d->malformed)
		error = -EBADMSG;
	d->ops->done(error, d->userdata);
}

void genl_dump_end(struct genl_dump *d, int error)
{
	if (d->running)
		finish(d, error, false);
}

static uint64_t limit_usec(const struct genl_dump *d, unsigned int msec)
{
	unsigned int unit = d->peer.wait_msec;

	/* A limit is so many times the 100 ms that a request may take. */
	return (unit ? msec / 100 * unit : msec) * USEC_PER_MSEC;
}

/*
 * The kernel has answered when the request is sent. A process in its place (tests, benchmarks) is
 * a moment later, and waiting for a moment costs less than another turn of the loop.
 */
static bool has_more(struct genl_dump *d)
{
	struct pollfd fd = { .fd = nl_socket_get_fd(d->sk), .events = POLLIN };

	return poll(&fd, 1, 1) > 0;
}

/* Reads what has arrived, also the answers to requests that ops->done() sends. */
static void pump(struct genl_dump *d)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);
	uint64_t end_usec = now_usec + GENL_DUMP_SLICE_MSEC * USEC_PER_MSEC;

	while (d->running && now_usec < end_usec) {
		int r = genl_socket_receive(d->sk, &d->peer, handle, d);

		now_usec = clock_usec(CLOCK_MONOTONIC);
		if (r == -EAGAIN) {
			if (!has_more(d))
				return;
			continue;
		}
		d->heard_usec = now_usec;
		if (r == -EBADMSG || r == -EMSGSIZE)
			d->malformed++;
		else if (r < 0 && r != -EINTR)
			finish(d, r, false);
		if (d->running && d->ended)
			finish(d, d->error, true);
		else if (d->running &&
			 now_usec - d->begin_usec > limit_usec(d, GENL_DUMP_MAX_MSEC))
			finish(d, -ETIMEDOUT, false);
	}
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	pump(userdata);
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct genl_dump *d = userdata;
	uint64_t now_usec, until_usec;
	int r;

	/* If the loop was busy, the answer may be there already. */
	pump(d);
	if (!d->running)
		return 0;
	now_usec = clock_usec(CLOCK_MONOTONIC);
	until_usec = d->heard_usec + limit_usec(d, GENL_DUMP_SILENCE_MSEC);
	if (now_usec >= until_usec) {
		finish(d, -ETIMEDOUT, false);
		return 0;
	}
	r = sd_event_source_set_time(s, until_usec);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int open_socket(struct genl_dump *d)
{
	int r;

	if (d->sk)
		return 0;
	r = genl_socket_open(&d->peer, &d->sk);
	if (r < 0)
		return r;
	/* The kernel's messages fit in the buffer, and a longer one is not used anyway. */
	nl_socket_disable_msg_peek(d->sk);
	r = nl_socket_set_nonblocking(d->sk);
	if (r < 0) {
		close_socket(d);
		return genl_errno(r);
	}
	r = sd_event_add_io(d->event, &d->io_source, nl_socket_get_fd(d->sk), EPOLLIN, on_io, d);
	if (r < 0) {
		close_socket(d);
		return r;
	}
	(void)sd_event_source_set_description(d->io_source, "apf-host-dump");
	return 0;
}

/* The timer of the request before may still run; then on_timer() prolongs it. */
static int start_timer(struct genl_dump *d)
{
	uint64_t wait_usec = limit_usec(d, GENL_DUMP_SILENCE_MSEC);
	int r, enabled;

	if (!d->timer) {
		r = sd_event_add_time_relative(d->event, &d->timer, CLOCK_MONOTONIC, wait_usec,
					       TIMER_ACCURACY_USEC, on_timer, d);
		if (r < 0)
			return r;
		(void)sd_event_source_set_description(d->timer, "apf-host-dump-silence");
		/* Without the timer a dump may never end, and no other would begin. */
		return sd_event_source_set_exit_on_failure(d->timer, true);
	}
	r = sd_event_source_get_enabled(d->timer, &enabled);
	if (r < 0 || enabled != SD_EVENT_OFF)
		return r;
	r = sd_event_source_set_time_relative(d->timer, wait_usec);
	return r < 0 ? r : sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

int genl_dump_start(struct genl_dump *d, uint16_t family, enum apf_cmd cmd, uint32_t vm_id,
		    const struct genl_dump_ops *ops, void *userdata)
{
	_cleanup_(nlmsg_freep) struct nl_msg *msg = NULL;
	int r;

	if (d->running)
		return -EBUSY;
	r = open_socket(d);
	if (r >= 0)
		r = start_timer(d);
	if (r < 0)
		return r;
	msg = genl_message_new(family, cmd, APF_GENL_VERSION, NLM_F_DUMP);
	if (!msg || (vm_id && nla_put_u32(msg, APF_A_VM_ID, vm_id) < 0))
		return -ENOMEM;
	r = nl_send_auto(d->sk, msg);
	if (r < 0)
		return genl_errno(r);
	d->ops = ops;
	d->userdata = userdata;
	d->running = true;
	d->ended = false;
	d->error = 0;
	d->cmd = cmd;
	d->vm_id = vm_id;
	d->seq = nlmsg_hdr(msg)->nlmsg_seq;
	d->records = d->malformed = 0;
	d->begin_usec = d->heard_usec = clock_usec(CLOCK_MONOTONIC);
	return 0;
}

int genl_dump_new(sd_event *event, const struct apfd_genl_peer *peer, struct genl_dump **ret)
{
	_cleanup_(genl_dump_freep) struct genl_dump *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->event = sd_event_ref(event);
	d->peer = *peer;
	/* Without a socket the daemon is useless: fail when it starts, and not in each tick. */
	r = open_socket(d);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(d);
	return 0;
}

struct genl_dump *genl_dump_free(struct genl_dump *d)
{
	if (!d)
		return NULL;
	close_socket(d);
	sd_event_source_disable_unref(d->timer);
	free(d->slice.vcpus.all);
	sd_event_unref(d->event);
	free(d);
	return NULL;
}
