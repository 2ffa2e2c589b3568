/* SPDX-License-Identifier: GPL-2.0 */
#include "vms.h"

#include <errno.h>

#include "conf.h"
#include "connection.h"
#include "doctor.h"
#include "governor.h"
#include "log.h"
#include "manager-bus.h"
#include "manager.h"
#include "module.h"
#include "tick.h"
#include "vm-attach.h"
#include "vm-bus.h"
#include "vm-change.h"
#include "vm-identity.h"
#include "vm-log.h"
#include "vm-settings.h"
#include "vm.h"

/*
 * Each domain that is taken in costs requests to the module. One turn of the event loop takes in
 * at least so many, and more as long as it has taken less than so much time.
 */
#define TAKEN_MIN      8
#define TAKEN_FOR_USEC (20 * USEC_PER_MSEC)

/*
 * A timer, although the time is now: a deferred source, which is always pending, would come before
 * all others of its priority until the last domain is in.
 */
static int take_in_next_turn(struct manager *m)
{
	int r;

	if (!m->waiting_source)
		return 0;
	r = sd_event_source_set_time_relative(m->waiting_source, 0);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(m->waiting_source, SD_EVENT_ONESHOT);
}

void vms_remove(struct manager *m, struct vm *vm)
{
	log_debug("VM %s is removed", vm->name);
	module_forget(m, vm);
	vm_bus_removed(m->server, vm);
	if (vm_identity_released(&m->context.vms, vm))
		foreign_rescan(m->foreign);
	registry_remove(&m->context.vms, vm);
	vm_free(vm);
	if (m->waiting.n > 0)
		(void)take_in_next_turn(m);
	/* Not at once: a host with a VM more and a VM less all day would fill the log. */
	if (m->waiting.n == 0 && m->context.vms.n <= REGISTRY_VMS_MAX - REGISTRY_VMS_MAX / 16)
		m->vms_max_logged = false;
}

void vms_remove_foreign(struct manager *m, pid_t pid)
{
	struct vm *vm;

	REGISTRY_FOREACH(vm, &m->context.vms)
	if (vm->foreign && vm->view.pid == (uint32_t)pid) {
		log_info("VM %s is managed by libvirt", vm->name);
		vms_remove(m, vm);
		return;
	}
}

static bool have_room(struct manager *m)
{
	if (m->context.vms.n < REGISTRY_VMS_MAX)
		return true;
	if (!m->vms_max_logged)
		log_warning("More than %d VMs run: the others are ignored until VMs end",
			    REGISTRY_VMS_MAX);
	m->vms_max_logged = true;
	return false;
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata);

/* @listed: @d is from a listing of all domains, which began with no domain waiting. */
static int wait_for_turn(struct manager *m, const struct virt_domain *d, bool listed)
{
	int r;

	if (!m->waiting_source) {
		r = sd_event_add_time_relative(m->context.event, &m->waiting_source,
					       CLOCK_MONOTONIC, 0, 1, on_turn, m);
		if (r < 0)
			return r;
		(void)sd_event_source_set_description(m->waiting_source, "waiting-domains");
		r = sd_event_source_set_enabled(m->waiting_source, SD_EVENT_OFF);
		if (r < 0)
			return r;
	}
	return listed ? waiting_append(&m->waiting, d) : waiting_update(&m->waiting, d);
}

static int add_vm(struct manager *m, const struct virt_domain *d)
{
	struct vm *vm;
	int r;

	r = vm_new(&m->context, d, m->has_pid_files, &vm);
	if (r < 0)
		return r;
	registry_insert(&m->context.vms, vm);
	if (vm_identity_taken(&m->context.vms, vm))
		foreign_rescan(m->foreign);
	vm_configure(vm);
	if (!d->metadata_known)
		vm_settings_tick(vm);
	else
		vm_apply_metadata(vm, d->metadata);
	vm_attach_new(vm);
	return tick_start(m);
}

static bool can_take(const struct manager *m)
{
	return m->waiting.n > 0 && m->context.vms.n < REGISTRY_VMS_MAX;
}

