/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory figures of one process, from its control group, or from /proc if no group accounts
 * its memory.
 */
#ifndef APFD_MEMORY_H
#define APFD_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "cgroup.h"
#include "cgroup-limits.h"
#include "cgroup-users.h"
#include "pressure.h"

/* Where the figure of swapped memory is from. */
enum memory_source {
	MEMORY_SOURCE_UNKNOWN, /* there is no figure */
	MEMORY_SOURCE_PROCESS, /* VmSwap of the process */
	MEMORY_SOURCE_CGROUP,  /* the control group of the process */
};

/* memory_source_to_string: the name on the bus. */
const char *memory_source_to_string(enum memory_source source);

/**
 * struct memory_swapped - how much memory of a VM is on swap
 * @bytes: 0 if @source is MEMORY_SOURCE_UNKNOWN
 */
struct memory_swapped {
	uint64_t bytes;
	enum memory_source source;
};

/**
 * struct memory_env - what to read, and the callback
 * @users: counts the VMs of each control group
 * @pid: the process
 * @name: name of its VM, for the log
 * @waited: called when a task of the control group waited for memory
 */
struct memory_env {
	sd_event *event;
	const char *proc_root;
	const char *cgroup_root;
	struct cgroup_users *users;
	pid_t pid;
	const char *name;
	void (*waited)(void *userdata);
	void *userdata;
};

/**
 * struct memory - all zero at first
 * @cgroup: control group of the process, NULL if no group accounts its memory
 * @shared: other VMs are in @cgroup or below it, so its figures say nothing about this VM
 * @cgroup_changed: @cgroup has changed since the last PropertiesChanged signal
 * @psi_source: ready when a task of the group waited for memory; set only when the group has
 *	pages on swap, because the kernel runs a thread for each such trigger
 * @psi_error: why @psi_source could not be set, -errno; 0 while there was no error
 * @env: copy for the callback of @psi_source
 * @pressure: earlier readings
 * @limits: of @cgroup, unless it is @shared; read at @limits_usec
 * @active: pages of the process were swapped lately, or its files were read only once: they
 *	must be read
 * @renewals: number of readings of the process's group
 * @reads: number of readings while @active
 * @status_swap_bytes: the group's swap figure when /proc/PID/status was last read
 * @process_known, @process_bytes, @process_shmem_bytes: VmSwap and RssShmem of that reading
 * @maps_checks: number of questions for @maps_shmem_bytes; a few of them read it again
 * @maps_job: the thread that reads it, else NULL
 * @maps_known: @maps_shmem_bytes has been read
 * @maps_shmem_bytes: shared memory that the process has mapped
 */
struct memory {
	struct cgroup *cgroup;
	bool shared;
	bool cgroup_changed;
	sd_event_source *psi_source;
	int psi_error;
	struct memory_env env;
	struct pressure pressure;
	struct cgroup_limits limits;
	uint64_t limits_usec;
	bool active;
	unsigned int renewals;
	unsigned int reads;
	uint64_t status_swap_bytes;
	bool process_known;
	uint64_t process_bytes;
	uint64_t process_shmem_bytes;
	unsigned int maps_checks;
	struct job *maps_job;
	bool maps_known;
	uint64_t maps_shmem_bytes;
};

/*
 * memory_read: finds the control group again if the process has moved, and reads the files.
 * @reading: contains the module's figures; memory_read() fills in the others. The group's
 *	figures are used only if no other VM is in the group
 * @swapped: VmSwap of the process if that is all of it. VmSwap does not contain shared memory
 *	(memfd, tmpfs): if the process has 16 MiB of it or more, the figure of the control
 *	group; unknown if there is no group, or if other VMs are in the group. Also unknown until
 *	a thread has read how much of it there is, usually at once; then @m becomes active
 * @figures: by &enum pressure_figure
 */
void memory_read(struct memory *m, const struct memory_env *env, struct pressure_reading *reading,
		 uint64_t now_usec, struct memory_swapped *swapped,
		 double figures[static PRESSURE_FIGURE_MAX + 1]);

/* memory_reset: the process ended. */
void memory_reset(struct memory *m, double figures[static PRESSURE_FIGURE_MAX + 1]);

#endif /* APFD_MEMORY_H */
