/* SPDX-License-Identifier: GPL-2.0 */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "job.h"
#include "log.h"
#include "names.h"
#include "proc.h"
#include "util.h"

/* The kernel notifies when tasks of the group waited for memory for a tenth of a second. */
#define PSI_STALL_USEC	100000
#define PSI_WINDOW_USEC 1000000

/* While a VM swaps, every fourth reading includes /proc/PID/status. */
#define READS_PER_STATUS 4

/* Each so many readings the group is found again even if the process has not moved. */
#define READS_PER_SEARCH 16

/* How often the limits are read; less often of a VM that does not swap. */
#define LIMITS_USEC	 (10 * USEC_PER_SEC)
#define LIMITS_IDLE_USEC (60 * USEC_PER_SEC)

/* Each so many questions /proc/PID/maps is read again: memory may have been added to the VM. */
#define CHECKS_PER_MAPS 16

/* So many processes are read at once. */
#define MAPS_THREADS_MAX 4

/* The first time, for the figure: most processes are read in less than a millisecond. */
#define MAPS_WAIT_USEC (10 * USEC_PER_MSEC)

/*
 * With less shared memory VmSwap is taken for the whole figure. QEMU and its libraries share
 * small buffers with other programs; the memory of a VM is larger.
 */
#define SHMEM_MIN_BYTES (UINT64_C(16) << 20)

const char *memory_source_to_string(enum memory_source source)
{
	static const char *const table[] = {
		[MEMORY_SOURCE_UNKNOWN] = NAME_UNKNOWN,
		[MEMORY_SOURCE_PROCESS] = NAME_PROCESS,
		[MEMORY_SOURCE_CGROUP] = NAME_CGROUP,
	};

	return table[source];
}

static void unwatch_psi(struct memory *m)
{
	m->psi_source = sd_event_source_disable_unref(m->psi_source);
	if (m->cgroup)
		cgroup_untrigger(m->cgroup);
}

/* What was read before is about another group, or about the group in another way. */
static void forget_readings(struct memory *m, double figures[static PRESSURE_FIGURE_MAX + 1])
{
	m->psi_error = 0;
	m->pressure = (struct pressure){};
	m->limits = (struct cgroup_limits){};
	m->limits_usec = 0;
	m->status_swap_bytes = UINT64_MAX;
	pressure_none(figures);
}

/* Replaces the group; takes over @c. */
static void set_group(struct memory *m, struct cgroup *c,
		      double figures[static PRESSURE_FIGURE_MAX + 1])
{
	unwatch_psi(m);
	m->cgroup_changed = m->cgroup_changed || m->cgroup || c;
	if (m->cgroup)
		cgroup_users_remove(m->env.users, cgroup_path(m->cgroup));
	cgroup_free(m->cgroup);
	m->cgroup = c;
	m->shared = false;
	if (c && cgroup_users_add(m->env.users, cgroup_path(c)) < 0) {
		log_oom();
		m->cgroup = cgroup_free(c);
	}
	forget_readings(m, figures);
}

void memory_reset(struct memory *m, double figures[static PRESSURE_FIGURE_MAX + 1])
{
	set_group(m, NULL, figures);
	m->process_known = false;
	m->process_bytes = m->process_shmem_bytes = m->maps_shmem_bytes = 0;
	m->renewals = m->maps_checks = 0;
	m->maps_job = job_free(m->maps_job);
	m->maps_known = false;
}

static int on_psi(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct memory *m = userdata;

	/* The group was removed, or its pressure is not measured any more. */
	if (revents & EPOLLERR) {
		unwatch_psi(m);
		return 0;
	}
	m->active = true;
	m->env.waited(m->env.userdata);
	return 0;
}

static void watch_psi(struct memory *m)
{
	int r;

	if (m->psi_source || m->psi_error)
		return;
	r = cgroup_trigger(m->cgroup, PSI_STALL_USEC, PSI_WINDOW_USEC);
	/* Since Linux 6.5, other windows than of two seconds need CAP_SYS_RESOURCE. */
	if (r == -EINVAL || r == -EPERM)
		r = cgroup_trigger(m->cgroup, 2 * PSI_STALL_USEC, 2 * PSI_WINDOW_USEC);
	if (r >= 0)
		r = sd_event_add_io(m->env.event, &m->psi_source, r, EPOLLPRI, on_psi, m);
	if (r >= 0)
		return;
	/* Not fatal: the next tick sees the same wait, a little later. */
	cgroup_untrigger(m->cgroup);
	m->psi_error = r;
	log_fields(LOG_DEBUG, r, ((const struct log_field[]){ { "APF_VM", m->env.name }, {} }),
		   "The kernel does not report when VM %s waits for memory, ignoring", m->env.name);
}

