/* SPDX-License-Identifier: GPL-2.0 */
#include "vm.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>

#include "action.h"
#include "log.h"
#include "manager.h"
#include "proc.h"

/*
 * A process that libvirt calls started has its KVM VM; the quick tries are for a
 * daemon started in the middle of that. The slow ones wait for a limit of the
 * module to be raised or another VM to end.
 */
#define RETRY_MIN_USEC	(100 * USEC_PER_MSEC)
#define RETRY_SLOW_USEC (60 * USEC_PER_SEC)
#define RETRIES_QUICK	8

/*
 * How often the log may tell of a VM's guest in a minute, of each of two kinds:
 * enough to see what happens, and no guest fills a log with it.
 */
#define GUEST_LOG_BURST		5
#define GUEST_LOG_INTERVAL_USEC (60 * USEC_PER_SEC)

const char *vm_state_to_string(enum vm_state state)
{
	static const char *const table[] = {
		[VM_STATE_OFF] = "off",	    [VM_STATE_PV] = "pv",	    [VM_STATE_ON] = "on",
		[VM_STATE_MIXED] = "mixed", [VM_STATE_UNKNOWN] = "unknown",
	};

	return table[state];
}

int vm_state_from_string(const char *s, enum apf_state *ret)
{
	for (int i = 0; i <= APF_STATE_MAX; i++)
		if (streq(s, vm_state_to_string((enum vm_state)i))) {
			*ret = (enum apf_state)i;
			return 0;
		}
	return -EINVAL;
}

const char *vm_guest_module_to_string(enum vm_guest_module state)
{
	static const char *const table[] = {
		[VM_GUEST_MODULE_ABSENT] = "absent",
		[VM_GUEST_MODULE_PRESENT] = "present",
		[VM_GUEST_MODULE_UNKNOWN] = "unknown",
	};

	return table[state];
}

/* The events about a guest's report, by enum apf_event. */
static const struct {
	const char *name;
	int level;
	const char *meaning;
} guest_events[APF_EVENT_MAX + 1] = {
	[APF_EVENT_POOL_TAKEN] = { "pool-taken", LOG_NOTICE,
				   "the guest uses its emergency pool, gate closed meanwhile" },
	[APF_EVENT_POOL_RETURNED] = { "pool-returned", LOG_INFO,
				      "the guest's emergency pool is full again, gate as it was" },
	[APF_EVENT_POOL_EXHAUSTED] = { "pool-exhausted", LOG_WARNING,
				       "the guest's emergency pool was empty, "
				       "it woke all sleepers" },
	[APF_EVENT_WAITER_OLD] = { "waiter-old", LOG_WARNING,
				   "a task of the guest waits for too long" },
	[APF_EVENT_REPORT_GONE] = { "report-gone", LOG_INFO, "the guest's module reports no more" },
};

const char *vm_guest_event_to_string(enum apf_event type)
{
	return guest_events[type].name;
}

/*
 * The kernel tells of a VM that waited for memory for a tenth of a second. That
 * brings the next look forward.
 */
#define PSI_STALL_USEC	100000
#define PSI_WINDOW_USEC 1000000

/* Of the looks at a VM that swaps, every fourth is also at its process. */
#define LOOKS_PER_STATUS 4

#define log_vm(level, error, vm, ...)                                                            \
	log_fields(level, error,                                                                 \
		   ((const struct log_field[]){                                                  \
			   { "APF_VM", (vm)->name },                                             \
			   { "APF_UUID", (vm)->uuid },                                           \
			   { "APF_STATE", vm_state_to_string((enum vm_state)(vm)->view.state) }, \
			   {} }),                                                                \
		   __VA_ARGS__)

int vm_new(struct manager *m, const struct virt_domain *d, bool has_pid_file, struct vm **ret)
{
	_cleanup_(vm_freep) struct vm *vm = NULL;

	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->manager = m;
	vm->pidfd = -1;
	vm->has_pid_file = has_pid_file;
	memcpy(vm->uuid, d->uuid, sizeof(vm->uuid));
	name_uuid_to_path(vm->uuid, vm->path);
	vm->view.libvirt_id = d->id;
	vm->view.state = VM_STATE_UNKNOWN;
	vm->view.guest_module = VM_GUEST_MODULE_UNKNOWN;
	vm->waiting = NAN;
	pressure_none(vm->view.pressure);
	vm->published = vm->view;
	vm->settings.config = vm->settings.own = SETTINGS_NONE;
	snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "it is just starting");
	vm->name = strdup(d->name);
	if (!vm->name)
		return -ENOMEM;
	*ret = TAKE_PTR(vm);
	return 0;
}

