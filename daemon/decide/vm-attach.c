/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-attach.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>

#include "action.h"
#include "context.h"
#include "proc.h"
#include "vm-log.h"
#include "vm-memory.h"

/*
 * When libvirt reports a domain as started, its process has its KVM VM. The quick retries are
 * for an apfd that starts while a domain is starting. The slow retries succeed when somebody
 * raises a limit of the module, or when another VM ends.
 */
#define RETRY_MIN_USEC	(100 * USEC_PER_MSEC)
#define RETRY_SLOW_USEC (60 * USEC_PER_SEC)
#define RETRIES_QUICK	8

static int on_exit_of_process(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct vm *vm = userdata;

	vm_unwatch(vm, "its process has ended");
	/* For a VM that libvirt does not know, there is no other notification of its end. */
	if (vm->foreign)
		vm->context->ops->process_ended(vm, vm->context->userdata);
	else
		vm_clear_process(vm);
	return 0;
}

/* Takes over @pidfd on success. */
static int set_process(struct vm *vm, pid_t pid, int pidfd)
{
	const struct context *c = vm->context;
	int r;

	r = sd_event_add_io(c->event, &vm->exit_source, pidfd, EPOLLIN, on_exit_of_process, vm);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(vm->exit_source, "vm-process");
	vm->pidfd = pidfd;
	vm->view.pid = (uint32_t)pid;
	/* This fails for a process that is about to end; then the path stays unknown. */
	(void)proc_executable(c->proc_root, pid, &vm->executable);
	vm->executable_changed = true;
	vm->memory.active = true;
	vm_read_memory(vm, clock_usec(CLOCK_MONOTONIC));
	return 0;
}

/* 0; -ENOENT: no PID file; -ESRCH: no such process; other errors of reading the PID file. */
static int find_process(struct vm *vm)
{
	const struct context *c = vm->context;
	_cleanup_close_ int pidfd = -1;
	pid_t pid, again;
	int r;

	r = proc_read_pid_file(c->pid_dir, vm->name, &pid);
	if (r < 0)
		return r;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return -errno;
	/* If the PID file is unchanged, the PID was not reused before pidfd_open(). */
	r = proc_read_pid_file(c->pid_dir, vm->name, &again);
	if (r < 0)
		return r;
	if (again != pid)
		return -ESRCH;

	r = set_process(vm, pid, pidfd);
	if (r < 0)
		return r;
	TAKE_FD(pidfd);
	c->ops->process_found(vm, pid, c->userdata);
	return 0;
}

int vm_new_foreign(struct context *c, struct foreign_process *p, const struct vm_shown *shown,
		   struct vm **ret)
{
	_cleanup_(vm_freep) struct vm *vm = NULL;
	struct virt_domain d = { .name = (char *)shown->name, .id = -1 };
	int r;

	memcpy(d.uuid, shown->uuid, sizeof(d.uuid));
	r = vm_new(c, &d, false, &vm);
	if (r < 0)
		return r;
	vm->foreign = true;
	vm->shadowed = shown->shadowed;
	vm->vm_fd = p->vm_fd;
	vm->identity = malloc(sizeof(*vm->identity));
	if (!vm->identity)
		return -ENOMEM;
	*vm->identity = p->identity;
	/* Without libvirt there is no metadata to read. */
	vm->settings.known = true;
	r = set_process(vm, p->pid, p->pidfd);
	if (r < 0)
		return r;
	p->pidfd = -1;
	*ret = TAKE_PTR(vm);
	return 0;
}

static int watch(struct vm *vm, char *text)
{
	struct context *c = vm->context;
	const struct vm *other;
	struct genl_vm got;
	int r;

	r = action_watch(c->genl, c->proc_root, (pid_t)vm->view.pid, vm->pidfd, vm->vm_fd, &got,
			 text);
	if (r < 0)
		return r;
	other = registry_find_by_module_id(&c->vms, got.id, NULL);
	if (other && other != vm) {
		snprintf(text, GENL_TEXT_MAX,
			 vm->foreign ? "its KVM VM is the one of VM %s"
				     : "its PID file names the process of VM %s",
			 other->name);
		return -EINVAL;
	}
	vm->module_id = got.id;
	vm->warned = false;
	vm->gate = got.state;
	vm->leased = got.leased;
	vm->view.watched = 1;
	vm->view.since_usec =
		clock_usec(CLOCK_REALTIME) -
		MIN_OF(got.age_msec, clock_usec(CLOCK_REALTIME) / USEC_PER_MSEC) * USEC_PER_MSEC;
	vm_update_state(vm);
	vm_update_guest(vm);
	log_vm(LOG_INFO, 0, vm, "VM %s (PID %u) is watched, gate %s", vm->name, vm->view.pid,
	       vm_state_to_string((enum vm_state)vm->gate));

	c->ops->watched(vm, c->userdata);
	return 0;
}

