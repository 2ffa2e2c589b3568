/* SPDX-License-Identifier: GPL-2.0 */
/*
 * apfd with a module made by the test: fakemodule.py, whose netlink port is in $APF_PEER. Linked
 * with -Wl,--wrap=manager_new,--wrap=action_watch; all else is the daemon, with its main(). What
 * needs KVM, the copying of a VM's descriptor, is left out: the module gets the PID instead.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>

#include "action.h"
#include "manager.h"

int __real_manager_new(sd_event *event, const struct manager_options *options,
		       struct manager **ret);
int __wrap_manager_new(sd_event *event, const struct manager_options *options,
		       struct manager **ret);
/* As the function it replaces, or the compiler complains. */
__typeof__(action_watch) __wrap_action_watch;

int __wrap_manager_new(sd_event *event, const struct manager_options *options,
		       struct manager **ret)
{
	struct manager_options with_peer = *options;
	struct apfd_genl_peer peer = { .protocol = NETLINK_USERSOCK };
	const char *port = getenv("APF_PEER");

	if (!port)
		return -EINVAL;
	peer.port = (uint32_t)strtoul(port, NULL, 10);
	with_peer.netlink = &peer;
	return __real_manager_new(event, &with_peer, ret);
}

int __wrap_action_watch(struct apfd_genl *g, const char *proc_root, pid_t pid, int pidfd, int vm_fd,
			struct genl_vm *ret, char *text)
{
	return apfd_genl_vm_add(g, pid, ret, text);
}
