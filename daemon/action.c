/* SPDX-License-Identifier: GPL-2.0 */
#include "action.h"

#include <errno.h>
#include <sys/pidfd.h>

#include "proc.h"

/* QEMU holds one; room for a VMM that holds copies. */
#define KVM_VMS_MAX 8

int action_watch(struct apfd_genl *g, const char *proc_root, pid_t pid, int pidfd,
		 struct genl_vm *ret, char *text)
{
	int fds[KVM_VMS_MAX], n, r = -ENODEV;

	text[0] = '\0';
	n = proc_find_kvm_vms(proc_root, pid, fds, ELEMENTSOF(fds));
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		/* A copy in our own table; the module keeps no reference, so neither do we. */
		_cleanup_close_ int fd = pidfd_getfd(pidfd, fds[i], 0);

		if (fd < 0) {
			/* Closed since we looked. */
			r = errno == EBADF ? -ENODEV : -errno;
			continue;
		}
		r = apfd_genl_vm_add(g, fd, ret, text);
		if (r >= 0)
			return 0;
	}
	return r;
}

int action_set_state(struct apfd_genl *g, uint32_t vm_id, enum apf_state state,
		     const uint32_t *indices, size_t n_indices, const char *reason, char *text)
{
	if (n_indices == 0)
		return apfd_genl_vm_set(g, vm_id, state, reason, text);
	return apfd_genl_vcpu_set(g, vm_id, state, indices, n_indices, reason, text);
}
