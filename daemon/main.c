/* SPDX-License-Identifier: GPL-2.0 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "log.h"
#include "manager.h"

#define DEFAULT_URI	"qemu:///system"
#define DEFAULT_PID_DIR "/run/libvirt/qemu"

static struct manager_options arg_options = {
	.uri = DEFAULT_URI,
	.pid_dir = DEFAULT_PID_DIR,
	.proc_root = "/proc",
};
static bool arg_debug;

static void help(void)
{
	printf("Usage: apfd [OPTION]...\n"
	       "Overcommit manager for KVM hosts: shows and controls asynchronous page faults.\n"
	       "\n"
	       "  -c, --connect=URI   libvirt connection (default: " DEFAULT_URI ")\n"
	       "      --pid-dir=DIR   where libvirt leaves NAME.pid (default: " DEFAULT_PID_DIR
	       ")\n"
	       "      --debug         log more\n"
	       "  -h, --help          print this text and exit\n"
	       "      --version       print the version and exit\n");
}

/* Returns 1 to go on, 0 if all is done, -EINVAL if the options are wrong. */
static int parse_arguments(int argc, char *argv[])
{
	enum { ARG_PID_DIR = 0x100, ARG_DEBUG, ARG_VERSION };
	static const struct option options[] = {
		{ "connect", required_argument, NULL, 'c' },
		{ "pid-dir", required_argument, NULL, ARG_PID_DIR },
		{ "debug", no_argument, NULL, ARG_DEBUG },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, ARG_VERSION },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) >= 0)
		switch (c) {
		case 'c':
			arg_options.uri = optarg;
			break;
		case ARG_PID_DIR:
			arg_options.pid_dir = optarg;
			arg_options.pid_dir_given = true;
			break;
		case ARG_DEBUG:
			arg_debug = true;
			break;
		case 'h':
			help();
			return 0;
		case ARG_VERSION:
			printf("apfd %s\n", APF_VERSION);
			return 0;
		default:
			return -EINVAL;
		}
	if (optind < argc) {
		fprintf(stderr, "apfd: unexpected argument \"%s\"\n", argv[optind]);
		return -EINVAL;
	}
	return 1;
}

static int setup_signals(sd_event *event)
{
	sigset_t mask;
	int r;

	/* Before any thread exists, so that none of them takes a signal from the loop. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	/* No handler: the loop ends with code 0. */
	r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r < 0)
		return r;
	return sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
}

static int run(void)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(manager_freep) struct manager *m = NULL;
	int r;

	r = sd_event_default(&event);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot make an event loop");
	r = setup_signals(event);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot set up signals");
	r = sd_event_set_watchdog(event, true);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot set up the watchdog");

	r = manager_new(event, &arg_options, &m);
	if (r < 0)
		return r;
	r = manager_start(m);
	if (r < 0)
		return r;

	r = sd_event_loop(event);
	(void)sd_notify(0, "STOPPING=1");
	if (r < 0)
		return log_errno(LOG_ERR, r, "The event loop failed");
	return r;
}

int main(int argc, char *argv[])
{
	int r;

	r = parse_arguments(argc, argv);
	if (r < 0) {
		fprintf(stderr, "Try \"apfd --help\".\n");
		return 2;
	}
	if (r == 0)
		return EXIT_SUCCESS;

	log_open(arg_debug ? LOG_DEBUG : LOG_INFO);
	return run() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
