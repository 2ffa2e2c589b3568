// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <systemd/sd-daemon.h>

#include "apf/cleanup.h"
#include "process.h"
#include "server.h"

#define SOCKETS_MAX 16

static const char help[] =
	"Usage: apf-exporter [OPTION...]\n\n"
	"Serve apfd's figures of this host's VMs to Prometheus, at /metrics.\n\n"
	"Options:\n"
	"      --listen=ADDR:PORT  Listen on this address, not on a socket of systemd\n"
	"      --max-vms=N         Serve at most N VMs, 1 to 4096 (default 1000)\n"
	"      --timeout=SEC       Wait for apfd at most SEC seconds, 1 to 60 (default 5)\n"
	"      --vcpus             Also serve metrics of each vCPU\n"
	"      --no-deprecated     Leave out metrics that are deprecated\n"
	"  -h, --help              Show this help\n"
	"      --version           Show the version\n\n"
	"See apf-exporter(8).\n";

static int print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints an error message. Returns 2, the exit status of wrong usage. */
static int print_error(const char *format, ...)
{
	va_list args;

	fputs("apf-exporter: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return 2;
}

/* Reads a whole number from @min to @max; returns 0 or -EINVAL. */
static int parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *ret)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value < min || value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

/* Returns a socket that listens on "127.0.0.1:9713" or "[::1]:9713", or -errno. */
static int listen_at(const char *text)
{
	_cleanup_free_ char *address = strdup(text);
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	_cleanup_close_ int fd = -EBADF;
	char *host, *port;
	int one = 1, r;

	if (!address)
		return -ENOMEM;
	host = address;
	port = strrchr(address, ':');
	if (!port)
		return -EINVAL;
	*port++ = '\0';
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		host++;
	}
	if (getaddrinfo(host[0] ? host : NULL, port, &hints, &found) != 0)
		return -EINVAL;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
		r = -errno;
	else
		r = TAKE_FD(fd);
	freeaddrinfo(found);
	return r;
}

/* Returns the number of sockets in @sockets, or -errno after an error message. */
static int find_sockets(const char *listen, int sockets[static SOCKETS_MAX])
{
	int n = sd_listen_fds(true);

	if (n < 0) {
		print_error("cannot take over the sockets of systemd: %s", strerror(-n));
		return n;
	}
	if (n > 0 && listen) {
		print_error("--listen: not allowed, systemd has already passed a socket");
		return -EINVAL;
	}
	if (n > SOCKETS_MAX) {
		print_error("more than %d sockets", SOCKETS_MAX);
		return -E2BIG;
	}
	for (int i = 0; i < n; i++) {
		sockets[i] = SD_LISTEN_FDS_START + i;
		if (sd_is_socket(sockets[i], AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
			print_error("socket %d does not listen for connections", i);
			return -EINVAL;
		}
	}
	if (n > 0)
		return n;
	if (!listen) {
		print_error("no socket: start apf-exporter.socket, or give --listen");
		return -EINVAL;
	}
	sockets[0] = listen_at(listen);
	if (sockets[0] < 0) {
		print_error("--listen '%s': %s", listen, strerror(-sockets[0]));
		return sockets[0];
	}
	return 1;
}

static int serve(const struct scrape_options *options, const char *listen)
{
	struct server *server = NULL;
	int sockets[SOCKETS_MAX], n, r, signal_number;
	sigset_t signals;

	n = find_sockets(listen, sockets);
	if (n < 0)
		return listen && n == -EINVAL ? 2 : 1;

	/* Block signals before threads start: threads inherit the mask. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);

	r = server_new(options, sockets, (size_t)n, &server);
	if (r < 0) {
		print_error("cannot serve: %s", strerror(-r));
		return 1;
	}
	(void)sd_notify(true, "READY=1");
	while (sigwait(&signals, &signal_number) != 0)
		;
	(void)sd_notify(true, "STOPPING=1");
	server_free(server);
	return 0;
}

int main(int argc, char **argv)
{
	enum { OPTION_LISTEN = 256, OPTION_MAX_VMS, OPTION_TIMEOUT, OPTION_VCPUS,
	       OPTION_NO_DEPRECATED, OPTION_VERSION };
	static const struct option long_options[] = {
		{ "listen", required_argument, NULL, OPTION_LISTEN },
		{ "max-vms", required_argument, NULL, OPTION_MAX_VMS },
		{ "timeout", required_argument, NULL, OPTION_TIMEOUT },
		{ "vcpus", no_argument, NULL, OPTION_VCPUS },
		{ "no-deprecated", no_argument, NULL, OPTION_NO_DEPRECATED },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{},
	};
	struct scrape_options options = { .max_vms = 1000, .timeout_usec = 5000000 };
	const char *listen = NULL;
	unsigned long number;
	int c;

	process_begin();
	while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
		switch (c) {
		case OPTION_LISTEN:
			listen = optarg;
			break;
		case OPTION_MAX_VMS:
			if (parse_number(optarg, 1, 4096, &number) < 0)
				return print_error("--max-vms '%s': must be 1 to 4096", optarg);
			options.max_vms = number;
			break;
		case OPTION_TIMEOUT:
			if (parse_number(optarg, 1, 60, &number) < 0)
				return print_error("--timeout '%s': must be 1 to 60", optarg);
			options.timeout_usec = number * 1000000;
			break;
		case OPTION_VCPUS:
			options.vcpus = true;
			break;
		case OPTION_NO_DEPRECATED:
			options.current_only = true;
			break;
		case 'h':
			fputs(help, stdout);
			return fflush(stdout) == 0 ? 0 : 1;
		case OPTION_VERSION:
			puts("apf-exporter " APF_VERSION);
			return fflush(stdout) == 0 ? 0 : 1;
		default:
			return 2;
		}
	}
	if (optind < argc)
		return print_error("unexpected argument '%s'", argv[optind]);
	return serve(&options, listen);
}