static void forget_cgroup(struct vm *vm)
{
	vm->psi_source = sd_event_source_disable_unref(vm->psi_source);
	vm->cgroup_changed = vm->cgroup_changed || vm->cgroup;
	vm->cgroup = cgroup_free(vm->cgroup);
	vm->psi_refused = false;
	vm->pressure = (struct pressure){};
	vm->status_swap_bytes = UINT64_MAX;
	pressure_none(vm->view.pressure);
}

static void forget_process(struct vm *vm)
{
	forget_cgroup(vm);
	vm->exit_source = sd_event_source_disable_unref(vm->exit_source);
	vm->pidfd = safe_close(vm->pidfd);
	vm->executable_changed = vm->executable_changed || vm->executable;
	free(vm->executable);
	vm->executable = NULL;
	vm->view.pid = 0;
	vm->view.swapped_bytes = 0;
}

struct vm *vm_free(struct vm *vm)
{
	if (!vm)
		return NULL;
	forget_process(vm);
	sd_event_source_disable_unref(vm->retry_source);
	governor_done(&vm->governor);
	vm_settings_done(vm);
	free(vm->executable);
	free(vm->vcpus);
	free(vm->name);
	free(vm);
	return NULL;
}

static void update_state(struct vm *vm)
{
	vm->view.state = vm->module_id ? (int)vm->gate : VM_STATE_UNKNOWN;
	for (size_t i = 0; vm->module_id && i < vm->n_vcpus; i++)
		if (vm->vcpus[i].state != vm->gate)
			vm->view.state = VM_STATE_MIXED;
}

/* Sums wrap as the guest's own totals do. */
static void update_guest(struct vm *vm)
{
	uint32_t sum[APF_GUEST_A_MAX + 1] = {};
	bool present = false;

	for (size_t i = 0; i < vm->n_vcpus; i++) {
		const struct genl_guest *guest = &vm->vcpus[i].guest;

		if (!guest->present)
			continue;
		present = true;
		for (int k = APF_GUEST_A_UNSPEC + 1; k <= APF_GUEST_A_MAX; k++)
			if (k == APF_GUEST_A_OLDEST_SLEEPER_MSEC)
				sum[k] = MAX_OF(sum[k], guest->value[k]);
			else if (k != APF_GUEST_A_AGE_MSEC)
				sum[k] += guest->value[k];
	}
	memcpy(vm->view.guest, sum, sizeof(sum));
	vm->view.guest_module = !vm->module_id ? VM_GUEST_MODULE_UNKNOWN
				: present      ? VM_GUEST_MODULE_PRESENT
					       : VM_GUEST_MODULE_ABSENT;
}

static void set_paused(struct vm *vm, struct genl_vcpu *vcpu, bool paused)
{
	if (vcpu->paused != paused)
		vm->paused_changed = true;
	vcpu->paused = paused;
}

/* For those who compare: none is paused. */
static void unpause_all(struct vm *vm)
{
	for (size_t i = 0; i < vm->n_vcpus; i++)
		set_paused(vm, &vm->vcpus[i], false);
}

void vm_unwatch(struct vm *vm, const char *why)
{
	snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "%s", why);
	if (!vm->module_id)
		return;
	log_vm(LOG_INFO, 0, vm, "VM %s is no longer watched: %s", vm->name, why);
	vm->module_id = 0;
	vm->view.watched = 0;
	vm->view.since_usec = 0;
	vm->view.outstanding = 0;
	memset(&vm->view.figures, 0, sizeof(vm->view.figures));
	memset(&vm->view.totals, 0, sizeof(vm->view.totals));
	vm->waiting = NAN;
	vm->have_sample = false;
	vm->vcpu_states_changed = vm->vcpu_states_changed || vm->n_vcpus > 0;
	unpause_all(vm);
	free(vm->vcpus);
	vm->vcpus = NULL;
	vm->n_vcpus = 0;
	update_state(vm);
	update_guest(vm);
}

