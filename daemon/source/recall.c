/* SPDX-License-Identifier: GPL-2.0 */
#include "recall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "log.h"
#include "names.h"
#include "recall-pages.h"
#include "recall-plan.h"
#include "recall-room.h"
#include "thread.h"

enum {
	STACK_BYTES = 512 << 10,
	TOUCHED_PAGES = 64, /* at once: a cancellation waits for them */
};

/* A thread that waits for a swap device that does not answer ends with apfd. */
#define JOIN_USEC (2 * USEC_PER_SEC)

/**
 * struct window - pages that were requested together
 */
struct window {
	uint64_t addresses[RECALL_WINDOW_PAGES_MAX];
	size_t n;
};

/**
 * struct job - shared by the thread and the event loop; the last one to unref it frees it
 * @pidfd: a copy
 * @fd: eventfd, ready when the thread has ended
 * @lock: of @cancelled, @factor and @progress
 * @changed: one of the first two has changed
 * @may_request: false when the kernel forbids process_madvise()
 */
struct job {
	atomic_int refs;
	char *proc_root, *cgroup_root, *group;
	pid_t pid;
	int pidfd;
	uint64_t rate_bytes;
	int fd;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool cancelled;
	double factor;
	struct recall_progress progress;
	bool may_request;
	uint64_t page_bytes;
	struct recall_pages *pages;
	struct recall_pace pace;
	struct window windows[2];
};

struct recall {
	struct job *job;
	pthread_t thread;
	bool running;
	sd_event_source *source;
	void (*ended)(struct recall *r, void *userdata);
	void *userdata;
};

const char *recall_result_to_string(enum recall_result result)
{
	static const char *const table[] = {
		[RECALL_RUNNING] = NAME_RUNNING,     [RECALL_DONE] = NAME_DONE,
		[RECALL_CANCELLED] = NAME_CANCELLED, [RECALL_VM_ENDED] = NAME_VM_ENDED,
		[RECALL_NO_ROOM] = NAME_NO_ROOM,     [RECALL_FAILED] = NAME_FAILED,
	};

	return table[result];
}

static void job_unref(struct job *j)
{
	if (atomic_fetch_sub(&j->refs, 1) > 1)
		return;
	recall_pages_free(j->pages);
	safe_close(j->pidfd);
	safe_close(j->fd);
	pthread_mutex_destroy(&j->lock);
	pthread_cond_destroy(&j->changed);
	free(j->proc_root);
	free(j->cgroup_root);
	free(j->group);
	free(j);
}

/* ---- the thread ---- */

/* Stores the result; returns a negative number, so that the callers return it. */
static int end(struct job *j, enum recall_result result, const char *text)
{
	pthread_mutex_lock(&j->lock);
	j->progress.result = result;
	snprintf(j->progress.text, sizeof(j->progress.text), "%s", text);
	pthread_mutex_unlock(&j->lock);
	return -ECANCELED;
}

static int fail(struct job *j, const char *what, int r)
{
	char text[128];

	if (r == -ESRCH)
		return end(j, RECALL_VM_ENDED, "the VM has ended");
	snprintf(text, sizeof(text), "%s: %s", what, strerror(-r));
	return end(j, RECALL_FAILED, text);
}

