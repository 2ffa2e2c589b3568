/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command line of a process, and the identity of its VM. The kernel reads the command line
 * from the memory of that process: the reader may wait for a swap-in, or for a lock that a stuck
 * process holds. Therefore a thread reads it, and the event loop does not wait.
 */
#ifndef APFD_CMDLINE_H
#define APFD_CMDLINE_H

#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "identity.h"
#include "util.h"

struct cmdline;

/* cmdline_fn: @args as from cmdline_load(), NULL if reading failed; the callee frees @args. */
typedef void (*cmdline_fn)(char *args, void *userdata);

/*
 * cmdline_load: the arguments, each with a final NUL, then one more NUL. NULL if there is
 * no such process or no memory. May block.
 */
char *cmdline_load(const char *proc_root, pid_t pid);

/*
 * cmdline_new: the event loop calls @fn once, unless cmdline_free() is called before;
 * @fn may call cmdline_free(). -EAGAIN: too many threads are blocked in a reading.
 */
int cmdline_new(sd_event *event, const char *proc_root, pid_t pid, cmdline_fn fn, void *userdata,
		struct cmdline **ret);

/* cmdline_identity_fn: the identity, also if the command line could not be read. */
typedef void (*cmdline_identity_fn)(const struct identity *identity, void *userdata);

/* cmdline_identify: as cmdline_new(), but calls @fn with the result of identity_load(). */
int cmdline_identify(sd_event *event, const struct identity_roots *roots, pid_t pid,
		     cmdline_identity_fn fn, void *userdata, struct cmdline **ret);

/* cmdline_free: never waits; a blocked thread ends when the process that it reads ends. */
struct cmdline *cmdline_free(struct cmdline *c);
APF_DEFINE_CLEANUP(struct cmdline *, cmdline_free);

#endif /* APFD_CMDLINE_H */
