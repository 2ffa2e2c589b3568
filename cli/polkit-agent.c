// SPDX-License-Identifier: GPL-2.0
#include "polkit-agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apf/cleanup.h"

#define AGENT_PATH "/usr/bin/pkttyagent"

/* It registers in some 50 ms; one that hangs must not hold up the command. */
#define AGENT_READY_MSEC 5000

static void run_agent(int notify_fd, pid_t parent) __attribute__((noreturn));

static void run_agent(int notify_fd, pid_t parent)
{
	char number[16];

	/* Dies with us, however we end. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	snprintf(number, sizeof(number), "%d", notify_fd);
	/* --fallback: a desktop's own agent goes first. */
	execl(AGENT_PATH, AGENT_PATH, "--notify-fd", number, "--fallback", (char *)NULL);
	_exit(127);
}

void polkit_agent_start(struct apfctl *ctl)
{
	_cleanup_close_ int ready_fd = -EBADF, notify_fd = -EBADF;
	pid_t parent = getpid();
	struct pollfd poll_fd;
	int fds[2];

	/* On another host it is another polkit's question. */
	if (ctl->host || !ctl->ask_password || ctl->agent_pid > 0 || geteuid() == 0 ||
	    !isatty(STDIN_FILENO))
		return;
	if (access(AGENT_PATH, X_OK) < 0 || pipe2(fds, 0) < 0)
		return;
	ready_fd = fds[0];
	notify_fd = fds[1];
	fcntl(ready_fd, F_SETFD, FD_CLOEXEC);

	ctl->agent_pid = fork();
	if (ctl->agent_pid < 0) {
		ctl->agent_pid = 0;
		return;
	}
	if (ctl->agent_pid == 0)
		run_agent(notify_fd, parent);

	close(TAKE_FD(notify_fd));
	/* It closes its end when it is registered, or dead. */
	poll_fd = (struct pollfd){ .fd = ready_fd, .events = POLLIN };
	while (poll(&poll_fd, 1, AGENT_READY_MSEC) < 0 && errno == EINTR)
		;
}

void polkit_agent_stop(struct apfctl *ctl)
{
	if (ctl->agent_pid <= 0)
		return;
	kill(ctl->agent_pid, SIGTERM);
	/* It may have been stopped for reading a terminal it does not own. */
	kill(ctl->agent_pid, SIGCONT);
	while (waitpid(ctl->agent_pid, NULL, 0) < 0 && errno == EINTR)
		;
	ctl->agent_pid = 0;
}
