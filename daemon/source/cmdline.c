/* SPDX-License-Identifier: GPL-2.0 */
#include "cmdline.h"

#include <errno.h>
#include <limits.h>

#include "job.h"

enum {
	ARGS_MAX_BYTES = 1 << 20,
	/* Every user may request a diagnosis. */
	THREADS_MAX = 8,
};

/**
 * struct reading - what a thread reads
 * @identify: read @identity, else @args
 */
struct reading {
	pid_t pid;
	bool identify;
	char *proc_root, *run_root, *pods_dir;
	char *args;
	struct identity identity;
};

struct cmdline {
	struct job *job;
	cmdline_fn fn;
	cmdline_identity_fn identity_fn;
	void *userdata;
};

static void reading_free(void *data)
{
	struct reading *rd = data;

	free(rd->proc_root);
	free(rd->run_root);
	free(rd->pods_dir);
	free(rd->args);
	free(rd);
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

static void identify(struct reading *rd)
{
	const struct identity_roots roots = { rd->proc_root, rd->run_root, rd->pods_dir };
	struct vmm_args args = {};
	char *text;

	text = load(rd->proc_root, rd->pid, &args.size);
	args.text = text;
	if (!text)
		args.size = 0;
	identity_load(&roots, rd->pid, &args, &rd->identity);
	free(text);
}

static void run(void *data)
{
	struct reading *rd = data;

	if (rd->identify)
		identify(rd);
	else
		rd->args = cmdline_load(rd->proc_root, rd->pid);
}

static void done(void *data, void *userdata)
{
	struct reading *rd = data;
	struct cmdline *c = userdata;

	if (rd->identify) {
		/* The callee may free @c. */
		const struct identity identity = rd->identity;

		c->identity_fn(&identity, c->userdata);
	} else {
		c->fn(TAKE_PTR(rd->args), c->userdata);
	}
}

static struct job_kind kind = {
	.name = "cmdline",
	.run = run,
	.done = done,
	.free = reading_free,
	.n_max = THREADS_MAX,
};

/* The caller sets the callback. */
static int start(sd_event *event, const struct identity_roots *roots, bool identify, pid_t pid,
		 struct cmdline **ret)
{
	_cleanup_(cmdline_freep) struct cmdline *c = calloc(1, sizeof(*c));
	struct reading *rd = calloc(1, sizeof(*rd));
	int r = -ENOMEM;

	if (!c || !rd)
		goto fail;
	rd->pid = pid;
	rd->identify = identify;
	rd->proc_root = strdup(roots->proc_root);
	rd->run_root = strdup(roots->run_root);
	rd->pods_dir = strdup(roots->pods_dir);
	if (!rd->proc_root || !rd->run_root || !rd->pods_dir)
		goto fail;
	r = job_new(event, &kind, rd, c, &c->job);
	if (r < 0)
		goto fail;
	*ret = TAKE_PTR(c);
	return 0;

fail:
	if (rd)
		reading_free(rd);
	return r;
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
	job_free(c->job);
	free(c);
	return NULL;
}
