/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small text files in a folder of apfd, written by a thread: fsync(2) can take seconds on a host
 * that swaps. A file has its old or its new content, also after a crash: the thread writes a
 * temporary file, synchronizes it, and renames it.
 */
#ifndef APFD_STORE_H
#define APFD_STORE_H

#include <stddef.h>
#include <systemd/sd-event.h>

#include "util.h"

enum { STORE_FILE_MAX = 128 * 1024, STORE_FILES_MAX = 4096 };

/* Files of the store have this suffix; other files in the folder are left alone. */
#define STORE_SUFFIX ".vm"

struct store;

/*
 * store_done_fn: the result of a store_write(): @error is 0 or -errno. Called once for each
 * request on the thread of the event loop, at the latest from store_free() unless the disk still
 * hangs then.
 */
typedef void (*store_done_fn)(const char *name, int error, void *cookie, void *userdata);

/* store_read_fn: a file; @text is NULL if it could not be read, and @error is the reason. */
typedef void (*store_read_fn)(const char *name, char *text, int error, void *userdata);

/* store_new: reads and writes nothing yet. 0 or -errno. */
int store_new(sd_event *event, const char *dir, store_done_fn fn, void *userdata,
	      struct store **ret);

/*
 * store_read_all: calls @fn for each file, and removes temporary files that a crash has left.
 * Blocks. 0, also if there is no such folder; -E2BIG: more than STORE_FILES_MAX files, of which
 * the others were not read; errors of opendir(3).
 */
int store_read_all(const struct store *s, store_read_fn fn, void *userdata);

/*
 * store_write: replaces the file @name by @text; NULL removes the file. Requests are executed in
 * their order. 0; -ENOBUFS: too many are not finished; -ENOMEM, -EAGAIN: no thread.
 */
int store_write(struct store *s, const char *name, const char *text, void *cookie);

/* store_is_busy: some requests are not finished. */
bool store_is_busy(const struct store *s);

/* store_free: finishes the requests, but waits a few seconds at most. */
struct store *store_free(struct store *s);
APF_DEFINE_CLEANUP(struct store *, store_free);

#endif /* APFD_STORE_H */
