/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Brings the pages of a process back from swap, in a thread: requests the pages of a window, and
 * touches those of the window before. Requests let the swap device read many pages at once; without
 * touching, the pages would stay in the swap cache only, and be the first to be evicted again.
 *
 * The pages are charged to the control group that they belong to, not to that of apfd.
 */
#ifndef APFD_RECALL_H
#define APFD_RECALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "util.h"

struct recall;

enum recall_result {
	RECALL_RUNNING,
	RECALL_DONE,
	RECALL_CANCELLED,
	RECALL_VM_ENDED,
	RECALL_NO_ROOM, /* in memory, any more */
	RECALL_FAILED,
	RECALL_RESULT_MAX = RECALL_FAILED
};

/* recall_result_to_string: the name on the bus. */
const char *recall_result_to_string(enum recall_result result);

enum {
	RECALLS_MAX = 4, /* at once; TasksMax= of the unit allows for them */
	RECALL_TEXT_MAX = 512,
};

/**
 * struct recall_progress
 * @result: RECALL_RUNNING until the thread has ended
 * @total_bytes: pages that were on swap when they were counted; 0 before; grows if there are more
 * @done_bytes: pages that were brought back
 * @text: for people: why it ended, "" for RECALL_DONE
 */
struct recall_progress {
	enum recall_result result;
	uint64_t total_bytes;
	uint64_t done_bytes;
	char text[RECALL_TEXT_MAX];
};

/**
 * struct recall_target - what to bring back; copied by recall_new()
 * @group: path of its control group, "" for none
 * @pidfd: of @pid
 * @rate_bytes: upper limit a second, or RECALL_UNLIMITED
 */
struct recall_target {
	const char *proc_root;
	const char *cgroup_root;
	const char *group;
	pid_t pid;
	int pidfd;
	uint64_t rate_bytes;
};

/*
 * recall_new: starts the thread. @ended is called on the event loop when the thread has ended, and
 * may call recall_free(). 0; -errno.
 */
int recall_new(sd_event *event, const struct recall_target *target,
	       void (*ended)(struct recall *r, void *userdata), void *userdata,
	       struct recall **ret);

/* recall_free: the thread ends at the next few pages; does not wait for it. */
struct recall *recall_free(struct recall *r);
APF_DEFINE_CLEANUP(struct recall *, recall_free);

/* recall_cancel: the thread ends soon, and @ended is called. */
void recall_cancel(struct recall *r);

/* recall_set_factor: from now on, only this part of the rate is used; 0.0 to 1.0. */
void recall_set_factor(struct recall *r, double factor);

void recall_read(struct recall *r, struct recall_progress *ret);

#endif /* APFD_RECALL_H */