static int on_exit_of_process(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct vm *vm = userdata;

	vm_unwatch(vm, "its process has ended");
	/* There is nobody else who would say so. */
	if (vm->foreign)
		manager_remove(vm->manager, vm);
	else
		forget_process(vm);
	return 0;
}

/* Takes over @pidfd on success. */
static int adopt_process(struct vm *vm, pid_t pid, int pidfd)
{
	const struct manager *m = vm->manager;
	int r;

	r = sd_event_add_io(m->event, &vm->exit_source, pidfd, EPOLLIN, on_exit_of_process, vm);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(vm->exit_source, "vm-process");
	vm->pidfd = pidfd;
	vm->view.pid = (uint32_t)pid;
	/* Of a process that ends just now there is none. */
	(void)proc_executable(m->proc_root, pid, &vm->executable);
	vm->executable_changed = true;
	vm->active = true;
	vm_read_pressure(vm, clock_usec(CLOCK_MONOTONIC));
	return 0;
}

/* 0, or why not: -ENOENT no PID file, -ESRCH no such process, others of both. */
static int find_process(struct vm *vm)
{
	const struct manager *m = vm->manager;
	_cleanup_close_ int pidfd = -1;
	pid_t pid, again;
	int r;

	r = proc_read_pid_file(m->pid_dir, vm->name, &pid);
	if (r < 0)
		return r;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return -errno;
	/* If the file still says so, the number was not given away before we had the pidfd. */
	r = proc_read_pid_file(m->pid_dir, vm->name, &again);
	if (r < 0)
		return r;
	if (again != pid)
		return -ESRCH;

	r = adopt_process(vm, pid, pidfd);
	if (r < 0)
		return r;
	TAKE_FD(pidfd);
	/* It may have been found before libvirt told of it. */
	manager_remove_foreign(vm->manager, pid);
	return 0;
}

int vm_new_foreign(struct manager *m, struct foreign_process *p, struct vm **ret)
{
	_cleanup_(vm_freep) struct vm *vm = NULL;
	struct virt_domain d = { .name = p->name, .id = -1 };
	int r;

	memcpy(d.uuid, p->uuid, sizeof(d.uuid));
	r = vm_new(m, &d, false, &vm);
	if (r < 0)
		return r;
	vm->foreign = true;
	/* Nobody keeps any for it. */
	vm->settings.known = true;
	r = adopt_process(vm, p->pid, p->pidfd);
	if (r < 0)
		return r;
	p->pidfd = -1;
	*ret = TAKE_PTR(vm);
	return 0;
}

static int watch(struct vm *vm, char *text)
{
	struct manager *m = vm->manager;
	const struct vm *other;
	struct genl_vm got;
	int r;

	r = action_watch(m->genl, m->proc_root, (pid_t)vm->view.pid, vm->pidfd, &got, text);
	if (r < 0)
		return r;
	other = manager_find_by_module_id(m, got.id);
	if (other && other != vm) {
		snprintf(text, GENL_TEXT_MAX, "its PID file names the process of VM %s",
			 other->name);
		return -EINVAL;
	}
	vm->module_id = got.id;
	vm->complained = false;
	vm->gate = got.state;
	vm->view.watched = 1;
	vm->view.since_usec =
		clock_usec(CLOCK_REALTIME) -
		MIN_OF(got.age_msec, clock_usec(CLOCK_REALTIME) / USEC_PER_MSEC) * USEC_PER_MSEC;
	update_state(vm);
	update_guest(vm);
	log_vm(LOG_INFO, 0, vm, "VM %s (PID %u) is watched, gate %s", vm->name, vm->view.pid,
	       vm_state_to_string((enum vm_state)vm->gate));

	r = vm_read_vcpus(vm);
	if (r < 0)
		log_vm(LOG_WARNING, r, vm, "Cannot read the vCPUs of VM %s yet", vm->name);
	vm_settings_apply(vm);
	return 0;
}

