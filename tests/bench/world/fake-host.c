/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A host to measure apfd on where there is no KVM: processes in the place of QEMUs,
 * with their PID files, and a netlink peer in the place of apf_host, which has no
 * limit of its own and answers as the module does: full dumps, many records to a
 * message. Its own time is not apfd's: it is a process of its own.
 *
 *	fake-host VMS VCPUS ACTIVE PID_DIR
 *
 * Of each hundred VMs ACTIVE swap: their counters and histograms move between two
 * dumps. Prints its netlink port, then runs until standard input ends.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uapi/apf_host.h>

enum { MAX_ATTRS = 64, FAMILY = 0x42, GROUP_NOTIFY = 5, GROUP_EVENTS = 6 };

/* What the kernel fills a message of a dump up to, where the reader offers as much. */
#define DUMP_BYTES (32 * 1024 - 1024)

static struct {
	unsigned int vms, vcpus, active;
	const char *pid_dir;
	int fd;
	uint32_t port;
	struct timespec start;
	pid_t *pid;	/* of each VM */
	bool *added;	/* by VM_ADD */
	uint8_t *gate;
	uint8_t *state; /* of each vCPU, VM by VM */
	char out[DUMP_BYTES + 4096];
	size_t out_bytes;
} host;

static void die(const char *what)
{
	fprintf(stderr, "fake-host: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void send_out(uint32_t port)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = port };

	/* Waits while the reader's buffer is full, as the kernel's dump does. */
	if (host.out_bytes > 0 &&
	    sendto(host.fd, host.out, host.out_bytes, 0, (struct sockaddr *)&to, sizeof(to)) < 0 &&
	    errno != ECONNREFUSED && errno != ESRCH)
		die("sendto");
	host.out_bytes = 0;
}

/* Takes over @m. */
static void add(struct nl_msg *m, uint32_t port)
{
	size_t bytes = nlmsg_hdr(m)->nlmsg_len;

	if (host.out_bytes + bytes > DUMP_BYTES)
		send_out(port);
	memcpy(host.out + host.out_bytes, nlmsg_hdr(m), bytes);
	host.out_bytes += NLMSG_ALIGN(bytes);
	nlmsg_free(m);
}

static struct nl_msg *reply_to(const struct nlmsghdr *req, uint16_t type, uint8_t cmd, int flags)
{
	struct nl_msg *m = nlmsg_alloc_size(4096);

	if (!m)
		die("nlmsg_alloc");
	genlmsg_put(m, 0, req->nlmsg_seq, type, 0, flags, cmd, 1);
	return m;
}

static void end(const struct nlmsghdr *req, uint16_t type, int error)
{
	struct nl_msg *m = nlmsg_alloc_size(4096);
	struct nlmsgerr e = { .error = error, .msg = *req };

	nlmsg_put(m, 0, req->nlmsg_seq, type, 0, type == NLMSG_DONE ? NLM_F_MULTI : NLM_F_CAPPED);
	if (type == NLMSG_DONE)
		nlmsg_append(m, &error, sizeof(error), 0);
	else
		nlmsg_append(m, &e, sizeof(e), 0);
	add(m, req->nlmsg_pid);
	send_out(req->nlmsg_pid);
}

static void answer_ctrl(const struct nlmsghdr *req, struct nlattr **a)
{
	const char *name = a[CTRL_ATTR_FAMILY_NAME] ? nla_get_string(a[CTRL_ATTR_FAMILY_NAME]) : "";
	bool ctrl = strcmp(name, "nlctrl") == 0;
	struct nlattr *groups, *group;
	struct nl_msg *m;

	if (!ctrl && strcmp(name, APF_GENL_NAME) != 0) {
		end(req, NLMSG_ERROR, -ENOENT);
		return;
	}
	m = reply_to(req, GENL_ID_CTRL, CTRL_CMD_NEWFAMILY, 0);
	nla_put_string(m, CTRL_ATTR_FAMILY_NAME, name);
	nla_put_u16(m, CTRL_ATTR_FAMILY_ID, ctrl ? GENL_ID_CTRL : FAMILY);
	nla_put_u32(m, CTRL_ATTR_VERSION, 1);
	groups = nla_nest_start(m, CTRL_ATTR_MCAST_GROUPS);
	group = nla_nest_start(m, 1);
	nla_put_string(m, CTRL_ATTR_MCAST_GRP_NAME, ctrl ? "notify" : APF_GENL_MCGRP_EVENTS);
	nla_put_u32(m, CTRL_ATTR_MCAST_GRP_ID, ctrl ? GROUP_NOTIFY : GROUP_EVENTS);
	nla_nest_end(m, group);
	nla_nest_end(m, groups);
	add(m, req->nlmsg_pid);
	end(req, NLMSG_ERROR, 0);
}

static uint64_t age_msec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)(now.tv_sec - host.start.tv_sec) * 1000 +
	       (uint64_t)(now.tv_nsec / 1000000 - host.start.tv_nsec / 1000000);
}

