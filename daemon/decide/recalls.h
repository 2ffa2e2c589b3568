/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The recalls under way: one for each VM, a few on the host. Slows them down while other VMs
 * suffer.
 */
#ifndef APFD_RECALLS_H
#define APFD_RECALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "names.h"
#include "recall.h"
#include "recall-plan.h"
#include "uuid.h"

struct context;
struct vm;

enum recall_origin {
	RECALL_ORIGIN_REQUEST,
	RECALL_ORIGIN_AUTOMATIC, /* WhenCalm= */
};

/* recall_origin_to_string: the name on the bus. */
const char *recall_origin_to_string(enum recall_origin origin);

/**
 * struct recall_job - a recall that was started
 * @path: D-Bus object path
 * @uuid, @vm_path, @vm_name: of the VM, which may have ended
 * @rate_bytes: upper limit a second, or RECALL_UNLIMITED
 * @announced: clients of the bus know the object
 * @cancelled: it ends soon
 * @slowed: other VMs suffer
 * @progress: as last read
 * @bytes_per_sec: brought back since the reading before that, per second
 * @read_usec: time of the last reading, CLOCK_MONOTONIC
 */
struct recall_job {
	TAILQ_ENTRY(recall_job) list;
	struct context *context;
	char path[sizeof(BUS_PATH_RECALL) + 12];
	char uuid[UUID_LEN + 1];
	char vm_path[UUID_PATH_LEN + 1];
	char *vm_name;
	enum recall_origin origin;
	uint64_t rate_bytes;
	bool announced;
	bool cancelled;
	struct recall *recall;
	struct recall_brake brake;
	bool slowed;
	struct recall_progress progress;
	uint64_t bytes_per_sec;
	uint64_t read_usec;
};

/**
 * struct recalls
 * @last_id: number in the path of the last job
 * @timer: while there are jobs
 */
struct recalls {
	TAILQ_HEAD(, recall_job) jobs;
	size_t n;
	uint32_t last_id;
	sd_event_source *timer;
};

void recalls_init(struct recalls *r);
/* recalls_done: ends all recalls, without calling recall_ended. */
void recalls_done(struct recalls *r);

/*
 * recalls_start: brings the memory of @vm back. @rate_bytes: 0 for the configured rate of @origin.
 * A request while an automatic recall of @vm is under way takes that one over: its rate and its
 * reserve become those of the request. 0; -EBUSY: a recall of this VM is under way; -EAGAIN:
 * RECALLS_MAX are under way; -ESRCH: the process of the VM is not known; -ENOSPC: there is no room,
 * and @text, of RECALL_TEXT_MAX bytes, has the figures; other errors: it cannot be started.
 */
int recalls_start(struct vm *vm, enum recall_origin origin, uint64_t rate_bytes,
		  struct recall_job **ret, char *text);

/* recalls_cancel: the recall ends soon. @why: a string constant, for people. */
void recalls_cancel(struct recall_job *job, const char *why);

/* recalls_of_vm: the recall of @vm that is under way, or NULL. recalls_automatic: of any VM. */
struct recall_job *recalls_of_vm(const struct recalls *r, const struct vm *vm);
struct recall_job *recalls_automatic(const struct recalls *r);

/* vm_waiting: share of time that @vm spends waiting for pages, 0 if it is not known. */
double vm_waiting(const struct vm *vm);

/* recalls_find: by object path; NULL if there is none. */
struct recall_job *recalls_find(struct recalls *r, const char *path);

#endif /* APFD_RECALLS_H */
