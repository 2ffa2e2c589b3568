/* SPDX-License-Identifier: GPL-2.0 */
#include "foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/syscall.h>

#include "cmdline.h"
#include "file.h"
#include "log.h"
#include "number.h"
#include "proc.h"

/* From the end of one scan to the next; a VM with a shorter life need not be found. */
#define PAUSE_USEC (5 * USEC_PER_SEC)

/* A scan blocks the event loop for one slice at most, and uses at most a third of one CPU. */
#define SLICE_MAX_USEC	 (10 * USEC_PER_MSEC)
#define SLICE_PAUSE_USEC (20 * USEC_PER_MSEC)

/* A process whose memory is on swap answers later than others, but usually within a second. */
#define READING_MAX_USEC (10 * USEC_PER_SEC)
#define WAITING_MAX_USEC (30 * USEC_PER_SEC)

enum {
	VMS_OF_PROCESS_MAX = 8,
	READINGS_MAX = 4, /* leaves threads of cmdline.c for the doctor */
	PENDING_MAX = 4096,
};

/**
 * struct pids - a growing list
 */
struct pids {
	pid_t *all;
	size_t n, n_allocated;
};

/**
 * struct pending - a KVM VM whose identity is being read
 * @cmdline: the reading; NULL while waiting for a thread
 * @timer: reports the VM without its identity when the reading takes too long
 * @late: was reported without its identity
 */
struct pending {
	TAILQ_ENTRY(pending) list;
	struct foreign *foreign;
	struct foreign_process process;
	bool first;
	struct cmdline *cmdline;
	sd_event_source *timer;
	bool late;
};

/**
 * struct foreign
 * @timer: NULL while not enabled
 * @todo: processes of the current scan; those before @next have been checked
 * @again: a scan was requested during the current scan
 * @libvirts: processes that libvirt's PID files name, sorted
 * @pending: in the order in which they were found
 */
