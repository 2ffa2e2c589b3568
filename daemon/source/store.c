/* SPDX-License-Identifier: GPL-2.0 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "thread.h"

#define REQUESTS_MAX 1024

/* How long store_free() waits for the thread. */
#define STOP_WAIT_USEC (5 * USEC_PER_SEC)

/**
 * struct request - a file to write
 * @text: NULL: remove the file
 * @error: the result
 */
struct request {
	STAILQ_ENTRY(request) queue;
	char *name;
	char *text;
	void *cookie;
	int error;
};

STAILQ_HEAD(requests, request);

/**
 * struct store
 * @fd: eventfd, the thread has added to @done
 * @n: requests that are not answered
 * @lock: guards @todo, @done and @stop
 */
struct store {
	char *dir;
	store_done_fn fn;
	void *userdata;
	int fd;
	sd_event_source *source;
	size_t n;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t added;
	struct requests todo, done;
	bool stop;
};

static void request_free(struct request *r)
{
	free(r->name);
	free(r->text);
	free(r);
}

/* ---- files, for the thread ---- */

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int open_dir(const char *dir)
{
	char parent[PATH_MAX], *slash;
	int fd;

	/* Under systemd the parent exists (StateDirectory=). */
	if ((size_t)snprintf(parent, sizeof(parent), "%s", dir) >= sizeof(parent))
		return -ENAMETOOLONG;
	slash = strrchr(parent, '/');
	if (slash && slash > parent) {
		*slash = '\0';
		(void)mkdir(parent, 0755);
	}
	(void)mkdir(dir, 0700);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void temporary_name(const char *name, char *buf, size_t size)
{
	snprintf(buf, size, ".%s.tmp", name);
}

static int replace_file(int dir_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = -1;
	char temporary[NAME_MAX + 1];
	int r;

	temporary_name(name, temporary, sizeof(temporary));
	(void)unlinkat(dir_fd, temporary, 0);
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text);
	if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

static int execute(const char *dir, const struct request *req)
{
	_cleanup_close_ int dir_fd = open_dir(dir);
	int r = 0;

	if (dir_fd < 0)
		return dir_fd;
	if (req->text)
		r = replace_file(dir_fd, req->name, req->text);
	else if (unlinkat(dir_fd, req->name, 0) < 0 && errno != ENOENT)
		r = -errno;
	/* Without this, a crash of the host could undo the renaming. */
	if (r >= 0 && fsync(dir_fd) < 0)
		r = -errno;
	return r;
}

static void *thread_main(void *arg)
{
	struct store *s = arg;
	struct request *req;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (STAILQ_EMPTY(&s->todo) && !s->stop)
			pthread_cond_wait(&s->added, &s->lock);
		req = STAILQ_FIRST(&s->todo);
		if (!req)
			break;
		STAILQ_REMOVE_HEAD(&s->todo, queue);
		pthread_mutex_unlock(&s->lock);
		req->error = execute(s->dir, req);
		pthread_mutex_lock(&s->lock);
		STAILQ_INSERT_TAIL(&s->done, req, queue);
		(void)eventfd_write(s->fd, 1);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- requests, for the event loop ---- */

static void deliver(struct store *s)
{
	struct request *req;

	for (;;) {
		pthread_mutex_lock(&s->lock);
		req = STAILQ_FIRST(&s->done);
		if (req)
			STAILQ_REMOVE_HEAD(&s->done, queue);
		pthread_mutex_unlock(&s->lock);
		if (!req)
			return;
		s->n--;
		s->fn(req->name, req->error, req->cookie, s->userdata);
		request_free(req);
	}
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	eventfd_t count;

	(void)eventfd_read(fd, &count);
	deliver(userdata);
	return 0;
}

static int start_thread(struct store *s)
{
	int r;

	if (s->has_thread)
		return 0;
	r = thread_create(&s->thread, NULL, thread_main, s);
	s->has_thread = r >= 0;
	return r;
}

int store_write(struct store *s, const char *name, const char *text, void *cookie)
{
	struct request *req;
	int r;

	if (s->n >= REQUESTS_MAX)
		return -ENOBUFS;
	r = start_thread(s);
	if (r < 0)
		return r;
	req = calloc(1, sizeof(*req));
	if (!req)
		return -ENOMEM;
	req->cookie = cookie;
	req->name = strdup(name);
	req->text = text ? strdup(text) : NULL;
	if (!req->name || (text && !req->text)) {
		request_free(req);
		return -ENOMEM;
	}
	s->n++;
	pthread_mutex_lock(&s->lock);
	STAILQ_INSERT_TAIL(&s->todo, req, queue);
	pthread_cond_signal(&s->added);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

bool store_is_busy(const struct store *s)
{
	return s->n > 0;
}

int store_new(sd_event *event, const char *dir, store_done_fn fn, void *userdata,
	      struct store **ret)
{
	_cleanup_(store_freep) struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	STAILQ_INIT(&s->todo);
	STAILQ_INIT(&s->done);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->added, NULL);
	s->fn = fn;
	s->userdata = userdata;
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	s->dir = strdup(dir);
	if (!s->dir)
		return -ENOMEM;
	r = sd_event_add_io(event, &s->source, s->fd, EPOLLIN, on_done, s);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(s->source, "store");
	*ret = TAKE_PTR(s);
	return 0;
}

struct store *store_free(struct store *s)
{
	uint64_t until_usec = clock_usec(CLOCK_MONOTONIC) + STOP_WAIT_USEC;

	if (!s)
		return NULL;
	s->source = sd_event_source_disable_unref(s->source);
	if (s->has_thread) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->added);
		pthread_mutex_unlock(&s->lock);
		/* The disk hangs: the thread still uses @s, and the process is about to end. */
		if (thread_join_until(s->thread, until_usec) < 0)
			return NULL;
	}
	deliver(s);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->added);
	safe_close(s->fd);
	free(s->dir);
	free(s);
	return NULL;
}

/* ---- reading ---- */

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && streq(name + len - n, suffix);
}

static int read_one(int dir_fd, const char *name, char **ret)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	text = malloc(STORE_FILE_MAX + 1);
	if (!text)
		return -ENOMEM;
	while (len < STORE_FILE_MAX && (n = read(fd, text + len, STORE_FILE_MAX - len)) != 0) {
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	if (len == STORE_FILE_MAX)
		return -EFBIG;
	text[len] = '\0';
	if (strlen(text) != len)
		return -EBADMSG;
	*ret = TAKE_PTR(text);
	return 0;
}

int store_read_all(const struct store *s, store_read_fn fn, void *userdata)
{
	_cleanup_(closedirp) DIR *dir = opendir(s->dir);
	struct dirent *de;
	size_t n = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((de = readdir(dir))) {
		_cleanup_free_ char *text = NULL;
		int r;

		if (de->d_name[0] == '.') {
			if (has_suffix(de->d_name, STORE_SUFFIX ".tmp") && s->n == 0)
				(void)unlinkat(dirfd(dir), de->d_name, 0);
			continue;
		}
		if (!has_suffix(de->d_name, STORE_SUFFIX))
			continue;
		if (n++ == STORE_FILES_MAX)
			return -E2BIG;
		r = read_one(dirfd(dir), de->d_name, &text);
		fn(de->d_name, text, r, userdata);
	}
	return 0;
}
