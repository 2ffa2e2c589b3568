/* SPDX-License-Identifier: GPL-2.0 */
#include "recall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include "job.h"
#include "names.h"
#include "proc.h"
#include "recall-pages.h"
#include "recall-plan.h"
#include "recall-room.h"

/* At once: a cancellation waits for them. */
enum { TOUCHED_PAGES = 64 };

/**
 * struct window - pages that were requested together
 */
struct window {
	uint64_t addresses[RECALL_WINDOW_PAGES_MAX];
	size_t n;
};

/**
 * struct work - the data of the job; the event loop uses only what @lock guards
 * @pidfd, @group_fd: copies
 * @lock: of @cancelled, @terms and @progress
 * @cancelled: why; NULL if not
 * @changed: @cancelled was set
 * @may_request: false when the kernel forbids process_madvise()
 */
struct work {
	char *proc_root, *group;
	int group_fd;
	pid_t pid;
	int pidfd;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *cancelled;
	struct recall_terms terms;
	struct recall_progress progress;
	bool may_request;
	uint64_t page_bytes;
	struct recall_pages *pages;
	struct recall_pace pace;
	struct window windows[2];
};

struct recall {
	struct work *work;
	struct job *job;
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

static void work_free(void *data)
{
	struct work *work = data;

	recall_pages_free(work->pages);
	safe_close(work->pidfd);
	safe_close(work->group_fd);
	pthread_mutex_destroy(&work->lock);
	pthread_cond_destroy(&work->changed);
	free(work->proc_root);
	free(work->group);
	free(work);
}

/* ---- the thread ---- */

/* Stores the result; returns a negative number, so that the callers return it. */
static int end(struct work *work, enum recall_result result, const char *text)
{
	pthread_mutex_lock(&work->lock);
	work->progress.result = result;
	snprintf(work->progress.text, sizeof(work->progress.text), "%s", text);
	pthread_mutex_unlock(&work->lock);
	return -ECANCELED;
}

static int fail(struct work *work, const char *what, int r)
{
	char labels[PROC_REFUSAL_MAX] = "";
	char text[RECALL_TEXT_MAX];

	if (r == -ESRCH)
		return end(work, RECALL_VM_ENDED, "the VM has ended");
	if (r == -EACCES || r == -EPERM)
		proc_refusal_text(work->proc_root, work->pid, labels);
	snprintf(text, sizeof(text), "%s: %s%s", what, strerror(-r), labels);
	return end(work, RECALL_FAILED, text);
}

static int check_alive(struct work *work)
{
	struct pollfd p = { .fd = work->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0 ? fail(work, "", -ESRCH) : 0;
}

static struct recall_terms get_terms(struct work *work)
{
	struct recall_terms terms;

	pthread_mutex_lock(&work->lock);
	terms = work->terms;
	pthread_mutex_unlock(&work->lock);
	return terms;
}

/* Waits; returns early with -ECANCELED. */
static int wait_usec(struct work *work, uint64_t usec)
{
	uint64_t until_usec = clock_usec(CLOCK_MONOTONIC) + usec;
	const struct timespec until = { .tv_sec = (time_t)(until_usec / USEC_PER_SEC),
					.tv_nsec = (long)(until_usec % USEC_PER_SEC) * 1000 };
	const char *cancelled;

	pthread_mutex_lock(&work->lock);
	while (!work->cancelled && usec > 0 &&
	       pthread_cond_timedwait(&work->changed, &work->lock, &until) == 0)
		;
	cancelled = work->cancelled;
	pthread_mutex_unlock(&work->lock);
	return cancelled ? end(work, RECALL_CANCELLED, cancelled) : 0;
}

/* Fills a window, and adds its pages to *bytes. 1: there may be more pages; 0; -errno. */
static int fill(struct work *work, size_t n_max, struct window *w)
{
	size_t n;
	int r;

	w->n = 0;
	do {
		r = wait_usec(work, 0);
		if (r < 0)
			return r;
		r = recall_pages_next(work->pages, w->addresses + w->n, n_max - w->n, &n);
		if (r < 0)
			return fail(work, "cannot read which pages are on swap", r);
		w->n += n;
	} while (r > 0 && w->n < n_max);
	return r;
}

static int count(struct work *work)
{
	uint64_t n = 0;
	int r;

	do {
		r = fill(work, RECALL_WINDOW_PAGES_MAX, &work->windows[0]);
		n += work->windows[0].n;
	} while (r > 0);
	if (r < 0)
		return r;
	pthread_mutex_lock(&work->lock);
	work->progress.total_bytes = n * work->page_bytes;
	pthread_mutex_unlock(&work->lock);
	recall_pages_rewind(work->pages);
	return 0;
}

static int check_room(struct work *work, uint64_t bytes, enum recall_reserve reserve)
{
	char text[RECALL_TEXT_MAX];
	struct recall_room room;
	int r;

	r = recall_room_read(work->proc_root, work->group_fd, work->group, reserve, &room);
	if (r < 0)
		return fail(work, "cannot read how much memory is available", r);
	if (bytes <= recall_room_bytes(&room))
		return 0;
	recall_room_text(&room, bytes, text, sizeof(text));
	return end(work, RECALL_NO_ROOM, text);
}

/* Finds the pages of the next window, and requests them. As fill(). */
static int request(struct work *work, struct window *w)
{
	const struct recall_terms terms = get_terms(work);
	uint64_t bytes;
	int more, r;

	more = fill(work, recall_window_pages(terms.limit_bytes, work->page_bytes), w);
	if (more < 0 || w->n == 0)
		return more;
	bytes = w->n * work->page_bytes;
	r = wait_usec(work, recall_pace_delay(&work->pace, bytes, terms.limit_bytes,
					      clock_usec(CLOCK_MONOTONIC)));
	if (r >= 0)
		r = check_alive(work);
	/* Requested pages of the other window may not be charged yet. */
	if (r >= 0)
		r = check_room(work, 2 * bytes, terms.reserve);
	if (r < 0)
		return r;
	if (work->may_request) {
		r = recall_pages_request(work->pidfd, w->addresses, w->n, work->page_bytes);
		if (r == -ESRCH)
			return fail(work, "", r);
		/* Slower: each page is then read when it is touched. */
		if (r < 0)
			work->may_request = false;
	}
	return more;
}

static int touch(struct work *work, const struct window *w)
{
	int r;

	for (size_t i = 0, n; i < w->n; i += n) {
		n = MIN_OF(w->n - i, TOUCHED_PAGES);
		r = wait_usec(work, 0);
		if (r >= 0)
			r = check_alive(work);
		if (r < 0)
			return r;
		r = recall_pages_touch(work->pid, w->addresses + i, n);
		if (r < 0)
			return fail(work, "cannot read the memory of the VM", r);
		pthread_mutex_lock(&work->lock);
		work->progress.done_bytes += n * work->page_bytes;
		work->progress.total_bytes =
			MAX_OF(work->progress.total_bytes, work->progress.done_bytes);
		pthread_mutex_unlock(&work->lock);
	}
	return 0;
}

static int bring_back(struct work *work)
{
	struct window *ahead = &work->windows[0], *behind = &work->windows[1], *other;
	int more, r;

	r = recall_pages_open(work->proc_root, work->pid, &work->pages);
	if (r < 0)
		return fail(work, "cannot read which pages are on swap", r);
	r = count(work);
	if (r < 0)
		return r;
	behind->n = 0;
	do {
		more = request(work, ahead);
		if (more < 0)
			return more;
		r = touch(work, behind);
		if (r < 0)
			return r;
		other = behind;
		behind = ahead;
		ahead = other;
	} while (more > 0);
	r = touch(work, behind);
	return r < 0 ? r : end(work, RECALL_DONE, "");
}

static void run(void *data)
{
	(void)bring_back(data);
}

/* ---- the event loop ---- */

static void done(void *data, void *userdata)
{
	struct recall *r = userdata;

	/* It may free @r. */
	r->ended(r, r->userdata);
}

static struct job_kind kind = {
	.name = "recall",
	.run = run,
	.done = done,
	.free = work_free,
	.n_max = RECALLS_MAX,
};

static struct work *work_new(const struct recall_target *t, const struct recall_terms *terms)
{
	struct work *work = calloc(1, sizeof(*work));
	pthread_condattr_t attr;

	if (!work)
		return NULL;
	pthread_mutex_init(&work->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&work->changed, &attr);
	pthread_condattr_destroy(&attr);
	work->terms = *terms;
	work->may_request = true;
	work->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	work->pid = t->pid;
	work->proc_root = strdup(t->proc_root);
	work->group = strdup(t->group);
	work->pidfd = fcntl(t->pidfd, F_DUPFD_CLOEXEC, 3);
	work->group_fd = t->group_fd < 0 ? -1 : fcntl(t->group_fd, F_DUPFD_CLOEXEC, 3);
	return work;
}

int recall_new(sd_event *event, const struct recall_target *target,
	       const struct recall_terms *terms, void (*ended)(struct recall *r, void *userdata),
	       void *userdata, struct recall **ret)
{
	struct recall *r = calloc(1, sizeof(*r));
	struct work *work = work_new(target, terms);
	int err = -ENOMEM;

	if (!r || !work || !work->proc_root || !work->group)
		goto fail;
	err = -EMFILE;
	if (work->pidfd < 0 || (target->group_fd >= 0 && work->group_fd < 0))
		goto fail;
	*r = (struct recall){ .work = work, .ended = ended, .userdata = userdata };
	err = job_new(event, &kind, work, r, &r->job);
	if (err < 0)
		goto fail;
	*ret = r;
	return 0;

fail:
	if (work)
		work_free(work);
	free(r);
	return err;
}

void recall_cancel(struct recall *r, const char *why)
{
	pthread_mutex_lock(&r->work->lock);
	r->work->cancelled = r->work->cancelled ?: why;
	pthread_cond_signal(&r->work->changed);
	pthread_mutex_unlock(&r->work->lock);
}

void recall_set_terms(struct recall *r, const struct recall_terms *terms)
{
	pthread_mutex_lock(&r->work->lock);
	r->work->terms = *terms;
	pthread_mutex_unlock(&r->work->lock);
}

void recall_read(struct recall *r, struct recall_progress *ret)
{
	pthread_mutex_lock(&r->work->lock);
	*ret = r->work->progress;
	pthread_mutex_unlock(&r->work->lock);
}

struct recall *recall_free(struct recall *r)
{
	if (!r)
		return NULL;
	recall_cancel(r, "");
	job_free(r->job);
	free(r);
	return NULL;
}
