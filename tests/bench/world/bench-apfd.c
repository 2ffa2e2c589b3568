/* SPDX-License-Identifier: GPL-2.0 */
/*
 * apfd with the world of fake-host.c, and a clock. All of the daemon but main.c; the
 * loop is run by hand, so that the time of each turn is known, and the one thing that
 * needs KVM, the copying of a VM's descriptor, is left out (-Wl,--wrap=action_watch): the
 * peer gets the PID instead.
 *
 *	bench-apfd PORT URI PID_DIR CGROUP_ROOT VMS SECONDS
 *
 * Waits until VMS of them are watched, prints "ready", lets the policy get to know them,
 * measures for SECONDS in which nobody asks it anything, prints one line of JSON, then
 * serves until SIGTERM.
 */
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-event.h>

#include "action.h"
#include "log.h"
#include "manager.h"
#include "vm.h"

/* Longer than the policy's hold, after which it closes the gates of all that are calm. */
#define SETTLE_USEC (20 * USEC_PER_SEC)

/* As the function it replaces, or the compiler complains. */
__typeof__(action_watch) __wrap_action_watch;

int __wrap_action_watch(struct apfd_genl *g, const char *proc_root, pid_t pid, int pidfd, int vm_fd,
			struct genl_vm *ret, char *text)
{
	return apfd_genl_vm_add(g, pid, ret, text);
}

static sd_event *event;
static struct manager *manager;

static uint64_t cpu_usec(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * USEC_PER_SEC +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/*
 * One turn of the loop, no longer than @until_usec; returns how long it was busy, or
 * -1. @ret_cpu_usec: how much of that was its own, and not that of others on the
 * same processors, the fake host among them.
 */
static int64_t turn(uint64_t until_usec, uint64_t *ret_cpu_usec)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), begin_usec;
	int r;

	*ret_cpu_usec = 0;
	r = sd_event_prepare(event);
	if (r == 0)
		r = sd_event_wait(event, until_usec > now_usec ? until_usec - now_usec : 0);
	if (r <= 0)
		return r < 0 ? -1 : 0;
	begin_usec = clock_usec(CLOCK_MONOTONIC);
	*ret_cpu_usec = clock_usec(CLOCK_THREAD_CPUTIME_ID);
	r = sd_event_dispatch(event);
	*ret_cpu_usec = clock_usec(CLOCK_THREAD_CPUTIME_ID) - *ret_cpu_usec;
	if (r < 0 || sd_event_get_state(event) == SD_EVENT_FINISHED)
		return -1;
	return (int64_t)(clock_usec(CLOCK_MONOTONIC) - begin_usec);
}

static size_t count_watched(void)
{
	size_t n = 0;
	struct vm *vm;

	REGISTRY_FOREACH(vm, &manager->context.vms)
	n += vm->module_id != 0;
	return n;
}

static uint64_t resident_kib(const char *key)
{
	char line[256];
	uint64_t kib = 0;
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), ": %lu", &kib);
	if (file)
		fclose(file);
	return kib;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * The longest turn of each second is its tick: nothing else is going on. Whatever
 * else the daemon does in a second, no caller waits longer than this for it.
 */
static int measure(unsigned int seconds, int64_t settle_max)
{
	int64_t ticks[3600] = {}, cpu_ticks[3600] = {}, busy;
	uint64_t begin_usec = clock_usec(CLOCK_MONOTONIC), begin_cpu_usec = cpu_usec();
	uint64_t took_usec, turn_cpu_usec;

	for (unsigned int i = 0; i < seconds; i++) {
		uint64_t until_usec = begin_usec + (i + 1) * USEC_PER_SEC;

		while (clock_usec(CLOCK_MONOTONIC) < until_usec) {
			busy = turn(until_usec, &turn_cpu_usec);
			if (busy < 0)
				return -1;
			ticks[i] = MAX_OF(ticks[i], busy);
			cpu_ticks[i] = MAX_OF(cpu_ticks[i], (int64_t)turn_cpu_usec);
		}
	}
	took_usec = clock_usec(CLOCK_MONOTONIC) - begin_usec;
	begin_cpu_usec = cpu_usec() - begin_cpu_usec;
	qsort(ticks, seconds, sizeof(ticks[0]), compare);
	qsort(cpu_ticks, seconds, sizeof(cpu_ticks[0]), compare);
	printf("{\"cpu_percent\": %.4f, \"rss_kib\": %lu, \"peak_kib\": %lu, \"anon_kib\": %lu, "
	       "\"tick_p50_usec\": %ld, \"tick_p99_usec\": %ld, \"tick_max_usec\": %ld, "
	       "\"tick_cpu_p99_usec\": %ld, \"settle_max_usec\": %ld}\n",
	       100.0 * (double)begin_cpu_usec / (double)took_usec, resident_kib("VmRSS"),
	       resident_kib("VmHWM"), resident_kib("RssAnon"), ticks[seconds / 2],
	       ticks[(seconds * 99 - 1) / 100], ticks[seconds - 1],
	       cpu_ticks[(seconds * 99 - 1) / 100], settle_max);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct manager_options options = { .proc_root = "/proc",
					   .run_root = "/run",
					   .pods_dir = "/var/log/pods",
					   .pid_dir_given = true };
	/* A process may have to wait for its turn, unlike the kernel. */
	struct apfd_genl_peer peer = { .protocol = NETLINK_USERSOCK, .wait_msec = 1000 };
	uint64_t unused_usec;
	int64_t settle_max = 0;
	size_t n_vms;
	int seconds;
	sigset_t mask;

	if (argc != 7) {
		fputs("usage: bench-apfd PORT URI PID_DIR CGROUP_ROOT VMS SECONDS\n", stderr);
		return 2;
	}
	peer.port = (uint32_t)strtoul(argv[1], NULL, 10);
	options.netlink = &peer;
	options.uri = argv[2];
	options.pid_dir = argv[3];
	/* No configuration is there. */
	options.conf.root = argv[3];
	options.state_dir = argv[3];
	options.sys_root = "/sys";
	options.cgroup_root = argv[4];
	options.host_root = "";
	n_vms = strtoul(argv[5], NULL, 10);
	seconds = atoi(argv[6]);
	if (seconds < 1 || seconds > 3600)
		return 2;

	log_open(LOG_WARNING);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (sd_event_default(&event) < 0)
		return 1;
	if (manager_new(event, &options, &manager) < 0 || manager_start(manager) < 0)
		return 1;
	while (count_watched() < n_vms)
		if (turn(clock_usec(CLOCK_MONOTONIC) + USEC_PER_SEC, &unused_usec) < 0)
			return 1;
	puts("ready");
	fflush(stdout);
	/* Of VMs that are new the policy thinks for a while, and then decides about all at once. */
	for (uint64_t until_usec = clock_usec(CLOCK_MONOTONIC) + SETTLE_USEC;
	     clock_usec(CLOCK_MONOTONIC) < until_usec;) {
		int64_t busy = turn(until_usec, &unused_usec);

		if (busy < 0)
			return 1;
		settle_max = MAX_OF(settle_max, busy);
	}
	if (measure((unsigned int)seconds, settle_max) < 0)
		return 1;
	while (turn(clock_usec(CLOCK_MONOTONIC) + USEC_PER_SEC, &unused_usec) >= 0)
		;
	manager_free(manager);
	sd_event_unref(event);
	return 0;
}
