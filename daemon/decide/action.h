/* SPDX-License-Identifier: GPL-2.0 */
/* Asks the module to watch the KVM VM of a process. */
#ifndef APFD_ACTION_H
#define APFD_ACTION_H

#include "genl.h"

/*
 * action_watch: asks the module to watch the KVM VM of process @pid. If the module
 * watches the VM already, the gates stay as they are.
 * @pidfd: of @pid; protects against a reuse of the PID.
 * @vm_fd: the descriptor of the KVM VM in the process; -1: the first one that can be watched
 * @text: GENL_TEXT_MAX bytes, receives the module's error text on failure.
 * 0; -ENODEV if the process holds no KVM VM; -ESRCH if the process has ended; -EACCES
 * or -EPERM if apfd may not access the process; else as apfd_genl_vm_add().
 */
int action_watch(struct apfd_genl *g, const char *proc_root, pid_t pid, int pidfd, int vm_fd,
		 struct genl_vm *ret, char *text);

#endif /* APFD_ACTION_H */