struct foreign {
	sd_event *event;
	char *proc_root, *run_root, *pods_dir, *sys_root, *pid_dir;
	const struct foreign_ops *ops;
	void *userdata;
	enum foreign_search search;
	sd_event_source *timer;
	struct pids todo;
	size_t next;
	bool again;
	struct pids libvirts;
	TAILQ_HEAD(, pending) pending;
	size_t n_pending;
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

/* ---- lists of processes ---- */

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

/* A PID file that is missing or cannot be read is skipped. */
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

/*
 * False if the kernel's count of users of KVM's modules says that there is no VM. A KVM that is
 * built into the kernel has no such count.
 */
static bool kvm_is_used(const struct foreign *f)
{
	static const char *const modules[] = { "kvm_intel", "kvm_amd", "kvm_pvm" };
	char path[PATH_MAX], text[32];
	bool counted = false;

	snprintf(path, sizeof(path), "%s/module/kvm", f->sys_root);
	if (access(path, F_OK) < 0)
		return false;
	for (size_t i = 0; i < ELEMENTSOF(modules); i++) {
		const char *s = text;
		uint64_t users;

		snprintf(path, sizeof(path), "%s/module/%s/refcnt", f->sys_root, modules[i]);
		if (file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
			continue;
		if (number_parse(&s, "\n", &users) < 0 || users > 0)
			return true;
		counted = true;
	}
	return !counted;
}

/* ---- one VM ---- */

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static int name_process(const struct foreign *f, struct foreign_process *p, bool first)
{
	_cleanup_free_ char *executable = NULL;
	const char *program = "unknown", *slash;
	char suffix[16] = "";
	uint64_t start;
	int r;

	r = proc_start_time(f->proc_root, p->pid, &start);
	if (r < 0)
		return r;
	/* UUID version 8: the format leaves its content to the application. */
	snprintf(p->uuid, sizeof(p->uuid), "%08x-617%d-8%03x-a%03x-%012" PRIx64,
		 (unsigned int)p->pid, !first, first ? 0x66 : (unsigned int)p->vm_fd & 0xfff,
		 (unsigned int)(start >> 48 & 0xfff), start & UINT64_C(0xffffffffffff));
	if (proc_executable(f->proc_root, p->pid, &executable) >= 0) {
		slash = strrchr(executable, '/');
		program = slash ? slash + 1 : executable;
	}
	if (!first)
		snprintf(suffix, sizeof(suffix), ".%d", p->vm_fd);
	if (asprintf(&p->name, "pid-%s-%d%s", program, (int)p->pid, suffix) < 0) {
		p->name = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void pending_free(struct pending *p)
{
	TAILQ_REMOVE(&p->foreign->pending, p, list);
	p->foreign->n_pending--;
	cmdline_free(p->cmdline);
	sd_event_source_disable_unref(p->timer);
	free(p->process.name);
	safe_close(p->process.pidfd);
	free(p);
}

/* Reports the VM. The callee may take a duplicate of the pidfd; @p keeps its own. */
static void report(struct pending *p)
{
	struct foreign_process process = p->process;

	/* The process still runs, so its PID was not reused since it was found. */
	if (has_ended(p->process.pidfd))
		return;
	process.pidfd = fcntl(p->process.pidfd, F_DUPFD_CLOEXEC, 0);
	if (process.pidfd < 0) {
		log_errno(LOG_WARNING, -errno, "Cannot add VM %s", process.name);
		return;
	}
	p->foreign->ops->found(&process, p->foreign->userdata);
	safe_close(process.pidfd);
}

static void start_readings(struct foreign *f);

static void on_identity(const struct identity *identity, void *userdata)
{
	struct pending *p = userdata;
	struct foreign *f = p->foreign;

	/* The command line is that of the first VM. */
	if (p->first)
		p->process.identity = *identity;
	if (!p->late || p->first)
		report(p);
	pending_free(p);
	start_readings(f);
}

/* The reading, or the wait for a thread, takes too long; the reading goes on. */
static int on_late(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct pending *p = userdata;
	struct foreign *f = p->foreign;

	p->late = true;
	if (has_ended(p->process.pidfd)) {
		pending_free(p);
	} else {
		log_debug("The command line of process %d cannot be read yet", (int)p->process.pid);
		report(p);
	}
	start_readings(f);
	return 0;
}

static int set_patience(struct pending *p, uint64_t usec)
{
	int r;

	if (!p->timer)
		return sd_event_add_time_relative(p->foreign->event, &p->timer, CLOCK_MONOTONIC,
						  usec, 0, on_late, p);
	r = sd_event_source_set_time_relative(p->timer, usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* Starts as many readings as there may be threads. Those that are late do not count. */
static void start_readings(struct foreign *f)
{
	const struct identity_roots roots = { f->proc_root, f->run_root, f->pods_dir };
	struct pending *p;
	size_t n = 0;

	TAILQ_FOREACH(p, &f->pending, list)
		n += p->cmdline && !p->late;
	TAILQ_FOREACH(p, &f->pending, list) {
		if (p->cmdline)
			continue;
		if (n >= READINGS_MAX)
			return;
		/* -EAGAIN: no thread is free; the end of another reading calls this again. */
		if (cmdline_identify(f->event, &roots, p->process.pid, on_identity, p,
				     &p->cmdline) < 0)
			return;
		n++;
		if (!p->late)
			(void)set_patience(p, READING_MAX_USEC);
	}
}

static bool is_pending(const struct foreign *f, pid_t pid, int vm_fd, bool first)
{
	const struct pending *p;

	TAILQ_FOREACH(p, &f->pending, list)
		if (p->process.pid == pid && (p->process.vm_fd == vm_fd || (first && p->first)))
			return !has_ended(p->process.pidfd);
	return false;
}

/* @vm_fd: -1 if the process has only one KVM VM. */
static int add_pending(struct foreign *f, pid_t pid, int vm_fd, bool first)
{
	struct pending *p;
	int fd, r;

	if (f->n_pending >= PENDING_MAX)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->foreign = f;
	p->first = first;
	p->process.pid = pid;
	p->process.vm_fd = vm_fd;
	p->process.pidfd = pidfd_open(pid, 0);
	TAILQ_INSERT_TAIL(&f->pending, p, list);
	f->n_pending++;
	r = p->process.pidfd < 0 ? -errno : 0;
	/* Checked again now that the PID cannot be reused unnoticed. */
	if (r >= 0)
		r = proc_find_kvm_vms(f->proc_root, pid, &fd, 1);
	if (r > 0)
		r = name_process(f, &p->process, first);
	else if (r == 0)
		r = -ESRCH;
	if (r >= 0)
		r = has_ended(p->process.pidfd) ? -ESRCH : set_patience(p, WAITING_MAX_USEC);
	if (r < 0)
		pending_free(p);
	return r;
}

/* ---- one process ---- */

/* Whether two descriptors of a process are the same KVM VM. An error counts as the same. */
static bool same_vm(pid_t pid, int a, int b)
{
	return syscall(SYS_kcmp, pid, pid, KCMP_FILE, (unsigned long)a, (unsigned long)b) <= 0;
}

/* Keeps one descriptor, the lowest, of each KVM VM. */
static int drop_duplicates(pid_t pid, int *fds, int n)
{
	int kept = 0;

	for (int i = 0; i < n; i++) {
		bool duplicate = false;

		for (int k = 0; k < kept && !duplicate; k++)
			duplicate = same_vm(pid, fds[i], fds[k]);
		if (!duplicate)
			fds[kept++] = fds[i];
	}
	return kept;
}

static int check_process(struct foreign *f, pid_t pid)
{
	int fds[VMS_OF_PROCESS_MAX], n, r = 0;

	/* Most processes hold no KVM VM, so check this first. */
	n = proc_find_kvm_vms(f->proc_root, pid, fds, ELEMENTSOF(fds));
	if (n <= 0)
		return n;
	/* There is no list while there is no domain, and bsearch() takes no NULL. */
	if (f->libvirts.n &&
	    bsearch(&pid, f->libvirts.all, f->libvirts.n, sizeof(pid_t), compare_pid))
		return 0;
	n = drop_duplicates(pid, fds, n);
	for (int i = 0; r >= 0 && i < n; i++) {
		if (f->ops->known(pid, fds[i], i == 0, f->userdata) ||
		    is_pending(f, pid, fds[i], i == 0))
			continue;
		r = add_pending(f, pid, n == 1 ? -1 : fds[i], i == 0);
	}
	return r;
}

/* ---- slices ---- */

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct foreign *f = userdata;
	uint64_t begin_usec = clock_usec(CLOCK_MONOTONIC), wait_usec;
	int r = 0;

	if (f->next == f->todo.n) {
		f->again = false;
		f->next = f->todo.n = 0;
		if (f->search != FOREIGN_IF_KVM_USED || kvm_is_used(f)) {
			r = list_processes(f);
			if (r >= 0)
				r = list_libvirts(f);
		}
		if (r < 0)
			log_errno(LOG_WARNING, r, "Cannot scan %s for VMs", f->proc_root);
	}
	while (f->next < f->todo.n && clock_usec(CLOCK_MONOTONIC) - begin_usec < SLICE_MAX_USEC) {
		r = check_process(f, f->todo.all[f->next++]);
		if (r == -ENOMEM)
			log_oom();
	}
	start_readings(f);
	wait_usec = f->next < f->todo.n || f->again ? SLICE_PAUSE_USEC : PAUSE_USEC;
	r = sd_event_source_set_time_relative(s, wait_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int foreign_new(sd_event *event, const struct foreign_env *env, const struct foreign_ops *ops,
		void *userdata, struct foreign **ret)
{
	_cleanup_(foreign_freep) struct foreign *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	TAILQ_INIT(&f->pending);
	f->event = sd_event_ref(event);
	f->ops = ops;
	f->userdata = userdata;
	f->proc_root = strdup(env->roots.proc_root);
	f->run_root = strdup(env->roots.run_root);
	f->pods_dir = strdup(env->roots.pods_dir);
	f->sys_root = strdup(env->sys_root);
	f->pid_dir = strdup(env->pid_dir);
	if (!f->proc_root || !f->run_root || !f->pods_dir || !f->sys_root || !f->pid_dir)
		return -ENOMEM;
	*ret = TAKE_PTR(f);
	return 0;
}

static void stop(struct foreign *f)
{
	struct pending *p;

	f->timer = sd_event_source_disable_unref(f->timer);
	f->next = f->todo.n = 0;
	while ((p = TAILQ_FIRST(&f->pending)))
		pending_free(p);
}

struct foreign *foreign_free(struct foreign *f)
{
	if (!f)
		return NULL;
	stop(f);
	sd_event_unref(f->event);
	free(f->todo.all);
	free(f->libvirts.all);
	free(f->proc_root);
	free(f->run_root);
	free(f->pods_dir);
	free(f->sys_root);
	free(f->pid_dir);
	free(f);
	return NULL;
}

int foreign_search(struct foreign *f, enum foreign_search search)
{
	int r;

	f->search = search;
	if (search == FOREIGN_OFF) {
		stop(f);
		return 0;
	}
	if (f->timer)
		return 0;
	r = sd_event_add_time_relative(f->event, &f->timer, CLOCK_MONOTONIC, 0, 0, on_timer, f);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(f->timer, "foreign-vms");
	/* Idle priority: every other event is handled before the scan. */
	return sd_event_source_set_priority(f->timer, SD_EVENT_PRIORITY_IDLE);
}

void foreign_rescan(struct foreign *f)
{
	if (!f->timer)
		return;
	f->again = true;
	(void)sd_event_source_set_time_relative(f->timer, SLICE_PAUSE_USEC);
}