static int check_alive(struct job *j)
{
	struct pollfd p = { .fd = j->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 ? fail(j, "", -ESRCH) : 0;
}

static double get_factor(struct job *j)
{
	double factor;

	pthread_mutex_lock(&j->lock);
	factor = j->factor;
	pthread_mutex_unlock(&j->lock);
	return factor;
}

/* Waits; returns early with -ECANCELED. */
static int wait_usec(struct job *j, uint64_t usec)
{
	uint64_t until_usec = clock_usec(CLOCK_MONOTONIC) + usec;
	const struct timespec until = { .tv_sec = (time_t)(until_usec / USEC_PER_SEC),
					.tv_nsec = (long)(until_usec % USEC_PER_SEC) * 1000 };
	bool cancelled;

	pthread_mutex_lock(&j->lock);
	while (!j->cancelled && usec > 0 &&
	       pthread_cond_timedwait(&j->changed, &j->lock, &until) == 0)
		;
	cancelled = j->cancelled;
	pthread_mutex_unlock(&j->lock);
	return cancelled ? end(j, RECALL_CANCELLED, "cancelled") : 0;
}

/* Fills a window, and adds its pages to *bytes. 1: there may be more pages; 0; -errno. */
static int fill(struct job *j, size_t n_max, struct window *w)
{
	size_t n;
	int r;

	w->n = 0;
	do {
		r = wait_usec(j, 0);
		if (r < 0)
			return r;
		r = recall_pages_next(j->pages, w->addresses + w->n, n_max - w->n, &n);
		if (r < 0)
			return fail(j, "cannot read which pages are on swap", r);
		w->n += n;
	} while (r > 0 && w->n < n_max);
	return r;
}

static int count(struct job *j)
{
	uint64_t n = 0;
	int r;

	do {
		r = fill(j, RECALL_WINDOW_PAGES_MAX, &j->windows[0]);
		n += j->windows[0].n;
	} while (r > 0);
	if (r < 0)
		return r;
	pthread_mutex_lock(&j->lock);
	j->progress.total_bytes = n * j->page_bytes;
	pthread_mutex_unlock(&j->lock);
	recall_pages_rewind(j->pages);
	return 0;
}

static int check_room(struct job *j, uint64_t bytes)
{
	char text[RECALL_TEXT_MAX];
	struct recall_room room;
	int r;

	r = recall_room_read(j->proc_root, j->cgroup_root, j->group, &room);
	if (r < 0)
		return fail(j, "cannot read how much memory is available", r);
	if (bytes <= recall_room_bytes(&room))
		return 0;
	recall_room_text(&room, bytes, text, sizeof(text));
	return end(j, RECALL_NO_ROOM, text);
}

/* Finds the pages of the next window, and requests them. As fill(). */
static int request(struct job *j, struct window *w)
{
	const uint64_t rate_bytes = recall_rate(j->rate_bytes, get_factor(j));
	uint64_t bytes;
	int more, r;

	more = fill(j, recall_window_pages(rate_bytes, j->page_bytes), w);
	if (more < 0 || w->n == 0)
		return more;
	bytes = w->n * j->page_bytes;
	r = wait_usec(j,
		      recall_pace_delay(&j->pace, bytes, rate_bytes, clock_usec(CLOCK_MONOTONIC)));
	if (r >= 0)
		r = check_alive(j);
	/* Requested pages of the other window may not be charged yet. */
	if (r >= 0)
		r = check_room(j, 2 * bytes);
	if (r < 0)
		return r;
	if (j->may_request) {
		r = recall_pages_request(j->pidfd, w->addresses, w->n, j->page_bytes);
		if (r == -ESRCH)
			return fail(j, "", r);
		/* Slower: each page is then read when it is touched. */
		if (r < 0)
			j->may_request = false;
	}
	return more;
}

static int touch(struct job *j, const struct window *w)
{
	int r;

	for (size_t i = 0, n; i < w->n; i += n) {
		n = MIN_OF(w->n - i, TOUCHED_PAGES);
		r = wait_usec(j, 0);
		if (r >= 0)
			r = check_alive(j);
		if (r < 0)
			return r;
		r = recall_pages_touch(j->pid, w->addresses + i, n);
		if (r < 0)
			return fail(j, "cannot read the memory of the VM", r);
		pthread_mutex_lock(&j->lock);
		j->progress.done_bytes += n * j->page_bytes;
		j->progress.total_bytes = MAX_OF(j->progress.total_bytes, j->progress.done_bytes);
		pthread_mutex_unlock(&j->lock);
	}
	return 0;
}

static int bring_back(struct job *j)
{
	struct window *ahead = &j->windows[0], *behind = &j->windows[1], *other;
	int more, r;

	r = recall_pages_open(j->proc_root, j->pid, &j->pages);
	if (r < 0)
		return fail(j, "cannot read which pages are on swap", r);
	r = count(j);
	if (r < 0)
		return r;
	behind->n = 0;
	do {
		more = request(j, ahead);
		if (more < 0)
			return more;
		r = touch(j, behind);
		if (r < 0)
			return r;
		other = behind;
		behind = ahead;
		ahead = other;
	} while (more > 0);
	r = touch(j, behind);
	return r < 0 ? r : end(j, RECALL_DONE, "");
}

static void *thread_main(void *arg)
{
	struct job *j = arg;

	(void)bring_back(j);
	(void)eventfd_write(j->fd, 1);
	job_unref(j);
	return NULL;
}

/* ---- the event loop ---- */

static int on_ended(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct recall *r = userdata;

	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	/* It may free @r. */
	r->ended(r, r->userdata);
	return 0;
}

static struct job *job_new(const struct recall_target *t)
{
	struct job *j = calloc(1, sizeof(*j));
	pthread_condattr_t attr;

	if (!j)
		return NULL;
	atomic_init(&j->refs, 1);
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->changed, &attr);
	pthread_condattr_destroy(&attr);
	j->factor = 1;
	j->may_request = true;
	j->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	j->pid = t->pid;
	j->rate_bytes = t->rate_bytes;
	j->proc_root = strdup(t->proc_root);
	j->cgroup_root = strdup(t->cgroup_root);
	j->group = strdup(t->group);
	j->pidfd = fcntl(t->pidfd, F_DUPFD_CLOEXEC, 3);
	j->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return j;
}

