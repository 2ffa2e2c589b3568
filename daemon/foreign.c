/* SPDX-License-Identifier: GPL-2.0 */
#include "foreign.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/pidfd.h>

#include "log.h"
#include "proc.h"

/* From the end of one look to the next; a VM that lives shorter is not worth one. */
#define PAUSE_USEC (5 * USEC_PER_SEC)

/* Nobody waits longer than a slice, and a third of one CPU at most goes into a look. */
#define SLICE_MAX_USEC	 (10 * USEC_PER_MSEC)
#define SLICE_PAUSE_USEC (20 * USEC_PER_MSEC)

/**
 * struct pids - a growing list
 */
struct pids {
	pid_t *all;
	size_t n, n_allocated;
};

/**
 * struct foreign
 * @timer: NULL while not enabled
 * @todo: processes of the present look, from @next on
 * @libvirts: processes that PID files name, sorted
 */
struct foreign {
	sd_event *event;
	char *proc_root;
	char *pid_dir;
	const struct foreign_ops *ops;
	void *userdata;
	sd_event_source *timer;
	struct pids todo;
	size_t next;
	struct pids libvirts;
};

static int pids_add(struct pids *p, pid_t pid)
{
	if (p->n == p->n_allocated) {
		size_t n = p->n_allocated ? p->n_allocated * 2 : 256;
		pid_t *all = reallocarray(p->all, n, sizeof(*all));

		if (!all)
			return -ENOMEM;
		p->all = all;
		p->n_allocated = n;
	}
	p->all[p->n++] = pid;
	return 0;
}

static int compare_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* ---- what there is to look at ---- */

static int list_processes(struct foreign *f)
{
	_cleanup_(closedirp) DIR *dir = opendir(f->proc_root);
	struct dirent *de;

	f->todo.n = f->next = 0;
	if (!dir)
		return -errno;
	while ((de = readdir(dir))) {
		pid_t pid;
		int r;

		if (proc_parse_pid(de->d_name, &pid) < 0)
			continue;
		r = pids_add(&f->todo, pid);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One that is missing, or cannot be read, names nobody. */
static int list_libvirts(struct foreign *f)
{
	_cleanup_(closedirp) DIR *dir = opendir(f->pid_dir);
	struct dirent *de;

	f->libvirts.n = 0;
	while (dir && (de = readdir(dir))) {
		size_t len = strlen(de->d_name);
		char name[256];
		pid_t pid;
		int r;

		if (len < 5 || len - 4 >= sizeof(name) || !streq(de->d_name + len - 4, ".pid"))
			continue;
		memcpy(name, de->d_name, len - 4);
		name[len - 4] = '\0';
		if (proc_read_pid_file(f->pid_dir, name, &pid) < 0)
			continue;
		r = pids_add(&f->libvirts, pid);
		if (r < 0)
			return r;
	}
	if (f->libvirts.n > 0)
		qsort(f->libvirts.all, f->libvirts.n, sizeof(pid_t), compare_pid);
	return 0;
}

/* ---- one process ---- */

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static int name_process(const struct foreign *f, struct foreign_process *p)
{
	_cleanup_free_ char *executable = NULL;
	const char *program = "unknown", *slash;
	uint64_t start;
	int r;

	r = proc_start_time(f->proc_root, p->pid, &start);
	if (r < 0)
		return r;
	/* A UUID of the kind that everybody may make as they like (version 8). */
	snprintf(p->uuid, sizeof(p->uuid), "%08x-6170-8066-a%03x-%012" PRIx64, (unsigned int)p->pid,
		 (unsigned int)(start >> 48 & 0xfff), start & UINT64_C(0xffffffffffff));
	if (proc_executable(f->proc_root, p->pid, &executable) >= 0) {
		slash = strrchr(executable, '/');
		program = slash ? slash + 1 : executable;
	}
	if (asprintf(&p->name, "pid-%s-%d", program, (int)p->pid) < 0) {
		p->name = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int look_at(struct foreign *f, pid_t pid)
{
	struct foreign_process p = { .pid = pid, .pidfd = -1 };
	int fd, r;

	/* Most of all processes hold none, so this comes first; it is asked again below. */
	r = proc_find_kvm_vms(f->proc_root, pid, &fd, 1);
	if (r <= 0)
		return r;
	if (bsearch(&pid, f->libvirts.all, f->libvirts.n, sizeof(pid_t), compare_pid) ||
	    f->ops->known(pid, f->userdata))
		return 0;

	p.pidfd = pidfd_open(pid, 0);
	if (p.pidfd < 0)
		return -errno;
	r = proc_find_kvm_vms(f->proc_root, pid, &fd, 1);
	if (r > 0)
		r = name_process(f, &p);
	/* If it lives, its number was its own all the time. */
	if (r >= 0 && p.name && !has_ended(p.pidfd))
		f->ops->found(&p, f->userdata);
	free(p.name);
	safe_close(p.pidfd);
	return r;
}

/* ---- slices ---- */

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct foreign *f = userdata;
	uint64_t begin_usec = clock_usec(CLOCK_MONOTONIC);
	int r;

	if (f->next == f->todo.n) {
		r = list_processes(f);
		if (r >= 0)
			r = list_libvirts(f);
		if (r < 0)
			log_errno(LOG_WARNING, r, "Cannot look for VMs in %s", f->proc_root);
	}
	while (f->next < f->todo.n && clock_usec(CLOCK_MONOTONIC) - begin_usec < SLICE_MAX_USEC) {
		r = look_at(f, f->todo.all[f->next++]);
		if (r == -ENOMEM)
			log_oom();
	}
	r = sd_event_source_set_time_relative(s,
					      f->next < f->todo.n ? SLICE_PAUSE_USEC : PAUSE_USEC);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int foreign_new(sd_event *event, const char *proc_root, const char *pid_dir,
		const struct foreign_ops *ops, void *userdata, struct foreign **ret)
{
	_cleanup_(foreign_freep) struct foreign *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->event = sd_event_ref(event);
	f->ops = ops;
	f->userdata = userdata;
	f->proc_root = strdup(proc_root);
	f->pid_dir = strdup(pid_dir);
	if (!f->proc_root || !f->pid_dir)
		return -ENOMEM;
	*ret = TAKE_PTR(f);
	return 0;
}

struct foreign *foreign_free(struct foreign *f)
{
	if (!f)
		return NULL;
	sd_event_source_disable_unref(f->timer);
	sd_event_unref(f->event);
	free(f->todo.all);
	free(f->libvirts.all);
	free(f->proc_root);
	free(f->pid_dir);
	free(f);
	return NULL;
}

int foreign_enable(struct foreign *f, bool enable)
{
	int r;

	if (enable == !!f->timer)
		return 0;
	if (!enable) {
		f->timer = sd_event_source_disable_unref(f->timer);
		f->next = f->todo.n = 0;
		return 0;
	}
	r = sd_event_add_time_relative(f->event, &f->timer, CLOCK_MONOTONIC, 0, 0, on_timer, f);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(f->timer, "foreign-vms");
	/* Whoever is called does what else there is first. */
	return sd_event_source_set_priority(f->timer, SD_EVENT_PRIORITY_IDLE);
}