static void find_cgroup(struct memory *m, double figures[static PRESSURE_FIGURE_MAX + 1])
{
	const struct memory_env *w = &m->env;
	struct cgroup *c = NULL;
	bool shared;

	if (cgroup_renew(w->proc_root, w->cgroup_root, w->pid,
			 m->renewals++ % READS_PER_SEARCH == 0, m->cgroup, &c) > 0)
		set_group(m, c, figures);
	shared = m->cgroup && cgroup_users_count(w->users, cgroup_path(m->cgroup)) > 1;
	if (shared == m->shared)
		return;
	unwatch_psi(m);
	forget_readings(m, figures);
	m->shared = shared;
}

/* For a process without a group of its own that accounts memory: the figures in /proc. */
static void read_process(const struct memory *m, const struct memory_swapped *swapped,
			 struct cgroup_facts *facts)
{
	if (swapped->source != MEMORY_SOURCE_UNKNOWN) {
		facts->swap_bytes = swapped->bytes;
		facts->known |= CGROUP_SWAP;
	}
	if (proc_major_faults(m->env.proc_root, m->env.pid, &facts->major_faults) >= 0)
		facts->known |= CGROUP_MAJOR_FAULTS;
}

/*
 * The limits and the nodes: some ten files, half of them of groups that many VMs have in common.
 * They cost more than all the figures of the group.
 */
static void read_limits(struct memory *m, uint64_t now_usec)
{
	uint64_t every_usec = m->active ? LIMITS_USEC : LIMITS_IDLE_USEC;

	if (m->limits_usec && now_usec - m->limits_usec < every_usec)
		return;
	cgroup_limits_read(m->cgroup, &m->limits);
	m->limits_usec = now_usec;
}

/*
 * Reading /proc/PID/status costs as much as reading all files of the control group, and the
 * group has nearly the same figure. So /proc/PID/status is read when the group's figure has
 * changed; if the VM swaps, only when it has changed by more than an eighth.
 */
static bool must_read_status(struct memory *m, const struct cgroup_facts *facts)
{
	uint64_t now_bytes = facts->swap_bytes, before_bytes = m->status_swap_bytes;
	uint64_t moved_bytes = MAX_OF(now_bytes, before_bytes) - MIN_OF(now_bytes, before_bytes);

	if (!(facts->known & CGROUP_SWAP))
		return true;
	if (moved_bytes <= (m->active ? now_bytes / 8 : 0) &&
	    !(m->active && m->reads++ % READS_PER_STATUS == 0))
		return false;
	m->status_swap_bytes = now_bytes;
	return true;
}

static void read_status(struct memory *m)
{
	int r;

	r = proc_swapped_bytes(m->env.proc_root, m->env.pid, &m->process_bytes,
			       &m->process_shmem_bytes);
	/* A process that is about to end has no memory. */
	if (r == -ESRCH || r == -ENODATA)
		m->process_bytes = m->process_shmem_bytes = 0;
	m->process_known = r >= 0 || r == -ESRCH || r == -ENODATA;
}

/* ---- /proc/PID/maps: thousands of lines, read under a lock of the process ---- */

/* @error: 0, or of proc_shmem_mapped_bytes() */
struct maps {
	char *proc_root;
	pid_t pid;
	int error;
	uint64_t shmem_bytes;
};

static void maps_free(void *data)
{
	struct maps *maps = data;

	free(maps->proc_root);
	free(maps);
}

static void maps_run(void *data)
{
	struct maps *maps = data;

	maps->error = proc_shmem_mapped_bytes(maps->proc_root, maps->pid, &maps->shmem_bytes);
}

static void maps_done(void *data, void *userdata)
{
	const struct maps *maps = data;
	struct memory *m = userdata;
	uint64_t bytes = maps->shmem_bytes;

	if (maps->error < 0)
		bytes = maps->error == -E2BIG ? UINT64_MAX : 0;
	/* The next reading has another figure. */
	if (!m->maps_known ||
	    (bytes >= SHMEM_MIN_BYTES) != (m->maps_shmem_bytes >= SHMEM_MIN_BYTES))
		m->active = true;
	m->maps_known = true;
	m->maps_shmem_bytes = bytes;
	m->maps_job = job_free(m->maps_job);
}