/* 0 if there is nothing left to do for now, else why it cannot be watched. */
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
	if (!apfd_genl_info(vm->manager->genl)) {
		vm_unwatch(vm, "apf_host is not loaded");
		return 0;
	}
	r = watch(vm, text);
	/* Gone while its gates were set. */
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
		r = sd_event_add_time_relative(vm->manager->event, &vm->retry_source,
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

static void attach(struct vm *vm)
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

	if (r == -ENODEV)
		snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "%s", text);
	else
		snprintf(vm->why_unwatched, sizeof(vm->why_unwatched), "%s (%s)",
			 text[0] ? text : "apfd may not look into its process", strerror(-r));
	/* Said once, when the quick tries are used up. */
	if (vm->retries >= RETRIES_QUICK && !vm->complained) {
		vm->complained = true;
		log_vm(LOG_NOTICE, 0, vm, "VM %s is not watched: %s", vm->name, vm->why_unwatched);
	} else {
		log_vm(LOG_DEBUG, 0, vm, "VM %s is not watched: %s", vm->name, vm->why_unwatched);
	}
	r = retry_later(vm);
	if (r < 0)
		log_vm(LOG_ERR, r, vm, "VM %s will not be tried again", vm->name);
}

void vm_lost(struct vm *vm)
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
	attach(userdata);
	return 0;
}

void vm_attach(struct vm *vm)
{
	vm->retries = 0;
	attach(vm);
}

/* What the counters of the interval that ends say of all vCPUs together. */
static void note_activity(struct vm *vm, const struct stats_totals *cur, size_t n_vcpus)
{
	const struct stats_totals *prev = &vm->view.totals;
	double seconds, waited_sec;

	vm->waiting = NAN;
	if (!vm->have_sample || n_vcpus == 0 || cur->at_usec <= prev->at_usec)
		return;
#define GROWTH(c) ((double)cur->counters[c] - (double)prev->counters[c])
	if (GROWTH(APF_STAT_READY) + GROWTH(APF_STAT_SYNC_STALLS) > 0)
		vm->active = true;
	seconds = (double)(cur->at_usec - prev->at_usec) / (double)USEC_PER_SEC;
	waited_sec = (GROWTH(APF_STAT_SYNC_STALL_NSEC) + GROWTH(APF_STAT_ASYNC_NSEC)) / 1e9;
#undef GROWTH
	vm->waiting = MIN_OF(MAX_OF(waited_sec / (seconds * (double)n_vcpus), 0.0), 1.0);
}

int vm_update_vcpus(struct vm *vm, const struct genl_vcpu *vcpus, size_t n, uint64_t at_usec)
{
	struct stats_totals totals = { .at_usec = at_usec };
	uint64_t dt_usec = 0;
	uint32_t outstanding = 0;
	int r;

	if (vm->have_sample && n == vm->n_vcpus && at_usec > vm->view.totals.at_usec)
		dt_usec = at_usec - vm->view.totals.at_usec;
	if (n != vm->n_vcpus) {
		struct genl_vcpu *array = NULL;

		if (n > 0) {
			array = calloc(n, sizeof(*array));
			if (!array)
				return -ENOMEM;
		}
		unpause_all(vm);
		free(vm->vcpus);
		vm->vcpus = array;
		vm->n_vcpus = n;
		vm->vcpu_states_changed = true;
	}
	for (size_t i = 0; i < n; i++) {
		if (vm->vcpus[i].state != vcpus[i].state)
			vm->vcpu_states_changed = true;
		set_paused(vm, &vm->vcpus[i], vcpus[i].paused);
		if (dt_usec > 0 && vm->governor.n_vcpus == n)
			governor_sample(vm, i, &vm->vcpus[i], &vcpus[i], dt_usec);
		vm->vcpus[i] = vcpus[i];
		stats_add(&totals, &vcpus[i].totals);
		outstanding += vcpus[i].outstanding;
	}
	note_activity(vm, &totals, n);
	if (vm->have_sample)
		(void)stats_update(&vm->view.figures, &vm->view.totals, &totals, (unsigned int)n);
	vm->view.totals = totals;
	vm->view.outstanding = outstanding;
	r = governor_match(vm, !vm->have_sample);
	vm->have_sample = true;
	update_state(vm);
	update_guest(vm);
	return r;
}