/* Takes in waiting domains for a while; the following turns of the event loop take in the rest. */
static int take_in(struct manager *m)
{
	uint64_t begin_usec = clock_usec(CLOCK_MONOTONIC);
	int r;

	for (int i = 0; can_take(m); i++) {
		struct virt_domain d;

		if (i >= TAKEN_MIN && clock_usec(CLOCK_MONOTONIC) - begin_usec >= TAKEN_FOR_USEC)
			break;
		(void)waiting_take(&m->waiting, &d);
		r = add_vm(m, &d);
		if (r < 0)
			log_errno(LOG_ERR, r, "Cannot add VM %s", d.name);
		free(d.name);
		free(d.metadata);
	}
	if (m->waiting.n > 0)
		(void)have_room(m);
	if (!m->waiting_source)
		return 0;
	r = can_take(m) ? take_in_next_turn(m)
			: sd_event_source_set_enabled(m->waiting_source, SD_EVENT_OFF);
	vms_request_name(m);
	return r;
}

static int on_turn(sd_event_source *s, uint64_t usec, void *userdata)
{
	return take_in(userdata);
}

static void take_in_or_log(struct manager *m)
{
	int r;

	r = take_in(m);
	if (r < 0)
		log_errno(LOG_ERR, r, "Cannot add the VMs that wait");
}

/* The KVM VM with descriptor @vm_fd of process @pid; -1 is the first one of the process. */
static struct vm *find_of_process(struct manager *m, pid_t pid, int vm_fd, bool first)
{
	struct vm *vm;

	REGISTRY_FOREACH(vm, &m->context.vms)
	if (vm->view.pid == (uint32_t)pid &&
	    (!vm->foreign || vm->vm_fd == vm_fd || (first && vm->vm_fd < 0)))
		return vm;
	return NULL;
}

static bool on_foreign_known(pid_t pid, int vm_fd, bool first, void *userdata)
{
	struct vm *vm = find_of_process(userdata, pid, vm_fd, first);

	return vm && !vm->stale;
}

static void on_foreign_found(struct foreign_process *p, void *userdata)
{
	struct manager *m = userdata;
	struct vm_shown shown;
	struct vm *vm;
	int r;

	/* Found before without its identity, or its identity has changed. */
	vm = find_of_process(m, p->pid, p->vm_fd, p->vm_fd < 0);
	if (vm && vm->foreign)
		vms_remove(m, vm);
	else if (vm)
		return;
	vm_identity_choose(&m->context.vms, p, &shown);
	while (shown.evict) {
		log_notice("VM %s has lost its name or UUID to another VM", shown.evict->name);
		vms_remove(m, shown.evict);
		foreign_rescan(m->foreign);
		vm_identity_choose(&m->context.vms, p, &shown);
	}
	if (!have_room(m) || registry_find_by_uuid(&m->context.vms, shown.uuid))
		return;
	r = vm_new_foreign(&m->context, p, &shown, &vm);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot add VM %s", p->name);
		return;
	}
	registry_insert(&m->context.vms, vm);
	log_info("Found VM %s (PID %d), which libvirt does not manage", vm->name, (int)p->pid);
	if (vm->shadowed)
		log_notice(
			"Process %d claims the name or UUID of another VM, so its VM is named %s",
			(int)p->pid, vm->name);
	vm_configure(vm);
	vm_apply_stored(vm);
	vm_attach_new(vm);
	r = tick_start(m);
	if (r < 0)
		log_errno(LOG_ERR, r, "Cannot start the timer");
}

const struct foreign_ops vms_foreign_ops = {
	.known = on_foreign_known,
	.found = on_foreign_found,
};

void vms_give_up(struct manager *m, struct vm *vm)
{
	int r = 0;

	if (vm->module_id)
		r = apfd_genl_vm_del(m->context.genl, vm->module_id);
	if (r == -ETIME) {
		vm_work(vm, VM_WORK_GIVE_UP);
		return;
	}
	if (r < 0 && r != -ENOENT)
		log_vm(vm->warned ? LOG_DEBUG : LOG_WARNING, r, vm,
		       "Cannot give the gates of VM %s back to the kernel", vm->name);
	/* The next tick tries again: while apfd runs, the leases of these gates are renewed. */
	if (r == -ETIMEDOUT)
		vm->warned = true;
	else
		vms_remove(m, vm);
}