static uint64_t stat_of(int stat, uint64_t n)
{
	switch (stat) {
	case APF_STAT_ASKED:
	case APF_STAT_NOT_PRESENT:
	case APF_STAT_DELIVERED:
	case APF_STAT_READY:
		return n;
	case APF_STAT_SYNC_STALLS:
		return n / 10;
	case APF_STAT_SYNC_STALL_NSEC:
		return n * 500000;
	case APF_STAT_ASYNC_NSEC:
		return n * 5000000;
	default:
		return 0;
	}
}

static bool is_active(uint32_t vm)
{
	return vm * host.active / 100 != (vm - 1) * host.active / 100;
}

static uint64_t swapins(uint32_t vm, uint32_t index)
{
	return is_active(vm) ? age_msec() / 10 + index : 100;
}

/* A vCPU of a VM that swaps: a hundred swap-ins a second, one in ten synchronous. */
static void put_vcpu(const struct nlmsghdr *req, uint32_t vm, uint32_t index)
{
	struct nl_msg *m = reply_to(req, FAMILY, APF_CMD_VCPU_GET, NLM_F_MULTI);
	uint64_t n = swapins(vm, index);
	uint64_t hist[APF_HIST_BUCKETS] = {};
	struct nlattr *nest;

	nla_put_u32(m, APF_A_VM_ID, vm);
	nla_put_u32(m, APF_A_VCPU_INDEX, index);
	nla_put_u32(m, APF_A_VCPU_ID, index);
	nla_put_u32(m, APF_A_STATE, host.state[(vm - 1) * host.vcpus + index]);
	nla_put_u32(m, APF_A_OUTSTANDING, is_active(vm) ? (uint32_t)(n % 4) : 0);
	nla_put_u32(m, APF_A_GUEST_APF, APF_GUEST_APF_USER);
	nla_put_u8(m, APF_A_PAUSED, 0);
	nest = nla_nest_start(m, APF_A_STATS);
	for (int i = APF_STAT_PAD + 1; i <= APF_STAT_MAX; i++)
		nla_put_u64(m, i, stat_of(i, n));
	nla_nest_end(m, nest);
	hist[12] = n / 2;
	hist[13] = n - n / 2;
	nla_put(m, APF_A_HIST_ASYNC, sizeof(hist), hist);
	hist[12] = 0;
	hist[13] = n / 10;
	nla_put(m, APF_A_HIST_SYNC, sizeof(hist), hist);
	/* One VM in two has our module in its guest. */
	if (vm % 2) {
		nest = nla_nest_start(m, APF_A_GUEST);
		for (int i = APF_GUEST_A_UNSPEC + 1; i <= APF_GUEST_A_MAX; i++)
			nla_put_u32(m, i,
				    i == APF_GUEST_A_POOL_SIZE			       ? 64
				    : i == APF_GUEST_A_WAITS || i == APF_GUEST_A_WAKES ? (uint32_t)n
										       : 0);
		nla_nest_end(m, nest);
	}
	add(m, req->nlmsg_pid);
}

static void put_vm(const struct nlmsghdr *req, uint32_t vm, uint8_t cmd, int flags)
{
	struct nl_msg *m = reply_to(req, FAMILY, cmd, flags);
	struct nlattr *nest;

	nla_put_u32(m, APF_A_VM_ID, vm);
	nla_put_u32(m, APF_A_STATE, host.gate[vm - 1]);
	nla_put_u32(m, APF_A_VCPU_COUNT, host.vcpus);
	nla_put_u64(m, APF_A_AGE_MSEC, age_msec());
	nest = nla_nest_start(m, APF_A_STATS);
	for (int i = APF_STAT_PAD + 1; i <= APF_STAT_MAX; i++) {
		uint64_t sum = 0;

		for (uint32_t k = 0; k < host.vcpus; k++)
			sum += stat_of(i, swapins(vm, k));
		nla_put_u64(m, i, sum);
	}
	nla_nest_end(m, nest);
	add(m, req->nlmsg_pid);
}

/* Gates stay as they are set, or the daemon would set them for ever. */
static int set_state(struct nlmsghdr *req, struct nlattr **a)
{
	uint32_t vm = a[APF_A_VM_ID] ? nla_get_u32(a[APF_A_VM_ID]) : 0;
	uint8_t state = a[APF_A_STATE] ? (uint8_t)nla_get_u32(a[APF_A_STATE]) : APF_STATE_ON;
	bool some = genlmsg_hdr(req)->cmd == APF_CMD_VCPU_SET;
	uint8_t *vcpus = host.state + (size_t)(vm - 1) * host.vcpus;
	struct nlattr *attr;
	int rest;

	if (vm == 0 || vm > host.vms || !host.added[vm - 1])
		return -ENOENT;
	if (!some) {
		host.gate[vm - 1] = state;
		memset(vcpus, state, host.vcpus);
		return 0;
	}
	nlmsg_for_each_attr(attr, req, GENL_HDRLEN, rest) if (nla_type(attr) == APF_A_VCPU_INDEX)
	{
		if (nla_get_u32(attr) >= host.vcpus)
			return -ERANGE;
		vcpus[nla_get_u32(attr)] = state;
	}
	return 0;
}