bool vm_has_news(struct vm *vm, const struct genl_vm *listed)
{
	const struct stats_figures *f = &vm->view.figures;
	bool moved =
		!listed->has_counters || memcmp(vm->sums, listed->counters, sizeof(vm->sums)) != 0;

	memcpy(vm->sums, listed->counters, sizeof(vm->sums));
	/* A gate that changed was told of; here is what was missed. */
	if (listed->state != vm->gate) {
		vm->gate = listed->state;
		update_state(vm);
		return true;
	}
	if (moved || !vm->have_sample || listed->n_vcpus != vm->n_vcpus)
		return true;
	/* Rates that were not zero have to become it. */
	if (f->async_rate > 0 || f->sync_rate > 0 || !governor_is_quiet(vm))
		return true;
	/* Reports change without counters while tasks of the guest wait. */
	return vm->view.outstanding > 0 || vm->view.guest[APF_GUEST_A_SLEEPERS] > 0 ||
	       vm->view.guest[APF_GUEST_A_POOL_IN_USE] > 0;
}

void vm_has_no_news(struct vm *vm, uint64_t now_usec)
{
	/* Where the next interval begins. */
	vm->view.totals.at_usec = now_usec;
	vm->waiting = 0;
}

int vm_read_vcpus(struct vm *vm)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;
	int n;

	if (!vm->module_id)
		return -ENOENT;
	n = manager_dump_vcpus(vm->manager, vm->module_id, &vcpus);
	if (n < 0)
		return n;

	/*
	 * A second reading within one interval: take gates and reports, leave counters
	 * and figures to the tick, whose rates are over a whole one.
	 */
	if (vm->have_sample && (size_t)n == vm->n_vcpus) {
		for (int i = 0; i < n; i++) {
			if (vm->vcpus[i].state != vcpus[i].state)
				vm->vcpu_states_changed = true;
			vm->vcpus[i].state = vcpus[i].state;
			set_paused(vm, &vm->vcpus[i], vcpus[i].paused);
			vm->vcpus[i].guest = vcpus[i].guest;
		}
		update_state(vm);
		update_guest(vm);
		return 0;
	}
	return vm_update_vcpus(vm, vcpus, (size_t)n, clock_usec(CLOCK_MONOTONIC));
}

void vm_gate_set(struct vm *vm, enum apf_state state, const uint32_t *indices, size_t n_indices)
{
	vm->gate_usec = clock_usec(CLOCK_MONOTONIC);
	if (n_indices == 0) {
		vm->gate = state;
		for (size_t i = 0; i < vm->n_vcpus; i++) {
			if (vm->vcpus[i].state != state)
				vm->vcpu_states_changed = true;
			vm->vcpus[i].state = state;
		}
	}
	/* A vCPU that is newer than the last reading comes with the next. */
	for (size_t i = 0; i < n_indices; i++)
		for (size_t j = 0; j < vm->n_vcpus; j++)
			if (vm->vcpus[j].index == indices[i] && vm->vcpus[j].state != state) {
				vm->vcpus[j].state = state;
				vm->vcpu_states_changed = true;
			}
	update_state(vm);
}

void vm_gate_changed(struct vm *vm, const struct genl_event *e)
{
	bool by_us = e->by_pid == getpid();

	vm_gate_set(vm, e->state, e->indices, e->n_indices);
	/* Of our own changes the governor knows, and may have decided otherwise since. */
	if (!by_us)
		governor_found(vm, e->state, e->indices, e->n_indices);
	log_vm(LOG_INFO, 0, vm, "VM %s: gate of %s set to %s by %s (PID %d)%s%s", vm->name,
	       e->n_indices ? "some vCPUs" : "the VM", vm_state_to_string((enum vm_state)e->state),
	       e->by_comm[0] ? e->by_comm : "?", (int)e->by_pid, e->reason[0] ? ": " : "",
	       e->reason);
}