static enum foreign_search wanted_search(const struct manager *m)
{
	switch (m->context.conf->foreign_vms) {
	case CONF_FOREIGN_YES:
		return FOREIGN_ON;
	case CONF_FOREIGN_AUTO:
		return m->libvirt_silent && !m->libvirt_answered ? FOREIGN_IF_KVM_USED
								 : FOREIGN_OFF;
	default:
		return FOREIGN_OFF;
	}
}

int vms_apply_foreign(struct manager *m)
{
	enum foreign_search search = wanted_search(m);
	struct vm *vm, *next;
	size_t n = 0;
	int r;

	m->foreign_wanted = search != FOREIGN_OFF;
	r = foreign_search(m->foreign, search);
	for (vm = TAILQ_FIRST(&m->context.vms.list); vm; vm = next) {
		next = TAILQ_NEXT(vm, list);
		if (!vm->foreign)
			continue;
		if (search != FOREIGN_OFF) {
			vm_work_cancel(vm, VM_WORK_GIVE_UP);
		} else {
			vm_work(vm, VM_WORK_GIVE_UP);
			n++;
		}
	}
	if (n > 0 && m->context.conf->foreign_vms == CONF_FOREIGN_AUTO)
		log_notice(
			"libvirt answers: %zu VMs that it does not manage are not shown any more "
			"(ForeignVMs=auto)",
			n);
	return r;
}

void vms_libvirt_silent(struct manager *m)
{
	if (m->libvirt_silent)
		return;
	m->libvirt_silent = true;
	if (vms_apply_foreign(m) < 0)
		log_error("Cannot search for VMs that libvirt does not manage");
}

/* @listed: @d is from a listing of all domains, else from an event, which has no metadata. */
static void update(struct manager *m, const struct virt_domain *d, bool listed)
{
	struct vm *vm;
	int r;

	vm = registry_find_by_uuid(&m->context.vms, d->uuid);
	/* A new number means that the domain was restarted: treat it as a new VM. */
	if (vm && vm->view.libvirt_id != d->id) {
		vms_remove(m, vm);
		vm = NULL;
	}
	if (!vm) {
		/* Behind those that wait already. */
		r = wait_for_turn(m, d, listed);
		if (r < 0)
			log_errno(LOG_ERR, r, "Cannot add VM %s", d->name);
		return;
	}
	if (!streq(vm->name, d->name)) {
		char *name = strdup(d->name);

		if (!name) {
			log_oom();
			return;
		}
		free(vm->name);
		vm->name = name;
		vm->name_changed = true;
		if (vm_identity_taken(&m->context.vms, vm))
			foreign_rescan(m->foreign);
		if (vm_configure(vm))
			governor_apply(vm);
	}
	if (d->metadata_known && vm_apply_metadata(vm, d->metadata))
		governor_apply(vm);
	if (listed && !d->metadata_known)
		vm_metadata_read_failed(vm, "not in the listing of domains");
	vm_attach(vm);
}

static void on_running(const struct virt_domain *d, void *userdata)
{
	struct manager *m = userdata;

	update(m, d, false);
	take_in_or_log(m);
}

static void on_stopped(const char *uuid, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	vm = registry_find_by_uuid(&m->context.vms, uuid);
	if (vm)
		vms_remove(m, vm);
	else
		waiting_remove(&m->waiting, uuid);
}

static int compare_uuid(const void *key, const void *element)
{
	const struct virt_domain *const *d = element;

	return strcmp(key, (*d)->uuid);
}

static int compare_domain(const void *a, const void *b)
{
	const struct virt_domain *const *x = a, *const *y = b;

	return strcmp((*x)->uuid, (*y)->uuid);
}

