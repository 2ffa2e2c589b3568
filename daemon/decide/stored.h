/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Settings that last for VMs that libvirt does not know, each in a file of its own in apfd's
 * state directory. They belong to a scope and a UUID, or to a scope and a name if the VMM has no
 * UUID; see identity.h. Settings of a VM that was not seen for a year are removed.
 */
#ifndef APFD_STORED_H
#define APFD_STORED_H

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "identity.h"
#include "settings.h"

struct stored;

/**
 * struct stored_vm - a file
 * @error: why the file cannot be used, or was not written; "" if it is right
 * @unread: the file could not be read, so only @file and @error are set
 * @forgotten: the file is being removed: no VM gets its settings
 * @uuid: "" if the VMM has none
 * @used_usec: when the VM was seen last, to a day, CLOCK_REALTIME
 */
struct stored_vm {
	TAILQ_ENTRY(stored_vm) list;
	char *file;
	char error[256];
	bool unread;
	bool forgotten;
	char scope[IDENTITY_SCOPE_MAX + 1];
	char uuid[UUID_LEN + 1];
	char name[IDENTITY_NAME_MAX + 1];
	char id[IDENTITY_NAME_MAX + 1];
	uint64_t used_usec;
	struct settings settings;
};

TAILQ_HEAD(stored_list, stored_vm);

/**
 * struct stored_ops
 * @written: the result of a stored_put(): @error is 0 or -errno, @text describes it. Called at
 *	the latest from stored_free()
 * @daily: the owner calls stored_seen() for each VM that runs; old settings are removed then
 */
struct stored_ops {
	void (*written)(const char *uuid, int error, const char *text, void *cookie,
			void *userdata);
	void (*daily)(void *userdata);
};

/* stored_new: does not read the files yet. */
int stored_new(sd_event *event, const char *dir, const struct stored_ops *ops, void *userdata,
	       struct stored **ret);
struct stored *stored_free(struct stored *s);
APF_DEFINE_CLEANUP(struct stored *, stored_free);

/*
 * stored_load: reads all files, and logs each that is wrong. Blocks. Can be called again; if some
 * write is not finished then, the files are read when it is. 0 or -errno.
 */
int stored_load(struct stored *s);

/*
 * stored_removed_fn: the result of a stored_forget(), as @written above. After a failure the
 * settings are as before.
 */
typedef void (*stored_removed_fn)(int error, const char *text, void *userdata);

/* stored_find_file: by the name of the file; NULL if there is none. */
struct stored_vm *stored_find_file(const struct stored *s, const char *file);

/* stored_find: NULL if there are no settings. */
struct stored_vm *stored_find(const struct stored *s, const struct identity *i);

/* stored_matches: the settings in @vm are those of the VM with identity @i. */
bool stored_matches(const struct stored_vm *vm, const struct identity *i);

/* stored_seen: the VM runs, so its settings are not old. */
void stored_seen(struct stored *s, const struct identity *i);

/*
 * stored_put: stores @settings of the VM that is shown under @uuid; if they are empty, removes
 * the file. ops->written follows, with @cookie. 0; -EOPNOTSUPP: identity_lasts() is false;
 * -ENOSPC: too many files; errors of store_write().
 */
int stored_put(struct stored *s, const struct identity *i, const struct settings *settings,
	       const char *uuid, void *cookie);

/* stored_forget: removes the file of @vm; @fn follows. 0; errors of store_write(). */
int stored_forget(struct stored *s, struct stored_vm *vm, stored_removed_fn fn, void *userdata);

/* stored_expire: removes settings of VMs that were not seen for a year. */
void stored_expire(struct stored *s, uint64_t now_usec);

/* stored_all: all files, sorted as they were read or written. */
const struct stored_list *stored_all(const struct stored *s);

/* The content of a file. Pure functions. */

/* stored_to_text: the caller frees *ret. 0 or -ENOMEM. */
int stored_to_text(const struct stored_vm *vm, char **ret);

/*
 * stored_from_text: fills in *vm, except @file. 0; -EBADMSG: vm->error says what is wrong;
 * -ENOMEM.
 */
int stored_from_text(const char *text, struct stored_vm *vm);

#endif /* APFD_STORED_H */
