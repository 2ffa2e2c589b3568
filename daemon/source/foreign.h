/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMs that libvirt does not know: processes that hold the descriptor of a KVM VM.
 *
 * The whole of /proc is scanned every few seconds, in slices, so that the event loop
 * is not blocked. The pidfd of a process is opened before its descriptors are checked.
 * Therefore the result is about that process, not about a later one with the same PID. A thread
 * reads the identity of the VM; if the process does not let itself be read, the VM is reported
 * without it after some seconds.
 */
#ifndef APFD_FOREIGN_H
#define APFD_FOREIGN_H

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "identity.h"
#include "util.h"
#include "uuid.h"

struct foreign;

/**
 * struct foreign_process - a KVM VM of a process that was found
 * @pidfd: the caller of ops->found closes it unless ops->found takes it
 * @vm_fd: the descriptor of the KVM VM in the process; -1 if the process has only one KVM VM
 * @uuid: made of @pid and the start time of the process, and of @vm_fd
 * @name: "pid-PROGRAM-PID", for a second KVM VM "pid-PROGRAM-PID.FD"
 * @identity: empty while it is not known, and for a second KVM VM of a process
 */
struct foreign_process {
	pid_t pid;
	int pidfd;
	int vm_fd;
	char uuid[UUID_LEN + 1];
	char *name;
	struct identity identity;
};

/**
 * struct foreign_ops
 * @known: returns true if the KVM VM @vm_fd of @pid is known already and must be skipped; @first:
 *	no other KVM VM of the process has a lower descriptor
 * @found: called for a KVM VM that is not known; @process belongs to the caller. To take the
 *	pidfd, the callee sets process->pidfd to -1. Called again for the same KVM VM if its
 *	identity was not known at first, because its process did not let itself be read
 */
struct foreign_ops {
	bool (*known)(pid_t pid, int vm_fd, bool first, void *userdata);
	void (*found)(struct foreign_process *process, void *userdata);
};

/**
 * struct foreign_env - where to look
 * @roots: see identity.h
 * @sys_root: usually /sys
 * @pid_dir: where libvirt names its own processes
 */
struct foreign_env {
	struct identity_roots roots;
	const char *sys_root;
	const char *pid_dir;
};

enum foreign_search {
	FOREIGN_OFF,
	FOREIGN_ON,
	FOREIGN_IF_KVM_USED, /* scan only while the KVM modules of the kernel are in use */
};

/* foreign_new: does not start a scan. @env is copied. */
int foreign_new(sd_event *event, const struct foreign_env *env, const struct foreign_ops *ops,
		void *userdata, struct foreign **ret);

struct foreign *foreign_free(struct foreign *f);
APF_DEFINE_CLEANUP(struct foreign *, foreign_free);

/* foreign_search: starts the first scan at once, or stops scanning. 0 or -errno. */
int foreign_search(struct foreign *f, enum foreign_search search);

/* foreign_rescan: scans again soon, because ops->known now has another answer. */
void foreign_rescan(struct foreign *f);

#endif /* APFD_FOREIGN_H */
