/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command line of a process. It is in that process's own memory: to read it may
 * take a swap-in, or wait for a lock of a process that is stuck. So a thread does
 * that, and the loop goes on.
 */
#ifndef APFD_CMDLINE_H
#define APFD_CMDLINE_H

#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "util.h"

struct cmdline;

/* cmdline_fn: @args are NULL if they cannot be had, and the callee's to free; see cmdline_load().
 */
typedef void (*cmdline_fn)(char *args, void *userdata);

/* cmdline_load: arguments, each ends with NUL, and one more NUL. NULL: no such process, no memory.
 * Blocks. */
char *cmdline_load(const char *proc_root, pid_t pid);

/*
 * cmdline_new: @fn is called once, from the loop, unless cmdline_free() comes first;
 * it may call that. -EAGAIN: too many processes do not let themselves be read.
 */
int cmdline_new(sd_event *event, const char *proc_root, pid_t pid, cmdline_fn fn, void *userdata,
		struct cmdline **ret);

/* cmdline_free: never waits; a thread that hangs ends when its process does. */
struct cmdline *cmdline_free(struct cmdline *c);
APF_DEFINE_CLEANUP(struct cmdline *, cmdline_free);

#endif /* APFD_CMDLINE_H */
