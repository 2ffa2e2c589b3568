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

#include "recall-plan.h"
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
 * @group_fd, @group: directory and path of its control group; -1 and "" for none
 * @pidfd: of @pid
 */
struct recall_target {
	const char *proc_root;
	int group_fd;
	const char *group;
	pid_t pid;
	int pidfd;
};

/**
 * struct recall_terms - how a recall is to go on
 * @limit_bytes: upper limit a second, or RECALL_UNLIMITED
 * @reserve: &enum recall_reserve, the memory that must stay available
 */
struct recall_terms {
	uint64_t limit_bytes;
	enum recall_reserve reserve;
};

/*
 * recall_new: starts the thread. @ended is called on the event loop when the thread has ended, and
 * may call recall_free(). 0; -errno.
 */
int recall_new(sd_event *event, const struct recall_target *target,
	       const struct recall_terms *terms, void (*ended)(struct recall *r, void *userdata),
	       void *userdata, struct recall **ret);

/* recall_free: the thread ends at the next few pages; does not wait for it. */
struct recall *recall_free(struct recall *r);
APF_DEFINE_CLEANUP(struct recall *, recall_free);

/*
 * recall_cancel: the thread ends soon, and @ended is called. @why: a string constant, for people;
 * only the first call counts.
 */
void recall_cancel(struct recall *r, const char *why);

/* recall_set_terms: they apply from the next window on. */
void recall_set_terms(struct recall *r, const struct recall_terms *terms);

void recall_read(struct recall *r, struct recall_progress *ret);

#endif /* APFD_RECALL_H */