/* The VM with this process; 0: none. The same VM may be added twice, as after a lost answer. */
static uint32_t vm_of(pid_t pid)
{
	for (uint32_t vm = 1; vm <= host.vms; vm++)
		if (host.pid[vm - 1] == pid)
			return vm;
	return 0;
}

static void answer_apf(struct nlmsghdr *req, struct nlattr **a)
{
	uint8_t cmd = genlmsg_hdr(req)->cmd;
	uint32_t only = a[APF_A_VM_ID] ? nla_get_u32(a[APF_A_VM_ID]) : 0;
	struct nl_msg *m;

	switch (cmd) {
	case APF_CMD_GET_INFO:
		m = reply_to(req, FAMILY, cmd, 0);
		nla_put_string(m, APF_A_INFO_VERSION, "fake");
		nla_put_u32(m, APF_A_INFO_NOWAIT, APF_NOWAIT_NOT_NEEDED);
		nla_put_u8(m, APF_A_INFO_NESTED_GUARD, 1);
		add(m, req->nlmsg_pid);
		break;
	case APF_CMD_VM_ADD:
		only = vm_of(a[APF_A_VM_FD] ? (pid_t)nla_get_u32(a[APF_A_VM_FD]) : 0);
		if (!only) {
			end(req, NLMSG_ERROR, -EBADF);
			return;
		}
		host.added[only - 1] = true;
		put_vm(req, only, cmd, 0);
		break;
	case APF_CMD_VM_GET:
		for (uint32_t vm = 1; vm <= host.vms; vm++)
			if (host.added[vm - 1])
				put_vm(req, vm, cmd, NLM_F_MULTI);
		end(req, NLMSG_DONE, 0);
		return;
	case APF_CMD_VCPU_GET:
		for (uint32_t vm = only ? only : 1; vm <= (only ? only : host.vms); vm++)
			for (uint32_t i = 0; host.added[vm - 1] && i < host.vcpus; i++)
				put_vcpu(req, vm, i);
		end(req, NLMSG_DONE, 0);
		return;
	case APF_CMD_VM_SET:
	case APF_CMD_VCPU_SET:
		end(req, NLMSG_ERROR, set_state(req, a));
		return;
	default:
		break;
	}
	end(req, NLMSG_ERROR, 0);
}

static void serve(void)
{
	union {
		struct nlmsghdr hdr;
		char bytes[65536];
	} buf;
	struct nlattr *a[MAX_ATTRS];
	struct pollfd fds[] = { { host.fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };

	for (;;) {
		ssize_t n;

		if (poll(fds, 2, -1) < 0 || fds[1].revents)
			return;
		n = recv(host.fd, &buf, sizeof(buf), 0);
		if (n < (ssize_t)sizeof(buf.hdr) ||
		    genlmsg_parse(&buf.hdr, 0, a, MAX_ATTRS - 1, NULL))
			continue;
		if (buf.hdr.nlmsg_type == GENL_ID_CTRL)
			answer_ctrl(&buf.hdr, a);
		else
			answer_apf(&buf.hdr, a);
	}
}

/* A process that does nothing, ends with us, and has vmN.pid. */
static void start_vm(unsigned int vm)
{
	char path[4096];
	FILE *file;
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(host.fd);
		for (;;)
			pause();
	}
	host.pid[vm - 1] = pid;
	snprintf(path, sizeof(path), "%s/vm%u.pid", host.pid_dir, vm);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%d\n", pid) < 0 || fclose(file) != 0)
		die(path);
}

int main(int argc, char **argv)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	socklen_t size = sizeof(self);

	if (argc != 5) {
		fputs("usage: fake-host VMS VCPUS ACTIVE PID_DIR\n", stderr);
		return 2;
	}
	host.vms = (unsigned int)atoi(argv[1]);
	host.vcpus = (unsigned int)atoi(argv[2]);
	host.active = (unsigned int)atoi(argv[3]);
	host.pid_dir = argv[4];
	clock_gettime(CLOCK_MONOTONIC, &host.start);
	host.pid = calloc(host.vms + 1, sizeof(*host.pid));
	host.added = calloc(host.vms + 1, sizeof(*host.added));
	host.gate = malloc(host.vms + 1);
	host.state = malloc((size_t)host.vms * host.vcpus + 1);
	if (!host.pid || !host.added || !host.gate || !host.state)
		die("malloc");
	memset(host.gate, APF_STATE_ON, host.vms);
	memset(host.state, APF_STATE_ON, (size_t)host.vms * host.vcpus);

	host.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	if (host.fd < 0 || bind(host.fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    getsockname(host.fd, (struct sockaddr *)&self, &size) < 0)
		die("netlink socket");
	for (unsigned int vm = 1; vm <= host.vms; vm++)
		start_vm(vm);
	printf("%u\n", self.nl_pid);
	fflush(stdout);
	serve();
	return 0;
}
