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

/* The agent registers within about 50 ms; an agent that hangs must not block the command. */
#define AGENT_READY_MSEC 5000

static void run_agent(int notify_fd, pid_t parent) __attribute__((noreturn));

static void run_agent(int notify_fd, pid_t parent)
{
	char number[16];

	/* The agent must end when apfctl ends, even after a crash. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	snprintf(number, sizeof(number), "%d", notify_fd);
	/* --fallback: polkit prefers the agent of a desktop session. */
	execl(AGENT_PATH, AGENT_PATH, "--notify-fd", number, "--fallback", (char *)NULL);
	_exit(127);
}

void polkit_agent_start(struct client *client)
{
	_cleanup_close_ int ready_fd = -EBADF, notify_fd = -EBADF;
	pid_t parent = getpid();
	struct pollfd poll_fd;
	int fds[2];

	/* The polkit of another host cannot use an agent here. */
	if (client->host || !client->ask_password || client->agent_pid > 0 || geteuid() == 0 ||
	    !isatty(STDIN_FILENO))
		return;
	if (access(AGENT_PATH, X_OK) < 0 || pipe2(fds, 0) < 0)
		return;
	ready_fd = fds[0];
	notify_fd = fds[1];
	fcntl(ready_fd, F_SETFD, FD_CLOEXEC);

	client->agent_pid = fork();
	if (client->agent_pid < 0) {
		client->agent_pid = 0;
		return;
	}
	if (client->agent_pid == 0)
		run_agent(notify_fd, parent);

	close(TAKE_FD(notify_fd));
	/* The agent's end of the pipe is closed when the agent is registered or has ended. */
	poll_fd = (struct pollfd){ .fd = ready_fd, .events = POLLIN };
	while (poll(&poll_fd, 1, AGENT_READY_MSEC) < 0 && errno == EINTR)
		;
}

void polkit_agent_stop(struct client *client)
{
	if (client->agent_pid <= 0)
		return;
	kill(client->agent_pid, SIGTERM);
	/* The kernel may have stopped the agent (SIGTTIN); a stopped process does not end. */
	kill(client->agent_pid, SIGCONT);
	while (waitpid(client->agent_pid, NULL, 0) < 0 && errno == EINTR)
		;
	client->agent_pid = 0;
}
