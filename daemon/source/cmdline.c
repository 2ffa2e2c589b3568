/* SPDX-License-Identifier: GPL-2.0 */
#include "cmdline.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "thread.h"

enum {
	ARGS_MAX_BYTES = 1 << 20,
	/* Every user may request a diagnosis; TasksMax= of the unit allows for these threads. */
	THREADS_MAX = 8,
	STACK_BYTES = 256 << 10,
};

/**
 * struct job - shared by the thread and the event loop; the last one to unref it frees it
 * @identify: read @identity, else @args
 * @args, @identity: belong to the thread until the thread sets @done, then to the event loop
 * @done: atomic, because the order that an eventfd has in the kernel is none that the language
 *	promises
 */
struct job {
	atomic_int refs;
	int fd;
	pid_t pid;
	bool identify;
	char *proc_root, *run_root, *pods_dir;
	atomic_bool done;
	char *args;
	struct identity identity;
};

struct cmdline {
	struct job *job;
	sd_event_source *source;
	cmdline_fn fn;
	cmdline_identity_fn identity_fn;
	void *userdata;
};

static atomic_int n_threads;

static void job_unref(struct job *j)
{
	if (atomic_fetch_sub(&j->refs, 1) > 1)
		return;
	safe_close(j->fd);
	free(j->proc_root);
	free(j->run_root);
	free(j->pods_dir);
	free(j->args);
	free(j);
}

static char *load(const char *proc_root, pid_t pid, size_t *ret_size)
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
	/* The last word may lack its NUL. */
	*ret_size = len > 0 && args[len - 1] ? len + 1 : len;
	return TAKE_PTR(args);
}

char *cmdline_load(const char *proc_root, pid_t pid)
{
	size_t size;

	return load(proc_root, pid, &size);
}

static void identify(struct job *j)
{
	const struct identity_roots roots = { j->proc_root, j->run_root, j->pods_dir };
	struct vmm_args args = {};
	char *text;

	text = load(j->proc_root, j->pid, &args.size);
	args.text = text;
	if (!text)
		args.size = 0;
	identity_load(&roots, j->pid, &args, &j->identity);
	free(text);
}

static void *thread_main(void *arg)
{
	struct job *j = arg;

	if (j->identify)
		identify(j);
	else
		j->args = cmdline_load(j->proc_root, j->pid);
	atomic_store(&j->done, true);
	(void)eventfd_write(j->fd, 1);
	job_unref(j);
	atomic_fetch_sub(&n_threads, 1);
	return NULL;
}

static int thread_start(struct job *j)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (atomic_fetch_add(&n_threads, 1) >= THREADS_MAX) {
		atomic_fetch_sub(&n_threads, 1);
		return -EAGAIN;
	}
	r = -pthread_attr_init(&attr);
	if (r >= 0) {
		(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
		atomic_fetch_add(&j->refs, 1);
		r = thread_create(&thread, &attr, thread_main, j);
		pthread_attr_destroy(&attr);
		if (r < 0)
			job_unref(j);
	}
	if (r < 0)
		atomic_fetch_sub(&n_threads, 1);
	return r;
}

static int on_read(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct cmdline *c = userdata;

	(void)sd_event_source_set_enabled(s, SD_EVENT_OFF);
	if (!atomic_load(&c->job->done))
		return 0;
	if (c->job->identify) {
		/* The callee may free @c. */
		const struct identity identity = c->job->identity;

		c->identity_fn(&identity, c->userdata);
	} else {
		c->fn(TAKE_PTR(c->job->args), c->userdata);
	}
	return 0;
}

/* The caller sets the callback. */
static int start(sd_event *event, const struct identity_roots *roots, bool identify, pid_t pid,
		 struct cmdline **ret)
{
	_cleanup_(cmdline_freep) struct cmdline *c = calloc(1, sizeof(*c));
	struct job *j;
	int r;

	if (!c)
		return -ENOMEM;
	j = c->job = calloc(1, sizeof(*c->job));
	if (!j)
		return -ENOMEM;
	atomic_init(&j->refs, 1);
	j->pid = pid;
	j->identify = identify;
	j->fd = -1;
	j->proc_root = strdup(roots->proc_root);
	j->run_root = strdup(roots->run_root);
	j->pods_dir = strdup(roots->pods_dir);
	if (!j->proc_root || !j->run_root || !j->pods_dir)
		return -ENOMEM;
	j->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->fd < 0)
		return -errno;
	r = sd_event_add_io(event, &c->source, j->fd, EPOLLIN, on_read, c);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(c->source, "cmdline");
	r = thread_start(j);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

int cmdline_new(sd_event *event, const char *proc_root, pid_t pid, cmdline_fn fn, void *userdata,
		struct cmdline **ret)
{
	const struct identity_roots roots = { proc_root, "", "" };
	int r;

	r = start(event, &roots, false, pid, ret);
	if (r >= 0) {
		(*ret)->fn = fn;
		(*ret)->userdata = userdata;
	}
	return r;
}

int cmdline_identify(sd_event *event, const struct identity_roots *roots, pid_t pid,
		     cmdline_identity_fn fn, void *userdata, struct cmdline **ret)
{
	int r;

	r = start(event, roots, true, pid, ret);
	if (r >= 0) {
		(*ret)->identity_fn = fn;
		(*ret)->userdata = userdata;
	}
	return r;
}

struct cmdline *cmdline_free(struct cmdline *c)
{
	if (!c)
		return NULL;
	/* The thread may still use the job and its descriptor: only drop our reference. */
	sd_event_source_disable_unref(c->source);
	if (c->job)
		job_unref(c->job);
	free(c);
	return NULL;
}