static int thread_start(struct recall *r)
{
	pthread_attr_t attr;
	int err;

	err = -pthread_attr_init(&attr);
	if (err < 0)
		return err;
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	atomic_fetch_add(&r->job->refs, 1);
	err = thread_create(&r->thread, &attr, thread_main, r->job);
	pthread_attr_destroy(&attr);
	if (err < 0)
		job_unref(r->job);
	r->running = err >= 0;
	return err;
}

int recall_new(sd_event *event, const struct recall_target *target,
	       void (*ended)(struct recall *r, void *userdata), void *userdata, struct recall **ret)
{
	_cleanup_(recall_freep) struct recall *r = calloc(1, sizeof(*r));
	const struct job *j;
	int err;

	if (!r)
		return -ENOMEM;
	j = r->job = job_new(target);
	if (!j || !j->proc_root || !j->cgroup_root || !j->group)
		return -ENOMEM;
	if (j->pidfd < 0 || j->fd < 0)
		return -EMFILE;
	r->ended = ended;
	r->userdata = userdata;
	err = sd_event_add_io(event, &r->source, j->fd, EPOLLIN, on_ended, r);
	if (err < 0)
		return err;
	(void)sd_event_source_set_description(r->source, "recall");
	err = thread_start(r);
	if (err < 0)
		return err;
	*ret = TAKE_PTR(r);
	return 0;
}

void recall_cancel(struct recall *r)
{
	pthread_mutex_lock(&r->job->lock);
	r->job->cancelled = true;
	pthread_cond_signal(&r->job->changed);
	pthread_mutex_unlock(&r->job->lock);
}

void recall_set_factor(struct recall *r, double factor)
{
	pthread_mutex_lock(&r->job->lock);
	r->job->factor = factor;
	pthread_mutex_unlock(&r->job->lock);
}

void recall_read(struct recall *r, struct recall_progress *ret)
{
	pthread_mutex_lock(&r->job->lock);
	*ret = r->job->progress;
	pthread_mutex_unlock(&r->job->lock);
}

struct recall *recall_free(struct recall *r)
{
	if (!r)
		return NULL;
	sd_event_source_disable_unref(r->source);
	if (r->running) {
		recall_cancel(r);
		if (thread_join_until(r->thread, clock_usec(CLOCK_MONOTONIC) + JOIN_USEC) < 0) {
			log_warning("A recall still waits for the swap device");
			(void)pthread_detach(r->thread);
		}
	}
	if (r->job)
		job_unref(r->job);
	free(r);
	return NULL;
}
