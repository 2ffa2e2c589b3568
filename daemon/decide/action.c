/* SPDX-License-Identifier: GPL-2.0 */
#include "action.h"

#include <errno.h>
#include <sys/pidfd.h>

#include "proc.h"

/* QEMU holds one descriptor; another VMM may hold several duplicates. */
#define KVM_VMS_MAX 8

int action_watch(struct apfd_genl *g, const char *proc_root, pid_t pid, int pidfd, int vm_fd,
		 struct genl_vm *ret, char *text)
{
	int fds[KVM_VMS_MAX], n, r = -ENODEV;

	text[0] = '\0';
	n = proc_find_kvm_vms(proc_root, pid, fds, ELEMENTSOF(fds));
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		/* Our duplicate is closed again below: the VM must be able to end. */
		_cleanup_close_ int fd = -1;

		if (vm_fd >= 0 && fds[i] != vm_fd)
			continue;
		fd = pidfd_getfd(pidfd, fds[i], 0);
		if (fd < 0) {
			/* The process has closed it since the scan. */
			r = errno == EBADF ? -ENODEV : -errno;
			continue;
		}
		r = apfd_genl_vm_add(g, fd, ret, text);
		if (r >= 0)
			return 0;
	}
	return r;
}
