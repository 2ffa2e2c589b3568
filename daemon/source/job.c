/* SPDX-License-Identifier: GPL-2.0 */
#include "job.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "thread.h"

enum { STACK_BYTES = 256 << 10 };

/**
 * struct shared - shared by the thread and the event loop; the last one to unref it frees it
 * @done: atomic, because the order that an eventfd has in the kernel is none that the language
 *	promises
 * @data: belongs to the thread until the thread sets @done, then to the event loop
 */
struct shared {
	atomic_int refs;
	struct job_kind *kind;
	int fd;
	atomic_bool done;
	void *data;
};

struct job {
	struct shared *shared;
	sd_event_source *source;
	void *userdata;
};

static void shared_unref(struct shared *s)
{
	if (atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	safe_close(s->fd);
	if (s->data)
		s->kind->free(s->data);
	free(s);
}

static void *thread_main(void *arg)
{
	struct shared *s = arg;
	struct job_kind *kind = s->kind;

	kind->run(s->data);
	/* First, so that the next job can start as soon as this one is done. */
	atomic_fetch_sub(&kind->n, 1);
	atomic_store(&s->done, true);
	(void)eventfd_write(s->fd, 1);
	shared_unref(s);
	return NULL;
}

static int thread_start(struct shared *s)
{
	struct job_kind *kind = s->kind;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (atomic_fetch_add(&kind->n, 1) >= kind->n_max) {
		atomic_fetch_sub(&kind->n, 1);
		return -EAGAIN;
	}
	r = -pthread_attr_init(&attr);
	if (r >= 0) {
		(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
		atomic_fetch_add(&s->refs, 1);
		r = thread_create(&thread, &attr, thread_main, s);
		pthread_attr_destroy(&attr);
		/* The event loop has its reference still. */
		if (r < 0)
			atomic_fetch_sub(&s->refs, 1);
	}
	if (r < 0)
		atomic_fetch_sub(&kind->n, 1);
	return r;
}

static void finish(struct job *job)
{
	(void)sd_event_source_set_enabled(job->source, SD_EVENT_OFF);
	/* The callee may free @job. */
	if (atomic_load(&job->shared->done))
		job->shared->kind->done(job->shared->data, job->userdata);
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	finish(userdata);
	return 0;
}

void job_wait(struct job *job, uint64_t usec)
{
	struct pollfd fd = { .fd = job->shared->fd, .events = POLLIN };

	if (poll(&fd, 1, (int)(usec / USEC_PER_MSEC)) > 0)
		finish(job);
}

int job_new(sd_event *event, struct job_kind *kind, void *data, void *userdata, struct job **ret)
{
	_cleanup_(job_freep) struct job *job = calloc(1, sizeof(*job));
	struct shared *s;
	int r;

	if (!job)
		return -ENOMEM;
	s = job->shared = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	atomic_init(&s->refs, 1);
	s->kind = kind;
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	r = sd_event_add_io(event, &job->source, s->fd, EPOLLIN, on_done, job);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(job->source, kind->name);
	job->userdata = userdata;
	s->data = data;
	r = thread_start(s);
	if (r < 0) {
		s->data = NULL; /* it stays the caller's */
		return r;
	}
	*ret = TAKE_PTR(job);
	return 0;
}

struct job *job_free(struct job *job)
{
	if (!job)
		return NULL;
	/* The thread may still use @shared and its descriptor: only drop our reference. */
	sd_event_source_disable_unref(job->source);
	if (job->shared)
		shared_unref(job->shared);
	free(job);
	return NULL;
}