static struct job_kind maps_kind = {
	.name = "maps",
	.run = maps_run,
	.done = maps_done,
	.free = maps_free,
	.n_max = MAPS_THREADS_MAX,
};

/* False: the next question tries again. */
static bool read_maps(struct memory *m)
{
	struct maps *maps = calloc(1, sizeof(*maps));
	int r = -ENOMEM;

	if (maps) {
		maps->pid = m->env.pid;
		maps->proc_root = strdup(m->env.proc_root);
		if (maps->proc_root)
			r = job_new(m->env.event, &maps_kind, maps, m, &m->maps_job);
		if (r < 0)
			maps_free(maps);
	}
	if (r < 0 && r != -EAGAIN)
		log_fields(LOG_DEBUG, r,
			   ((const struct log_field[]){ { "APF_VM", m->env.name }, {} }),
			   "Cannot read the mappings of VM %s yet, ignoring", m->env.name);
	if (r >= 0 && !m->maps_known)
		job_wait(m->maps_job, MAPS_WAIT_USEC);
	return r >= 0;
}

/*
 * Whether the process has so much shared memory that VmSwap is not the whole figure. RssShmem
 * does not tell that of memory that is on swap as a whole; the mappings do.
 * @group_bytes: the group's figure, UINT64_MAX if it is not known
 * 0, 1, or -EAGAIN: a thread reads the mappings
 */
static int has_shmem(struct memory *m, uint64_t group_bytes)
{
	if (m->process_shmem_bytes >= SHMEM_MIN_BYTES)
		return true;
	/* There is nothing on swap that VmSwap does not contain. */
	if (group_bytes <= m->process_bytes)
		return false;
	if (!m->maps_job && (m->maps_checks % CHECKS_PER_MAPS != 0 || read_maps(m)))
		m->maps_checks++;
	if (!m->maps_known)
		return -EAGAIN;
	return m->maps_shmem_bytes >= SHMEM_MIN_BYTES;
}

static struct memory_swapped swapped_now(struct memory *m, const struct cgroup_facts *facts)
{
	struct memory_swapped unknown = { .source = MEMORY_SOURCE_UNKNOWN };
	uint64_t group_bytes = UINT64_MAX;
	int shmem;

	/* A page that is back in memory may keep its place on swap: do not count it. */
	if (facts->known & CGROUP_SWAP)
		group_bytes = facts->swap_bytes -
			      (facts->known & CGROUP_SWAPCACHED
				       ? MIN_OF(facts->swap_bytes, facts->swapcached_bytes)
				       : 0);
	if (!m->process_known)
		return unknown;
	shmem = has_shmem(m, group_bytes);
	if (shmem == 0)
		return (struct memory_swapped){ m->process_bytes, MEMORY_SOURCE_PROCESS };
	if (shmem < 0 || group_bytes == UINT64_MAX)
		return unknown;
	return (struct memory_swapped){ MAX_OF(group_bytes, m->process_bytes),
					MEMORY_SOURCE_CGROUP };
}

void memory_read(struct memory *m, const struct memory_env *env, struct pressure_reading *reading,
		 uint64_t now_usec, struct memory_swapped *swapped,
		 double figures[static PRESSURE_FIGURE_MAX + 1])
{
	struct cgroup_facts *facts = &reading->facts;

	m->env = *env;
	find_cgroup(m, figures);
	if (m->cgroup && !m->shared) {
		cgroup_read(m->cgroup, facts);
		if (!facts->known)
			set_group(m, NULL, figures); /* it was removed */
		else if (facts->swap_bytes > 0)
			watch_psi(m);
		else if (facts->known & CGROUP_SWAP)
			unwatch_psi(m);
	}
	if (m->cgroup && !m->shared)
		read_limits(m, now_usec);
	if (must_read_status(m, facts))
		read_status(m);
	*swapped = swapped_now(m, facts);
	if (!m->cgroup || m->shared)
		read_process(m, swapped, facts);
	/*
	 * These figures do not need the module. A first reading is followed by another one soon: by
	 * then it is known whether other VMs are in the group, too.
	 */
	m->active = !m->pressure.at_usec || m->pressure.facts.swap_bytes != facts->swap_bytes ||
		    m->pressure.facts.major_faults != facts->major_faults;
	pressure_update(&m->pressure, reading, now_usec, figures);
}