static void log_guest_event(struct vm *vm, const struct genl_event *e)
{
	int level = guest_events[e->type].level;
	bool warning = level <= LOG_WARNING;
	char vcpu[16], msec[48] = "";

	switch (ratelimit_ask(warning ? &vm->guest_warnings : &vm->guest_notices, GUEST_LOG_BURST,
			      GUEST_LOG_INTERVAL_USEC, clock_usec(CLOCK_MONOTONIC))) {
	case RATELIMIT_OVER:
		return;
	case RATELIMIT_FIRST_OVER:
		log_vm(level, 0, vm,
		       "VM %s: more than %d %s of its guest within a minute, not logging the rest "
		       "of them",
		       vm->name, GUEST_LOG_BURST, warning ? "warnings" : "notices");
		return;
	case RATELIMIT_PASS:
		break;
	}

	snprintf(vcpu, sizeof(vcpu), "%u", e->indices[0]);
	if (e->type == APF_EVENT_WAITER_OLD)
		snprintf(msec, sizeof(msec), " (%u ms)",
			 e->guest.value[APF_GUEST_A_OLDEST_SLEEPER_MSEC]);
	log_fields(level, 0,
		   ((const struct log_field[]){
			   { "APF_VM", vm->name },
			   { "APF_UUID", vm->uuid },
			   { "APF_STATE", vm_state_to_string((enum vm_state)vm->view.state) },
			   { "APF_VCPU", vcpu },
			   { "APF_EVENT", guest_events[e->type].name },
			   {} }),
		   "VM %s, vCPU %s: %s%s", vm->name, vcpu, guest_events[e->type].meaning, msec);
}

void vm_guest_event(struct vm *vm, const struct genl_event *e)
{
	/* A vCPU that is newer than the last reading comes with the next. */
	for (size_t i = 0; i < vm->n_vcpus; i++)
		if (vm->vcpus[i].index == e->indices[0]) {
			vm->vcpus[i].guest = e->guest;
			set_paused(vm, &vm->vcpus[i], e->guest.value[APF_GUEST_A_POOL_IN_USE] > 0);
			governor_pool(vm, e->indices[0], e->guest.value[APF_GUEST_A_POOL_IN_USE]);
		}
	update_guest(vm);
	log_guest_event(vm, e);
}

static int on_psi(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct vm *vm = userdata;

	/* The group is gone, and its process with it or soon. */
	if (revents & EPOLLERR)
		return sd_event_source_set_enabled(s, SD_EVENT_OFF);
	vm->active = true;
	if (governor_is_waiting(vm))
		manager_tick_soon(vm->manager);
	return 0;
}

static void watch_psi(struct vm *vm)
{
	int r;

	if (vm->psi_source || vm->psi_refused)
		return;
	r = cgroup_trigger(vm->cgroup, PSI_STALL_USEC, PSI_WINDOW_USEC);
	/* Since Linux 6.5 anybody may have a window of this length. */
	if (r == -EINVAL || r == -EPERM)
		r = cgroup_trigger(vm->cgroup, 2 * PSI_STALL_USEC, 2 * PSI_WINDOW_USEC);
	if (r >= 0)
		r = sd_event_add_io(vm->manager->event, &vm->psi_source, r, EPOLLPRI, on_psi, vm);
	if (r >= 0)
		return;
	/* The tick sees the same, a little later. */
	vm->psi_refused = true;
	log_vm(LOG_DEBUG, r, vm, "The kernel does not tell when VM %s waits for memory, ignoring",
	       vm->name);
}

static void find_cgroup(struct vm *vm)
{
	const struct manager *m = vm->manager;

	if (cgroup_new(m->proc_root, m->cgroup_root, (pid_t)vm->view.pid, &vm->cgroup) >= 0)
		vm->cgroup_changed = true;
}

/* What /proc alone knows, for a process in no group that accounts memory. */
static void read_process(struct vm *vm, struct cgroup_facts *facts)
{
	const char *root = vm->manager->proc_root;
	pid_t pid = (pid_t)vm->view.pid;

	facts->swap_bytes = vm->view.swapped_bytes;
	facts->known |= CGROUP_SWAP;
	if (proc_major_faults(root, pid, &facts->major_faults) >= 0)
		facts->known |= CGROUP_MAJOR_FAULTS;
}