/* 0 if there is nothing more to try for now; else -errno, and @text is the reason or "". */
static int try_attach(struct vm *vm, char *text)
{
	int r;

	text[0] = '\0';
	if (vm->module_id)
		return 0;
	if (vm->pidfd < 0) {
		if (!vm->has_pid_file) {
			vm_unwatch(vm, "its libvirt driver does not use KVM");
			return 0;
		}
		r = find_process(vm);
		if (r < 0) {
			snprintf(text, GENL_TEXT_MAX, "its process was not found");
			return r;
		}
	}
	if (!apfd_genl_info(vm->context->genl)) {
		vm_unwatch(vm, apfd_genl_is_forbidden(vm->context->genl)
				       ? "apfd may not query apf_host (CAP_NET_ADMIN is missing)"
				       : "apf_host is not loaded");
		return 0;
	}
	r = watch(vm, text);
	/* The KVM VM was destroyed while its gates were being set. */
	if (r == 0 && !vm->module_id)
		r = -ENODEV;
	if (r == -ENODEV && !text[0])
		snprintf(text, GENL_TEXT_MAX, "its process holds no KVM VM");
	return r;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata);

static int retry_later(struct vm *vm)
{
	uint64_t wait_usec = RETRY_SLOW_USEC;
	int r;

	if (vm->retries < RETRIES_QUICK)
		wait_usec = RETRY_MIN_USEC << vm->retries++;
	if (!vm->retry_source) {
		r = sd_event_add_time_relative(vm->context->event, &vm->retry_source,
					       CLOCK_MONOTONIC, wait_usec, 0, on_retry, vm);
		if (r >= 0)
			(void)sd_event_source_set_description(vm->retry_source, "vm-retry");
		return r;
	}
	r = sd_event_source_set_time_relative(vm->retry_source, wait_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(vm->retry_source, SD_EVENT_ONESHOT);
}

/* Stores why an attempt to watch the VM has failed. */
static void explain(struct vm *vm, int r, const char *text)
{
	char labels[PROC_REFUSAL_MAX] = "";

	/* With a text, the module has refused it. */
	vm->access_refused = (r == -EACCES || r == -EPERM) && !text[0];
	if (vm->access_refused)
		proc_refusal_text(vm->context->proc_root, (pid_t)vm->view.pid, labels);
	if (r == -ENODEV)
		snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "%s", text);
	else if (r == -ETIMEDOUT || r == -ETIME)
		snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "apf_host does not answer");
	else
		snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "%s (%s)%s",
			 text[0] ? text : "apfd may not access its process", strerror(-r), labels);
}

void vm_attach_now(struct vm *vm)
{
	char text[GENL_TEXT_MAX];
	int r;

	r = try_attach(vm, text);
	if (r >= 0) {
		vm->retries = 0;
		if (vm->retry_source)
			(void)sd_event_source_set_enabled(vm->retry_source, SD_EVENT_OFF);
		return;
	}

	explain(vm, r, text);
	/* Logged once, after the quick retries. */
	if (vm->retries >= RETRIES_QUICK && !vm->warned) {
		vm->warned = true;
		log_vm(LOG_NOTICE, 0, vm, "VM %s is not watched: %s", vm->name, vm->why_unwatched);
	} else {
		log_vm(LOG_DEBUG, 0, vm, "VM %s is not watched: %s", vm->name, vm->why_unwatched);
	}
	r = retry_later(vm);
	if (r < 0)
		log_vm(LOG_ERR, r, vm, "VM %s will not be tried again", vm->name);
}

void vm_watch_lost(struct vm *vm)
{
	int r;

	vm_unwatch(vm, "its KVM VM was destroyed");
	vm->retries = 0;
	r = retry_later(vm);
	if (r < 0)
		log_vm(LOG_ERR, r, vm, "VM %s will not be tried again", vm->name);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
	vm_work(userdata, VM_WORK_ATTACH);
	return 0;
}

void vm_attach(struct vm *vm)
{
	vm->retries = 0;
	vm_work(vm, VM_WORK_ATTACH);
}

void vm_attach_new(struct vm *vm)
{
	vm->retries = 0;
	vm_work(vm, VM_WORK_ATTACH | VM_WORK_ANNOUNCE);
}
