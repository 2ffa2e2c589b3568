/* SPDX-License-Identifier: GPL-2.0 */
/* The only file through which the daemon changes the host. */
#ifndef APFD_ACTION_H
#define APFD_ACTION_H

#include "genl.h"

/*
 * action_watch: hands the KVM VM of process @pid to the module, which leaves the
 * gates of one it already knows as they are.
 * @pidfd: of @pid, so that a process that took over its number is not meant.
 * @text: GENL_TEXT_MAX bytes, the module's words on failure.
 * 0; -ENODEV if the process holds no KVM VM; -ESRCH if it is gone; -EACCES or
 * -EPERM if it may not be looked into; else as apfd_genl_vm_add().
 */
int action_watch(struct apfd_genl *g, const char *proc_root, pid_t pid, int pidfd,
		 struct genl_vm *ret, char *text);

/*
 * action_set_state: changes the gates of @vm_id: of the vCPUs in @indices, or of
 * the VM as a whole if there are none. As apfd_genl_vcpu_set().
 */
int action_set_state(struct apfd_genl *g, uint32_t vm_id, enum apf_state state,
		     const uint32_t *indices, size_t n_indices, const char *reason, char *text);

#endif /* APFD_ACTION_H */
