/* SPDX-License-Identifier: GPL-2.0 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "log.h"
#include "manager.h"

#define DEFAULT_URI	  "qemu:///system"
#define DEFAULT_PID_DIR	  "/run/libvirt/qemu"
#define DEFAULT_STATE_DIR "/var/lib/apfd"

static struct manager_options arg_options = {
	.uri = DEFAULT_URI,
	.pid_dir = DEFAULT_PID_DIR,
	.proc_root = "/proc",
	.run_root = "/run",
	.pods_dir = "/var/log/pods",
	.conf = { .root = "" },
	.sys_root = "/sys",
	.host_root = "",
};
static bool arg_check;

static void help(void)
{
	printf("Usage: apfd [OPTION]...\n"
	       "Overcommit manager for KVM hosts: shows and controls asynchronous page faults.\n"
	       "\n"
	       "  -c, --connect=URI   libvirt connection (default: " DEFAULT_URI ")\n"
	       "      --pid-dir=DIR   where libvirt writes NAME.pid (default: " DEFAULT_PID_DIR
	       ")\n"
	       "      --proc-dir=DIR, --sys-dir=DIR, --cgroup-dir=DIR\n"
	       "                      instead of /proc, /sys and /sys/fs/cgroup, for tests\n"
	       "      --run-dir=DIR, --pods-dir=DIR\n"
	       "                      instead of /run and /var/log/pods, for tests\n"
	       "      --state-dir=DIR where to store settings (default: " DEFAULT_STATE_DIR ")\n"
	       "      --host-dir=DIR  below which /lib/modules, /boot, /var/lib and /var/log are\n"
	       "                      read, for tests\n"
	       "      --config=FILE   read only FILE\n"
	       "      --config-root=DIR\n"
	       "                      search for the configuration below DIR\n"
	       "      --check-config  print errors in the configuration and exit\n"
	       "      --debug         log more, regardless of the configuration\n"
	       "  -h, --help          print this text and exit\n"
	       "      --version       print the version and exit\n");
}

/* Returns 1 to run the daemon, 0 to exit successfully, -EINVAL if the options are wrong. */
static int parse_arguments(int argc, char *argv[])
{
	enum {
		ARG_PID_DIR = 0x100,
		ARG_PROC_DIR,
		ARG_SYS_DIR,
		ARG_CGROUP_DIR,
		ARG_RUN_DIR,
		ARG_STATE_DIR,
		ARG_PODS_DIR,
		ARG_HOST_DIR,
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
		{ "run-dir", required_argument, NULL, ARG_RUN_DIR },
		{ "state-dir", required_argument, NULL, ARG_STATE_DIR },
		{ "pods-dir", required_argument, NULL, ARG_PODS_DIR },
		{ "host-dir", required_argument, NULL, ARG_HOST_DIR },
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
		case ARG_RUN_DIR:
			arg_options.run_root = optarg;
			break;
		case ARG_STATE_DIR:
			arg_options.state_dir = optarg;
			break;
		case ARG_PODS_DIR:
			arg_options.pods_dir = optarg;
			break;
		case ARG_HOST_DIR:
			arg_options.host_root = optarg;
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

static int block_signals(void)
{
	sigset_t mask;

	/*
	 * Before any thread exists, so that only the event loop receives them: manager_start() adds
	 * their handlers.
	 */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	return 0;
}

static int run(void)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(manager_freep) struct manager *m = NULL;
	_cleanup_free_ char *cgroup_root = NULL;
	int r;

	if (!arg_options.cgroup_root) {
		if (asprintf(&cgroup_root, "%s/fs/cgroup", arg_options.sys_root) < 0)
			return log_oom();
		arg_options.cgroup_root = cgroup_root;
	}
	r = sd_event_default(&event);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot make an event loop");
	r = block_signals();
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot set up signals");
	r = sd_event_set_watchdog(event, true);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot set up the watchdog");

	/* systemd sets the variable, to the folder that StateDirectory= names. */
	if (!arg_options.state_dir)
		arg_options.state_dir = getenv("STATE_DIRECTORY");
	if (!arg_options.state_dir)
		arg_options.state_dir = DEFAULT_STATE_DIR;
	r = manager_new(event, &arg_options, &m);
	if (r < 0)
		return r;
	r = manager_start(m);
	if (r < 0)
		return r;

	r = sd_event_loop(event);
	(void)sd_notify(0, "STOPPING=1");
	return r < 0 ? log_errno(LOG_ERR, r, "The event loop failed") : r;
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
