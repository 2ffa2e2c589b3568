/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that decisions about VMs need: the sources, the current configuration, the VMs.
 * The manager owns the context and fills it in. The code in this folder does not know the
 * manager; it notifies the manager through context_ops.
 */
#ifndef APFD_CONTEXT_H
#define APFD_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "cgroup-users.h"
#include "host-state.h"
#include "policy.h"
#include "recalls.h"
#include "registry.h"
#include "swapdev.h"
#include "vm-work.h"

struct apfd_genl;
struct conf;
struct decision;
struct gate_change;
struct stored;
struct virt;
struct vm;

/**
 * struct context_ops - callbacks to the owner of a context, all on the thread of the event loop
 * @gate_changing: apfd is about to request @change from the module
 * @decided: the policy has made @decision
 * @watched: the module now watches @vm; the vCPUs of @vm have not been read yet
 * @waited: a task of @vm's control group waited for memory
 * @process_found: @pid is the process of @vm, a VM of libvirt
 * @process_ended: the process of @vm, which libvirt does not know, has ended; the owner may
 *	free @vm
 * @watch_lost: the module does not know @vm any more
 * @attach: @vm is to be found and watched, see vm_attach_now()
 * @apply: the policy is to decide for @vm again
 * @give_up: the VM goes on without apfd; the owner frees @vm, unless it tries again
 * @restore: apfd ends, and the gates of @vm are to be the kernel's again
 * @announce: the VM is to be announced on the bus
 * @work_done: there is no more work, see vm-work.h
 * @recall_started: @job has begun; or a person has taken over an automatic one, see recalls_start()
 * @recall_progressed: a second has passed since @job began, or since the last call
 * @recall_ended: @job has ended; it is freed after this call
 */
struct context_ops {
	void (*gate_changing)(struct vm *vm, const struct gate_change *change, void *userdata);
	void (*decided)(struct vm *vm, const struct decision *decision, void *userdata);
	void (*watched)(struct vm *vm, void *userdata);
	void (*waited)(struct vm *vm, void *userdata);
	void (*process_found)(struct vm *vm, pid_t pid, void *userdata);
	void (*process_ended)(struct vm *vm, void *userdata);
	void (*watch_lost)(struct vm *vm, void *userdata);
	void (*attach)(struct vm *vm, void *userdata);
	void (*apply)(struct vm *vm, void *userdata);
	void (*give_up)(struct vm *vm, void *userdata);
	void (*restore)(struct vm *vm, void *userdata);
	void (*announce)(struct vm *vm, void *userdata);
	void (*work_done)(void *userdata);
	void (*recall_started)(struct recall_job *job, void *userdata);
	void (*recall_progressed)(struct recall_job *job, void *userdata);
	void (*recall_ended)(struct recall_job *job, void *userdata);
};

/**
 * struct context
 * @vms: all VMs known
 * @cgroup_users: how many of them use a control group
 * @stored: settings of VMs that libvirt does not know
 * @works: those with work
 * @recalls: the recalls under way
 * @swap: the host's swap devices, from the last reading
 * @host: the host's memory
 * @policy: thresholds and times
 * @dry_run: decisions are announced but not carried out
 * @conf: the current configuration; never NULL in the daemon
 * @conf_error: the errors of the last reload, one a line, "" if there were none
 * @uri: of libvirt
 * @pid_dir: where libvirt writes NAME.pid
 * @proc_root: usually /proc
 * @run_root: usually /run
 * @pods_dir: usually /var/log/pods, where kubelet makes a folder for each pod
 * @sys_root: usually /sys
 * @host_root: directory with the host's lib/modules, boot, var/lib and var/log, usually ""
 * @cgroup_root: usually /sys/fs/cgroup
 */
struct context {
	sd_event *event;
	struct apfd_genl *genl;
	struct virt *virt;
	struct stored *stored;
	struct registry vms;
	struct vm_works works;
	struct recalls recalls;
	struct cgroup_users cgroup_users;
	struct swapdevs swap;
	struct host_state host;
	struct policy_params policy;
	bool dry_run;
	struct conf *conf;
	char *conf_error;
	char *uri;
	char *pid_dir;
	char *proc_root;
	char *run_root;
	char *pods_dir;
	char *sys_root;
	char *host_root;
	char *cgroup_root;
	const struct context_ops *ops;
	void *userdata;
};

#endif /* APFD_CONTEXT_H */