static void read_swapped(struct vm *vm)
{
	uint64_t bytes = 0;

	/* A process about to vanish has no memory; its end is told by the pidfd. */
	if (proc_swapped_bytes(vm->manager->proc_root, (pid_t)vm->view.pid, &bytes) < 0)
		bytes = 0;
	vm->view.swapped_bytes = bytes;
}

/*
 * Its process costs as much as all files of its group together, which has nearly the same
 * figure: it is looked at when that has moved, by more than an eighth if the VM swaps.
 */
static bool status_is_due(struct vm *vm, const struct cgroup_facts *facts)
{
	uint64_t now_bytes = facts->swap_bytes, before_bytes = vm->status_swap_bytes;
	uint64_t moved_bytes = MAX_OF(now_bytes, before_bytes) - MIN_OF(now_bytes, before_bytes);

	if (!vm->cgroup || !(facts->known & CGROUP_SWAP))
		return true;
	if (moved_bytes <= (vm->active ? now_bytes / 8 : 0) &&
	    !(vm->active && vm->looks++ % LOOKS_PER_STATUS == 0))
		return false;
	vm->status_swap_bytes = now_bytes;
	return true;
}

void vm_read_pressure(struct vm *vm, uint64_t now_usec)
{
	struct pressure_reading reading = {
		.stall_ratio = NAN,
		.swapin_rate = NAN,
		.waiting = vm->waiting,
	};

	if (!vm->view.pid)
		return;
	if (!vm->cgroup)
		find_cgroup(vm);
	if (vm->cgroup) {
		cgroup_read(vm->cgroup, &reading.facts);
		if (!reading.facts.known)
			forget_cgroup(vm); /* its process was moved */
		else if (reading.facts.swap_bytes > 0)
			watch_psi(vm);
	}
	if (status_is_due(vm, &reading.facts))
		read_swapped(vm);
	if (!vm->cgroup)
		read_process(vm, &reading.facts);
	if (vm->have_sample) {
		reading.stall_ratio = vm->view.figures.stall_ratio;
		reading.swapin_rate = vm->view.figures.async_rate + vm->view.figures.sync_rate;
	}
	/* Without the module these are the only signs. */
	vm->active = vm->pressure.at_usec &&
		     (vm->pressure.facts.swap_bytes != reading.facts.swap_bytes ||
		      vm->pressure.facts.major_faults != reading.facts.major_faults);
	pressure_update(&vm->pressure, &reading, now_usec, vm->view.pressure);
}

void vm_dump(const struct vm *vm)
{
	char gates[64] = "";
	size_t of_state[APF_STATE_MAX + 1] = {}, paused = 0;

	for (size_t i = 0; i < vm->n_vcpus; i++) {
		of_state[vm->vcpus[i].state]++;
		paused += vm->vcpus[i].paused;
	}
	snprintf(gates, sizeof(gates), "%zu off, %zu pv, %zu on, %zu paused",
		 of_state[APF_STATE_OFF], of_state[APF_STATE_PV], of_state[APF_STATE_ON], paused);
	log_fields(LOG_NOTICE, 0,
		   ((const struct log_field[]){
			   { "APF_VM", vm->name },
			   { "APF_UUID", vm->uuid },
			   { "APF_STATE", vm_state_to_string((enum vm_state)vm->view.state) },
			   { "APF_MODE", policy_mode_to_string(vm_mode(vm)) },
			   { "APF_MODE_SOURCE", vm_mode_source(vm) },
			   { "APF_GATES", gates },
			   { "APF_WHY_UNWATCHED", vm->module_id ? NULL : vm->why_unwatched },
			   {} }),
		   "VM %s: PID %u, module id %u, mode %s (%s), %zu vCPUs: %s; %" PRIu64
		   " bytes swapped%s%s",
		   vm->name, vm->view.pid, vm->module_id, policy_mode_to_string(vm_mode(vm)),
		   vm_mode_source(vm), vm->n_vcpus, gates, vm->view.swapped_bytes,
		   vm->module_id ? "" : "; not watched: ", vm->module_id ? "" : vm->why_unwatched);
}
