/* SPDX-License-Identifier: GPL-2.0 */
#include "cmdline.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
	ARGS_MAX_BYTES = 1 << 20,
	THREADS_MAX =
		8, /* everybody may ask for a diagnosis; the unit's TasksMax has room for these */
	STACK_BYTES = 128 << 10,
};

/**
 * struct job - what thread and loop share; whoever comes last frees it
 * @args: the thread's until it has written to @fd, then the loop's
 */
struct job {
	atomic_int refs;
	int fd;
	pid_t pid;
	char *args;
	char proc_root[];
};

struct cmdline {
	struct job *job;
	sd_event_source *source;
	cmdline_fn fn;
	void *userdata;
};

static atomic_int n_threads;

static void job_unref(struct job *j)
{
	if (atomic_fetch_sub(&j->refs, 1) > 1)
		return;
	safe_close(j->fd);
	free(j->args);
	free(j);
}

char *cmdline_load(const char *proc_root, pid_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *args = NULL;
	char path[PATH_MAX];
	size_t size = 0, len = 0, n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/cmdline", proc_root, (int)pid) >=
	    sizeof(path))
		return NULL;
	file = fopen(path, "re");
	if (!file)
		return NULL;
	do {
		if (size - len < 4096) {
			char *larger = realloc(args, size + 16384 + 2);

			if (!larger)
				return NULL;
			args = larger;
			size += 16384;
		}
		n = fread(args + len, 1, size - len, file);
		len += n;
	} while (n > 0 && len < ARGS_MAX_BYTES);
	args[len] = args[len + 1] = '\0';
	return TAKE_PTR(args);
}

static void *thread_main(void *arg)
{
	struct job *j = arg;

	j->args = cmdline_load(j->proc_root, j->pid);
	(void)eventfd_write(j->fd, 1);
	job_unref(j);
	atomic_fetch_sub(&n_threads, 1);
	return NULL;
}

static int thread_start(struct job *j)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int r;

	if (atomic_fetch_add(&n_threads, 1) >= THREADS_MAX) {
		atomic_fetch_sub(&n_threads, 1);
		return -EAGAIN;
	}
	r = pthread_attr_init(&attr);
	if (r == 0) {
		(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
		/* Signals belong to the loop. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		atomic_fetch_add(&j->refs, 1);
		r = pthread_create(&thread, &attr, thread_main, j);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		pthread_attr_destroy(&attr);
		if (r != 0)
			job_unref(j);
	}
	if (r != 0)
		atomic_fetch_sub(&n_threads, 1);
	return -r;
}

static int on_read(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct cmdline *c = userdata;

	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	c->fn(TAKE_PTR(c->job->args), c->userdata);
	return 0;
}

int cmdline_new(sd_event *event, const char *proc_root, pid_t pid, cmdline_fn fn, void *userdata,
		struct cmdline **ret)
{
	_cleanup_(cmdline_freep) struct cmdline *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->fn = fn;
	c->userdata = userdata;
	c->job = calloc(1, sizeof(*c->job) + strlen(proc_root) + 1);
	if (!c->job)
		return -ENOMEM;
	atomic_init(&c->job->refs, 1);
	c->job->pid = pid;
	strcpy(c->job->proc_root, proc_root);
	c->job->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->job->fd < 0)
		return -errno;
	r = sd_event_add_io(event, &c->source, c->job->fd, EPOLLIN, on_read, c);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(c->source, "cmdline");
	r = thread_start(c->job);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

struct cmdline *cmdline_free(struct cmdline *c)
{
	if (!c)
		return NULL;
	/* The descriptor may stay open for as long as the thread. */
	sd_event_source_disable_unref(c->source);
	if (c->job)
		job_unref(c->job);
	free(c);
	return NULL;
}
