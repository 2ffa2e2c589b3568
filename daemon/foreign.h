/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMs that libvirt does not know: processes that hold the descriptor of a KVM VM.
 *
 * The whole of /proc is looked through every few seconds, a slice at a time so
 * that the loop is not held up. A process is told of with a pidfd that was there
 * before its descriptors were looked at: what was found is of that process, and
 * not of one that got its number later.
 */
#ifndef APFD_FOREIGN_H
#define APFD_FOREIGN_H

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "name.h"
#include "util.h"

struct foreign;

/**
 * struct foreign_process - one that was found
 * @pidfd: of it; belongs to the caller of ops->found unless taken
 * @uuid: made of @pid and the time the process was started
 * @name: "pid-PROGRAM-PID"
 */
struct foreign_process {
	pid_t pid;
	int pidfd;
	char uuid[NAME_UUID_LEN + 1];
	char *name;
};

/**
 * struct foreign_ops
 * @known: nothing is to be done about @pid
 * @found: somebody else; @process belongs to the caller, but for a pidfd that
 *	is taken and set to -1
 */
struct foreign_ops {
	bool (*known)(pid_t pid, void *userdata);
	void (*found)(struct foreign_process *process, void *userdata);
};

/* foreign_new: looks nowhere yet. @pid_dir: processes named there are libvirt's. */
int foreign_new(sd_event *event, const char *proc_root, const char *pid_dir,
		const struct foreign_ops *ops, void *userdata, struct foreign **ret);

struct foreign *foreign_free(struct foreign *f);
APF_DEFINE_CLEANUP(struct foreign *, foreign_free);

/* foreign_enable: begins at once, or ends. 0 or -errno. */
int foreign_enable(struct foreign *f, bool enable);

#endif /* APFD_FOREIGN_H */
