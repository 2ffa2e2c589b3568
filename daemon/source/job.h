/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One function on a thread of its own, because the function may block: for example, the kernel
 * reads some files of /proc under a lock that a stuck process holds. The event loop does not wait,
 * and gets the result.
 */
#ifndef APFD_JOB_H
#define APFD_JOB_H

#include <stdatomic.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "util.h"

/**
 * struct job_kind
 * @name: of the event source, for debugging
 * @run: called on the thread; @data belongs to the thread meanwhile, but for what a lock
 *	in @data guards
 * @done: called once on the event loop after @run, unless job_free() is called before; may call
 *	job_free()
 * @free: frees @data
 * @n_max: so many jobs of this kind run at once; TasksMax= of the unit allows for them
 * @n: number of jobs that run
 */
struct job_kind {
	const char *name;
	void (*run)(void *data);
	void (*done)(void *data, void *userdata);
	void (*free)(void *data);
	int n_max;
	atomic_int n;
};

struct job;

/*
 * job_new: starts the thread, and takes over @data on success. -EAGAIN: @kind->n_max jobs of this
 * kind run; other errors as usual.
 */
int job_new(sd_event *event, struct job_kind *kind, void *data, void *userdata, struct job **ret);

/*
 * job_wait: waits for at most @usec, and calls @kind->done, which may free @job, if the thread is
 * done by then; else the event loop calls it later.
 */
void job_wait(struct job *job, uint64_t usec);

/* job_free: never waits; a blocked thread frees its data when it ends. */
struct job *job_free(struct job *job);
APF_DEFINE_CLEANUP(struct job *, job_free);

#endif /* APFD_JOB_H */
