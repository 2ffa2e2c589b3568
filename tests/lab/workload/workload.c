// SPDX-License-Identifier: GPL-2.0
/*
 * workload - a guest load whose memory does not fit
 *
 * Faulting threads touch random pages of one shared region; working threads only compute.
 * With asynchronous page faults the working threads run while the faulting ones wait for
 * the host's disk; without them they wait too. The region is filled first, every page with
 * data of its own, so that the host has to write pages out and cannot merge or drop them.
 *
 * One JSON object per line: {"filling":...} while filling, {"start":true,...} once,
 * cumulative samples every interval, {"done":true,...} at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGE_BYTES = 4096,
	MAX_THREADS = 256,
	WORK_ROUNDS = 100000,		/* arithmetic steps in one unit of work */
	SUB_BITS = 3,			/* histogram: 8 steps per power of two, 12 % apart */
	BUCKETS = 64 << SUB_BITS,
};

struct thread {
	pthread_t id;
	uint64_t seed;
	_Atomic uint64_t count;
	_Atomic uint32_t hist[BUCKETS];	/* touch latency in ns, faulting threads only */
} __attribute__((aligned(64)));

static struct thread faulters[MAX_THREADS], workers[MAX_THREADS];
static int n_faulters = 1, n_workers = 1;
static size_t region_pages = 160 * 256;
static uint64_t *region;
static atomic_bool stop, paused;
static pthread_mutex_t pause_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t pause_over = PTHREAD_COND_INITIALIZER;
static unsigned int bursts;
static volatile uint64_t sink;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* splitmix64: every page gets words that no other page has and that do not compress */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int log2;

	if (ns < (1u << SUB_BITS))
		return ns;
	log2 = 63 - __builtin_clzll(ns);
	return ((log2 - SUB_BITS + 1) << SUB_BITS) +
	       ((ns >> (log2 - SUB_BITS)) & ((1u << SUB_BITS) - 1));
}

static uint64_t bucket_ns(unsigned int bucket)
{
	unsigned int log2;

	if (bucket < (1u << SUB_BITS))
		return bucket;
	log2 = (bucket >> SUB_BITS) + SUB_BITS - 1;
	return (1ull << log2) + ((uint64_t)(bucket & ((1u << SUB_BITS) - 1)) << (log2 - SUB_BITS));
}

static void set_paused(bool value)
{
	pthread_mutex_lock(&pause_lock);
	atomic_store(&paused, value);
	pthread_cond_broadcast(&pause_over);
	pthread_mutex_unlock(&pause_lock);
}

static void wait_while_paused(void)
{
	if (!atomic_load_explicit(&paused, memory_order_relaxed))
		return;
	pthread_mutex_lock(&pause_lock);
	while (atomic_load(&paused) && !atomic_load(&stop))
		pthread_cond_wait(&pause_over, &pause_lock);
	pthread_mutex_unlock(&pause_lock);
}

static void *fault(void *arg)
{
	struct thread *t = arg;
	uint64_t state = t->seed, begin;
	size_t page;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		wait_while_paused();
		page = next_random(&state) % region_pages;
		begin = now_ns();
		/* a write: the page must be dirty again, or it would be dropped, not written */
		((volatile uint64_t *)region)[page * (PAGE_BYTES / 8) + 1]++;
		atomic_fetch_add_explicit(&t->hist[bucket_of(now_ns() - begin)], 1,
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
	}
	return NULL;
}

static void *work(void *arg)
{
	struct thread *t = arg;
	uint64_t state = t->seed, sum = 0;
	int i;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		wait_while_paused();
		for (i = 0; i < WORK_ROUNDS; i++)
			sum += next_random(&state);
		sink = sum;
		atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
	}
	return NULL;
}

static uint64_t total(struct thread *threads, int n)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < n; i++)
		sum += atomic_load_explicit(&threads[i].count, memory_order_relaxed);
	return sum;
}

/* "page ready" arrives as the hypervisor callback interrupt, the HYP line */
static uint64_t page_ready_interrupts(void)
{
	static char buf[65536];
	uint64_t sum = 0;
	char *p, *end;
	size_t len;
	FILE *f;

	f = fopen("/proc/interrupts", "re");
	if (!f)
		return 0;
	len = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[len] = '\0';
	p = strstr(buf, "HYP:");
	if (!p)
		return 0;
	for (p += 4;; p = end) {
		uint64_t v = strtoull(p, &end, 10);

		if (end == p || !strchr(" \n", *end))
			break;
		sum += v;
		if (*end == '\n')
			break;
	}
	return sum;
}

static double percentile_us(double part)
{
	uint64_t all = 0, seen = 0, want, sum[BUCKETS] = {};
	unsigned int b;
	int i;

	for (i = 0; i < n_faulters; i++)
		for (b = 0; b < BUCKETS; b++)
			sum[b] += atomic_load_explicit(&faulters[i].hist[b], memory_order_relaxed);
	for (b = 0; b < BUCKETS; b++)
		all += sum[b];
	want = all * part;
	for (b = 0; b < BUCKETS; b++) {
		seen += sum[b];
		if (seen > want)
			return bucket_ns(b) / 1000.0;
	}
	return 0;
}

static void sample(uint64_t begin, const char *head, bool last)
{
	printf("{%s\"ms\":%" PRIu64 ",\"touches\":%" PRIu64 ",\"work\":%" PRIu64 ",\"apf_int\":%" PRIu64,
	       head, (now_ns() - begin) / 1000000, total(faulters, n_faulters),
	       total(workers, n_workers),
	       page_ready_interrupts());
	if (bursts)
		printf(",\"bursts\":%u", bursts);
	if (last)
		printf(",\"p50_us\":%.1f,\"p95_us\":%.1f", percentile_us(0.50), percentile_us(0.95));
	printf("}\n");
	fflush(stdout);
}

