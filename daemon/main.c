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
	.conf = { .root = "" },
	.sys_root = "/sys",
	.cgroup_root = "/sys/fs/cgroup",
};
static bool arg_check;

static void help(void)
{
	printf("Usage: apfd [OPTION]...\n"
	       "Overcommit manager for KVM hosts: shows and controls asynchronous page faults.\n"
	       "\n"
	       "  -c, --connect=URI   libvirt connection (default: " DEFAULT_URI ")\n"
	       "      --pid-dir=DIR   where libvirt leaves NAME.pid (default: " DEFAULT_PID_DIR
	       ")\n"
	       "      --proc-dir=DIR, --sys-dir=DIR, --cgroup-dir=DIR\n"
	       "                      instead of /proc, /sys and /sys/fs/cgroup, for tests\n"
	       "      --config=FILE   read FILE, and nothing else\n"
	       "      --config-root=DIR\n"
	       "                      look for the configuration below DIR\n"
	       "      --check-config  say what is wrong with the configuration, and exit\n"
	       "      --debug         log more, whatever the configuration says\n"
	       "  -h, --help          print this text and exit\n"
	       "      --version       print the version and exit\n");
}

/* Returns 1 to go on, 0 if all is done, -EINVAL if the options are wrong. */
static int parse_arguments(int argc, char *argv[])
{
	enum {
		ARG_PID_DIR = 0x100,
		ARG_PROC_DIR,
		ARG_SYS_DIR,
		ARG_CGROUP_DIR,
		ARG_CONFIG,
		ARG_CONFIG_ROOT,
		ARG_CHECK_CONFIG,
		ARG_DEBUG,
		ARG_VERSION,
	};
	static const struct option options[] = {
		{ "connect", required_argument, NULL, 'c' },
		{ "pid-dir", required_argument, NULL, ARG_PID_DIR },
		{ "config", required_argument, NULL, ARG_CONFIG },
		{ "config-root", required_argument, NULL, ARG_CONFIG_ROOT },
		{ "check-config", no_argument, NULL, ARG_CHECK_CONFIG },
		{ "proc-dir", required_argument, NULL, ARG_PROC_DIR },
		{ "sys-dir", required_argument, NULL, ARG_SYS_DIR },
		{ "cgroup-dir", required_argument, NULL, ARG_CGROUP_DIR },
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
		case ARG_CONFIG:
			arg_options.conf.file = optarg;
			break;
		case ARG_CONFIG_ROOT:
			arg_options.conf.root = optarg;
			break;
		case ARG_CHECK_CONFIG:
			arg_check = true;
			break;
		case ARG_PROC_DIR:
			arg_options.proc_root = optarg;
			break;
		case ARG_SYS_DIR:
			arg_options.sys_root = optarg;
			break;
		case ARG_CGROUP_DIR:
			arg_options.cgroup_root = optarg;
			break;
		case ARG_DEBUG:
			arg_options.debug = true;
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

static void print_problem(bool error, const char *text, void *userdata)
{
	fprintf(stderr, "%s%s\n", error ? "" : "warning: ", text);
}

static int check_config(void)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	int r;

	r = conf_load(&arg_options.conf, print_problem, NULL, &c);
	if (r < 0)
		fprintf(stderr, "apfd: %s\n", strerror(-r));
	if (r != 0)
		return EXIT_FAILURE;
	for (size_t i = 0; i < c->n_files; i++)
		printf("%s\n", c->files[i]);
	return EXIT_SUCCESS;
}

static int setup_signals(sd_event *event)
{
	sigset_t mask;
	int r;

	/* Before any thread exists, so that none of them takes a signal from the loop. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
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
	if (r == 0)
		manager_stop(m);
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

	if (arg_check)
		return check_config();

	log_open(arg_options.debug ? LOG_DEBUG : LOG_INFO);
	return run() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