/* libvirt numbers domains as they start. */
static int compare_id(const void *a, const void *b)
{
	const struct virt_domain *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static void on_listed(const struct virt_domain *domains, size_t n, bool has_pid_files,
		      void *userdata)
{
	struct manager *m = userdata;
	_cleanup_free_ const struct virt_domain **sorted = NULL;
	struct vm *vm, *next;

	m->has_pid_files = has_pid_files || m->pid_dir_given;
	sorted = calloc(n + 1, sizeof(*sorted));
	if (!sorted) {
		log_oom();
		return;
	}
	for (size_t i = 0; i < n; i++)
		sorted[i] = &domains[i];
	qsort(sorted, n, sizeof(*sorted), compare_domain);

	waiting_clear(&m->waiting);
	for (vm = TAILQ_FIRST(&m->context.vms.list); vm; vm = next) {
		next = TAILQ_NEXT(vm, list);
		if (!vm->foreign && !bsearch(vm->uuid, sorted, n, sizeof(*sorted), compare_uuid))
			vms_remove(m, vm);
	}
	/*
	 * The order of a listing is not meaningful. If there is no room for all, the VMs that are
	 * here stay, and of the others those that were started first are added.
	 */
	qsort(sorted, n, sizeof(*sorted), compare_id);
	for (size_t i = 0; i < n; i++)
		update(m, sorted[i], true);
	take_in_or_log(m);
}

void vms_request_name(struct manager *m)
{
	/*
	 * A method call that activates the daemon shall find the VMs: the first attempt to connect
	 * has succeeded or failed, and its VMs are taken in and watched.
	 */
	if (m->name_requested || virt_state(m->context.virt) == VIRT_CONNECTING ||
	    !virt_ever_tried(m->context.virt) || can_take(m) || !vm_works_empty(&m->context))
		return;
	m->name_requested = true;
	connection_request_name(m->server);
}

static void on_virt_state(enum virt_state state, void *userdata)
{
	struct manager *m = userdata;

	manager_bus_libvirt_changed(m->server);
	if (state == VIRT_CONNECTED && !m->libvirt_answered) {
		m->libvirt_answered = true;
		if (vms_apply_foreign(m) < 0)
			log_error("Cannot search for VMs that libvirt does not manage");
	} else if (state == VIRT_DISCONNECTED && virt_ever_tried(m->context.virt)) {
		vms_libvirt_silent(m);
	}
	vms_request_name(m);
}

static struct vm *find(struct manager *m, const char *uuid)
{
	return registry_find_by_uuid(&m->context.vms, uuid);
}

static void on_metadata(const char *uuid, const char *xml, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm = find(m, uuid);

	/* It is read when the domain is taken in; it may have changed again by then. */
	if (!vm)
		waiting_forget_metadata(&m->waiting, uuid);
	else if (vm_apply_metadata(vm, xml))
		governor_apply(vm);
}

static void on_read_failed(const char *uuid, const char *text, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm = find(m, uuid);

	if (vm)
		vm_metadata_read_failed(vm, text);
	else
		waiting_forget_metadata(&m->waiting, uuid);
}

static void on_written(const char *uuid, int error, const char *text, void *cookie, void *userdata)
{
	struct vm *vm = find(userdata, uuid);

	if (vm)
		vm_metadata_written(vm, error, text);
	if (cookie)
		vm_change_stored(cookie, error, "libvirt does not keep it", text);
}

static void on_stored_written(const char *uuid, int error, const char *text, void *cookie,
			      void *userdata)
{
	struct vm *vm = find(userdata, uuid);

	if (vm && vm->foreign)
		vm_metadata_written(vm, error, text);
	if (cookie)
		vm_change_stored(cookie, error, "apfd cannot store it", text);
}

static void on_daily(void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	REGISTRY_FOREACH(vm, &m->context.vms)
	if (vm->foreign)
		stored_seen(m->context.stored, vm->identity);
}

const struct stored_ops vms_stored_ops = {
	.written = on_stored_written,
	.daily = on_daily,
};

static void on_xml(uint64_t cookie, const char *live, const char *config, void *userdata)
{
	struct manager *m = userdata;

	doctor_xml(m->doctor, cookie, live, config);
}

const struct virt_ops vms_virt_ops = {
	.state_changed = on_virt_state,
	.listed = on_listed,
	.running = on_running,
	.stopped = on_stopped,
	.metadata = on_metadata,
	.read_failed = on_read_failed,
	.written = on_written,
	.xml = on_xml,
};