static void fill(void)
{
	size_t page, step = region_pages / 10 ? region_pages / 10 : 1;
	uint64_t state = 42;
	int i;

	for (page = 0; page < region_pages; page++) {
		uint64_t *word = region + page * (PAGE_BYTES / 8);

		for (i = 0; i < PAGE_BYTES / 8; i++)
			word[i] = next_random(&state);
		if ((page + 1) % step == 0) {
			printf("{\"filling\":%zu,\"of\":%zu}\n", (page + 1) / 256, region_pages / 256);
			fflush(stdout);
		}
	}
}

static void on_signal(int sig)
{
	(void)sig;
	atomic_store(&stop, true);
}

/* Where the guest's scheduler is not asked: the CPUs take turns. */
static void pin(pthread_t thread, int i)
{
	cpu_set_t set;
	int r;

	CPU_ZERO(&set);
	CPU_SET(i % sysconf(_SC_NPROCESSORS_ONLN), &set);
	r = pthread_setaffinity_np(thread, sizeof(set), &set);
	if (r) {
		fprintf(stderr, "workload: pthread_setaffinity_np: %s\n", strerror(r));
		exit(1);
	}
}

static void start(struct thread *threads, int n, void *(*body)(void *), uint64_t seed,
		  uint64_t apart, bool pinned)
{
	int i, r;

	for (i = 0; i < n; i++) {
		threads[i].seed = seed + i * apart;
		r = pthread_create(&threads[i].id, NULL, body, &threads[i]);
		if (r) {
			fprintf(stderr, "workload: pthread_create: %s\n", strerror(r));
			exit(1);
		}
		if (pinned)
			pin(threads[i].id, i);
	}
}

static void usage(FILE *out)
{
	fprintf(out, "usage: workload [-f FAULTING_THREADS] [-w WORKING_THREADS] [-m REGION_MIB]\n"
		     "                [-t SECONDS, 0 = for ever] [-i INTERVAL_MS]\n"
		     "                [-b ON:OFF, seconds of load and of rest in turn]\n"
		     "                [-p, each CPU its share of the faulting threads]\n"
		     "                [-s, all faulting threads touch the same pages in the same order]\n");
}

static long number(const char *text, long min, long max)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < min || v > max) {
		fprintf(stderr, "workload: '%s' is not a number from %ld to %ld\n", text, min, max);
		exit(2);
	}
	return v;
}

/* "3:17" */
static void parse_bursts(char *text, uint64_t *on_ns, uint64_t *off_ns)
{
	char *colon = strchr(text, ':');

	if (!colon) {
		fprintf(stderr, "workload: '%s' is not ON:OFF\n", text);
		exit(2);
	}
	*colon = '\0';
	*on_ns = number(text, 1, 86400) * 1000000000ull;
	*off_ns = number(colon + 1, 1, 86400) * 1000000000ull;
}

int main(int argc, char *argv[])
{
	uint64_t begin, next, interval_ns = 1000000000ull, end_ns;
	uint64_t on_ns = 0, off_ns = 0, turn_ns = UINT64_MAX;
	struct sigaction sa = { .sa_handler = on_signal };
	long seconds = 0;
	bool pinned = false, same = false;
	int c, i;

	while ((c = getopt(argc, argv, "f:w:m:t:i:b:psh")) != -1) {
		switch (c) {
		case 'f':
			n_faulters = number(optarg, 0, MAX_THREADS);
			break;
		case 'w':
			n_workers = number(optarg, 0, MAX_THREADS);
			break;
		case 'm':
			region_pages = number(optarg, 1, 1 << 20) * 256;
			break;
		case 't':
			seconds = number(optarg, 0, 86400);
			break;
		case 'i':
			interval_ns = number(optarg, 10, 3600000) * 1000000ull;
			break;
		case 'b':
			parse_bursts(optarg, &on_ns, &off_ns);
			break;
		case 'p':
			pinned = true;
			break;
		case 's':
			same = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);

	region = mmap(NULL, region_pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED) {
		perror("workload: mmap");
		return 1;
	}
	/* one swap slot, one fault: the arithmetic of the tests counts 4 KiB pages */
	madvise(region, region_pages * PAGE_BYTES, MADV_NOHUGEPAGE);
	fill();

	begin = now_ns();
	sample(begin, "\"start\":true,", false);
	start(faulters, n_faulters, fault, 1, same ? 0 : 7919, pinned);
	start(workers, n_workers, work, 1000003, 7919, false);

	if (on_ns)
		turn_ns = begin + on_ns;
	end_ns = seconds ? begin + seconds * 1000000000ull : UINT64_MAX;
	next = begin + interval_ns;
	while (!atomic_load(&stop)) {
		uint64_t wake = MIN(MIN(next, end_ns), turn_ns);
		struct timespec ts = { .tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000 };

		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
			continue;
		if (wake == turn_ns) {
			set_paused(!atomic_load(&paused));
			bursts += atomic_load(&paused);
			turn_ns += atomic_load(&paused) ? off_ns : on_ns;
		}
		if (wake == end_ns)
			atomic_store(&stop, true);
		if (wake == next) {
			sample(begin, "", false);
			next += interval_ns;
		}
	}
	set_paused(false);
	for (i = 0; i < n_faulters; i++)
		pthread_join(faulters[i].id, NULL);
	for (i = 0; i < n_workers; i++)
		pthread_join(workers[i].id, NULL);
	sample(begin, "\"done\":true,", true);
	return 0;
}
