/* SPDX-License-Identifier: GPL-2.0 */
#include "manager.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "action.h"
#include "log.h"
#include "manager-bus.h"
#include "vm-bus.h"

/* Ticks of several programs may share a wake-up; rates are over the time that really passed. */
#define TICK_ACCURACY_USEC (50 * USEC_PER_MSEC)

enum { CONF_ERROR_MAX = 4096 };
/* The bus is told of changes at most so often. */
#define PUBLISH_USEC (1 * USEC_PER_SEC)

/* Not more often than this, whatever happens. */
#define TICK_MIN_USEC (250 * USEC_PER_MSEC)

/* Pressure that has just begun is looked at again so soon: it must last for a moment. */
#define RISING_USEC (500 * USEC_PER_MSEC)

/* The files of a VM that does not swap are read every so many ticks. */
#define QUIET_TICKS 16

/* Well below the 25 s after which a bus activation or a method call gives up. */
#define NAME_WAIT_USEC (3 * USEC_PER_SEC)

/* UUIDs are random but for those of test hosts: FNV-1a spreads these, too. */
static struct vm_bucket *bucket_of(struct manager *m, const char *uuid)
{
	uint32_t hash = UINT32_C(2166136261);

	for (; *uuid; uuid++)
		hash = (hash ^ (unsigned char)*uuid) * UINT32_C(16777619);
	return &m->by_uuid[hash % MANAGER_BUCKETS];
}

/* The bus asks for each of them several times with every message. */
struct vm *manager_find_by_uuid(struct manager *m, const char *uuid)
{
	struct vm *vm;

	LIST_FOREACH(vm, bucket_of(m, uuid), same_hash)
		if (streq(vm->uuid, uuid))
			return vm;
	return NULL;
}

void manager_insert(struct manager *m, struct vm *vm)
{
	TAILQ_INSERT_TAIL(&m->vms, vm, list);
	LIST_INSERT_HEAD(bucket_of(m, vm->uuid), vm, same_hash);
	m->n_vms++;
}

static void take_out(struct manager *m, struct vm *vm)
{
	TAILQ_REMOVE(&m->vms, vm, list);
	LIST_REMOVE(vm, same_hash);
	m->n_vms--;
}

struct vm *manager_find_by_module_id(struct manager *m, uint32_t module_id)
{
	struct vm *vm;

	TAILQ_FOREACH(vm, &m->vms, list)
		if (vm->module_id == module_id)
			return vm;
	return NULL;
}

struct vm *manager_find(struct manager *m, const char *wanted)
{
	char uuid[NAME_UUID_LEN + 1];
	unsigned long id;
	struct vm *vm;
	char *end;

	TAILQ_FOREACH(vm, &m->vms, list)
		if (streq(vm->name, wanted))
			return vm;

	if (name_parse_uuid(wanted, uuid) >= 0)
		return manager_find_by_uuid(m, uuid);

	if (*wanted < '0' || *wanted > '9')
		return NULL;
	errno = 0;
	id = strtoul(wanted, &end, 10);
	if (errno || *end || id > INT_MAX)
		return NULL;
	TAILQ_FOREACH(vm, &m->vms, list)
		if (vm->view.libvirt_id == (int32_t)id)
			return vm;
	return NULL;
}

/* ---- the module ---- */

static int compare_vcpu(const void *a, const void *b)
{
	const struct genl_vcpu *x = a, *y = b;

	if (x->vm_id != y->vm_id)
		return x->vm_id < y->vm_id ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

int manager_dump_vcpus(struct manager *m, uint32_t module_id, struct genl_vcpu **ret)
{
	int n = apfd_genl_vcpu_dump(m->genl, module_id, ret);

	if (n > 0)
		qsort(*ret, (size_t)n, sizeof(**ret), compare_vcpu);
	return n;
}

/* The VM of a record: in a listing most often the one after @last. */
static struct vm *find_next(struct manager *m, struct vm *last, uint32_t module_id)
{
	struct vm *next = last ? TAILQ_NEXT(last, list) : TAILQ_FIRST(&m->vms);

	if (next && next->module_id == module_id)
		return next;
	return manager_find_by_module_id(m, module_id);
}

/* @only: if not NULL, they are all of this one. */
static void take_vcpus(struct manager *m, struct vm *only, const struct genl_vcpu *vcpus, int n)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);
	struct vm *vm = NULL;

	for (int i = 0, end; i < n; i = end) {
		struct vm *found;

		for (end = i + 1; end < n && vcpus[end].vm_id == vcpus[i].vm_id; end++)
			;
		found = only && only->module_id == vcpus[i].vm_id
				? only
				: find_next(m, vm, vcpus[i].vm_id);
		/* Watched by request of somebody else, or of a VM that libvirt forgot. */
		if (!found)
			continue;
		vm = found;
		if (vm_update_vcpus(vm, vcpus + i, (size_t)(end - i), now_usec) < 0)
			log_oom();
	}
}

/*
 * Marks the VMs whose vCPUs are to be read: those whose sums have moved, or that
 * something else is up with, and some of the others in turn. Returns how many
 * vCPUs these have, -errno.
 */
static int mark_news(struct manager *m, size_t *ret_all)
{
	_cleanup_free_ struct genl_vm *vms = NULL;
	unsigned int turn = m->round;
	struct vm *vm = NULL;
	int n, due = 0;

	n = apfd_genl_vm_dump(m->genl, &vms);
	if (n < 0)
		return n;
	*ret_all = 0;
	for (int i = 0; i < n; i++) {
		struct vm *found = find_next(m, vm, vms[i].id);

		if (!found)
			continue;
		vm = found;
		*ret_all += vms[i].n_vcpus;
		vm->due = vm_has_news(vm, &vms[i]) || turn++ % QUIET_TICKS == 0;
		if (vm->due)
			due += (int)vms[i].n_vcpus;
	}
	return due;
}

/* Of each VM that is due alone. */
static int read_due(struct manager *m)
{
	struct vm *vm;

	TAILQ_FOREACH(vm, &m->vms, list) {
		_cleanup_free_ struct genl_vcpu *vcpus = NULL;
		int n;

		if (!vm->module_id || !vm->due)
			continue;
		n = manager_dump_vcpus(m, vm->module_id, &vcpus);
		/* Destroyed since the listing; its own event tells of that. */
		if (n == -ENOENT)
			continue;
		if (n < 0)
			return n;
		take_vcpus(m, vm, vcpus, n);
	}
	return 0;
}

static int read_all(struct manager *m)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;
	int n;

	n = manager_dump_vcpus(m, 0, &vcpus);
	if (n >= 0)
		take_vcpus(m, NULL, vcpus, n);
	return n;
}

static void read_module(struct manager *m)
{
	uint64_t now_usec;
	struct vm *vm;
	size_t all;
	int r;

	TAILQ_FOREACH(vm, &m->vms, list)
		vm->due = false;
	r = mark_news(m, &all);
	/* One long answer is cheaper than many short ones, if it is not much longer. */
	if (r > 0)
		r = (size_t)r > all / 2 ? read_all(m) : read_due(m);
	if (r < 0) {
		log_errno(m->dump_failed ? LOG_DEBUG : LOG_WARNING, r,
			  "Cannot read the counters of apf_host, trying again every second");
		m->dump_failed = true;
		return;
	}
	m->dump_failed = false;
	now_usec = clock_usec(CLOCK_MONOTONIC);
	TAILQ_FOREACH(vm, &m->vms, list)
		if (vm->module_id && !vm->due)
			vm_has_no_news(vm, now_usec);
}

static void on_presence(bool present, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	if (present)
		log_notice("Host module apf_host %s is there", apfd_genl_info(m->genl)->version);
	else
		log_notice("Host module apf_host is gone: gates are the kernel's own again");
	TAILQ_FOREACH(vm, &m->vms, list) {
		vm_unwatch(vm, "apf_host is not loaded");
		if (present)
			vm_attach(vm);
	}
	manager_bus_host_module_changed(m);
}

static void on_module_event(const struct genl_event *e, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	vm = manager_find_by_module_id(m, e->vm_id);
	if (!vm)
		return;
	switch (e->type) {
	case APF_EVENT_VM_GONE:
		vm_unwatch(vm, "its KVM VM was destroyed");
		/* Usually its process ends now; if not, it may make a new one. */
		vm_attach(vm);
		break;
	case APF_EVENT_GATE_CHANGED:
		vm_gate_changed(vm, e);
		vm_bus_gate_changed(vm, e);
		break;
	case APF_EVENT_POOL_TAKEN:
	case APF_EVENT_POOL_RETURNED:
	case APF_EVENT_POOL_EXHAUSTED:
	case APF_EVENT_WAITER_OLD:
	case APF_EVENT_REPORT_GONE:
		vm_guest_event(vm, e);
		vm_bus_guest_event(vm, e);
		/* What a guest must be protected from does not wait for the tick. */
		if (e->type == APF_EVENT_POOL_TAKEN || e->type == APF_EVENT_POOL_EXHAUSTED)
			governor_run(vm, clock_usec(CLOCK_MONOTONIC));
		break;
	default:
		break;
	}
}

/* Notifications were lost: what the module has now is what counts. */
static void on_module_lost(void *userdata)
{
	struct manager *m = userdata;
	_cleanup_free_ struct genl_vm *known = NULL;
	struct vm *vm;
	int n;

	n = apfd_genl_vm_dump(m->genl, &known);
	if (n < 0) {
		log_errno(LOG_ERR, n, "Cannot list the VMs of apf_host");
		return;
	}
	TAILQ_FOREACH(vm, &m->vms, list) {
		int i;

		if (!vm->module_id)
			continue;
		for (i = 0; i < n && known[i].id != vm->module_id; i++)
			;
		if (i == n) {
			vm_unwatch(vm, "its KVM VM was destroyed");
			vm_attach(vm);
			continue;
		}
		vm->gate = known[i].state;
	}
	/* The gates of single vCPUs. */
	(void)read_all(m);
}

static const struct apfd_genl_ops genl_ops = {
	.presence = on_presence,
	.event = on_module_event,
	.lost = on_module_lost,
};

/* ---- the tick ---- */

static void read_swap(struct manager *m)
{
	int before = swapdevs_synchronous(&m->swap);
	struct vm *vm;

	if (swapdevs_read(&m->swap, m->proc_root, m->sys_root) <= 0)
		return;
	m->swap_changed = true;
	if (swapdevs_synchronous(&m->swap) == before)
		return;
	TAILQ_FOREACH(vm, &m->vms, list)
		governor_stir(vm);
}

static void publish(struct manager *m, uint64_t now_usec)
{
	struct vm *vm;

	/* Ticks that come early are no reason to tell more often. */
	if (m->publish_usec && now_usec - m->publish_usec < PUBLISH_USEC - TICK_ACCURACY_USEC)
		return;
	m->publish_usec = now_usec;
	if (m->swap_changed)
		manager_bus_swap_changed(m);
	m->swap_changed = false;
	TAILQ_FOREACH(vm, &m->vms, list)
		vm_bus_publish(vm);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	uint64_t now_usec, wait_usec = m->conf->tick_usec;
	bool watched = false;
	unsigned int turn;
	struct vm *vm;
	int r;

	m->tick_usec = clock_usec(CLOCK_MONOTONIC);
	m->round++;
	TAILQ_FOREACH(vm, &m->vms, list)
		watched = watched || vm->module_id;
	if (watched)
		read_module(m);
	read_swap(m);

	now_usec = clock_usec(CLOCK_MONOTONIC);
	turn = m->round;
	TAILQ_FOREACH(vm, &m->vms, list) {
		/* What has not swapped lately is read in turns. */
		if (vm->active || turn++ % QUIET_TICKS == 0)
			vm_read_pressure(vm, now_usec);
		vm_settings_tick(vm);
		governor_run(vm, now_usec);
		if (vm->governor.rising)
			wait_usec = MIN_OF(wait_usec, RISING_USEC);
	}
	publish(m, now_usec);

	r = sd_event_source_set_time_relative(s, wait_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(s, m->n_vms > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void manager_tick_soon(struct manager *m)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC), due_usec = m->tick_usec + TICK_MIN_USEC;
	uint64_t at_usec;
	int r;

	if (!m->tick_source)
		return;
	/* One that is due anyway must not be put off. */
	if (sd_event_source_get_time(m->tick_source, &at_usec) >= 0 && at_usec <= due_usec)
		return;
	r = sd_event_source_set_time(m->tick_source, MAX_OF(due_usec, now_usec));
	if (r < 0)
		log_errno(LOG_DEBUG, r, "Cannot look earlier, ignoring");
}

static int tick_start(struct manager *m)
{
	int r, enabled;

	if (!m->tick_source) {
		r = sd_event_add_time_relative(m->event, &m->tick_source, CLOCK_MONOTONIC,
					       m->conf->tick_usec, TICK_ACCURACY_USEC, on_tick, m);
		if (r < 0)
			return r;
		(void)sd_event_source_set_description(m->tick_source, "tick");
		return sd_event_source_set_exit_on_failure(m->tick_source, true);
	}
	r = sd_event_source_get_enabled(m->tick_source, &enabled);
	if (r < 0 || enabled != SD_EVENT_OFF)
		return r;
	r = sd_event_source_set_time_relative(m->tick_source, m->conf->tick_usec);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(m->tick_source, SD_EVENT_ONESHOT);
}

/* ---- libvirt ---- */

void manager_remove(struct manager *m, struct vm *vm)
{
	log_debug("VM %s is gone", vm->name);
	vm_bus_removed(vm);
	take_out(m, vm);
	vm_free(vm);
}

void manager_remove_foreign(struct manager *m, pid_t pid)
{
	struct vm *vm;

	TAILQ_FOREACH(vm, &m->vms, list)
		if (vm->foreign && vm->view.pid == (uint32_t)pid) {
			log_info("VM %s is libvirt's", vm->name);
			manager_remove(m, vm);
			return;
		}
}

static bool have_room(struct manager *m)
{
	if (m->n_vms < MANAGER_VMS_MAX)
		return true;
	if (!m->vms_max_logged)
		log_error("More than %d VMs run, leaving out the others", MANAGER_VMS_MAX);
	m->vms_max_logged = true;
	return false;
}

static int add_vm(struct manager *m, const struct virt_domain *d)
{
	struct vm *vm;
	int r;

	if (!have_room(m))
		return 0;
	r = vm_new(m, d, m->has_pid_files, &vm);
	if (r < 0)
		return r;
	manager_insert(m, vm);
	vm_configure(vm);
	if (d->metadata_known)
		vm_metadata(vm, d->metadata);
	else
		vm_settings_tick(vm);
	vm_attach(vm);
	vm_bus_added(vm);
	return tick_start(m);
}

static bool on_foreign_known(pid_t pid, void *userdata)
{
	const struct manager *m = userdata;
	const struct vm *vm;

	TAILQ_FOREACH(vm, &m->vms, list)
		if (vm->view.pid == (uint32_t)pid)
			return true;
	return false;
}

static void on_foreign_found(struct foreign_process *p, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;
	int r;

	if (!have_room(m) || manager_find_by_uuid(m, p->uuid))
		return;
	r = vm_new_foreign(m, p, &vm);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot show VM %s", p->name);
		return;
	}
	manager_insert(m, vm);
	log_info("VM %s was found, which is not libvirt's", vm->name);
	vm_configure(vm);
	vm_attach(vm);
	vm_bus_added(vm);
	r = tick_start(m);
	if (r < 0)
		log_errno(LOG_ERR, r, "Cannot start the timer");
}

static const struct foreign_ops foreign_ops = {
	.known = on_foreign_known,
	.found = on_foreign_found,
};

static int apply_foreign(struct manager *m)
{
	struct vm *vm, *next;

	for (vm = TAILQ_FIRST(&m->vms); vm && !m->conf->foreign_vms; vm = next) {
		next = TAILQ_NEXT(vm, list);
		if (vm->foreign)
			manager_remove(m, vm);
	}
	return foreign_enable(m->foreign, m->conf->foreign_vms);
}

static void on_running(const struct virt_domain *d, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;
	int r;

	vm = manager_find_by_uuid(m, d->uuid);
	/* Another number is another run: everything about it begins anew. */
	if (vm && vm->view.libvirt_id != d->id) {
		manager_remove(m, vm);
		vm = NULL;
	}
	if (!vm) {
		r = add_vm(m, d);
		if (r < 0)
			log_errno(LOG_ERR, r, "Cannot show VM %s", d->name);
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
		vm_configure(vm);
	}
	if (d->metadata_known)
		vm_metadata(vm, d->metadata);
	vm_attach(vm);
}

static void on_stopped(const char *uuid, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	vm = manager_find_by_uuid(m, uuid);
	if (vm)
		manager_remove(m, vm);
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

	for (vm = TAILQ_FIRST(&m->vms); vm; vm = next) {
		next = TAILQ_NEXT(vm, list);
		if (!vm->foreign && !bsearch(vm->uuid, sorted, n, sizeof(*sorted), compare_uuid))
			manager_remove(m, vm);
	}
	for (size_t i = 0; i < n; i++)
		on_running(&domains[i], m);
}

static void on_virt_state(enum virt_state state, void *userdata)
{
	struct manager *m = userdata;

	manager_bus_libvirt_changed(m);
	/* Connected, or failed for the first time. */
	if (state != VIRT_CONNECTING && virt_ever_tried(m->virt) && !m->name_asked) {
		m->name_asked = true;
		manager_bus_request_name(m);
	}
}

static void on_metadata(const char *uuid, const char *xml, void *userdata)
{
	struct vm *vm = manager_find_by_uuid(userdata, uuid);

	if (vm)
		vm_metadata(vm, xml);
}

static void on_unread(const char *uuid, const char *text, void *userdata)
{
	struct vm *vm = manager_find_by_uuid(userdata, uuid);

	if (vm)
		vm_metadata_unread(vm, text);
}

static void on_written(const char *uuid, int error, const char *text, void *cookie, void *userdata)
{
	struct vm *vm = manager_find_by_uuid(userdata, uuid);

	if (vm)
		vm_metadata_written(vm, error, text);
	if (cookie)
		vm_bus_mode_kept(cookie, error, text);
}

static void on_xml(uint64_t cookie, const char *live, const char *config, void *userdata)
{
	struct manager *m = userdata;

	doctor_xml(m->doctor, cookie, live, config);
}

static const struct virt_ops virt_ops = {
	.state_changed = on_virt_state,
	.listed = on_listed,
	.running = on_running,
	.stopped = on_stopped,
	.metadata = on_metadata,
	.unread = on_unread,
	.written = on_written,
	.xml = on_xml,
};

static int on_name_wait_over(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	if (!m->name_asked) {
		log_debug("libvirt takes long, not waiting for it");
		m->name_asked = true;
		manager_bus_request_name(m);
	}
	return 0;
}

/* ---- configuration ---- */

/**
 * struct problems - what conf_load() found
 * @errors: one a line, as much as fits
 */
struct problems {
	char errors[CONF_ERROR_MAX];
	size_t len;
};

static void on_problem(bool error, const char *text, void *userdata)
{
	struct problems *p = userdata;
	int n;

	log_full(error ? LOG_ERR : LOG_WARNING, 0, NULL, __FILE__, __LINE__, __func__, "%s", text);
	if (!error || p->len + strlen(text) + 2 > sizeof(p->errors))
		return;
	n = snprintf(p->errors + p->len, sizeof(p->errors) - p->len, "%s%s", p->len ? "\n" : "",
		     text);
	p->len += (size_t)n;
}

/*
 * Returns 0, -EINVAL if it has errors, -ENOMEM. One with errors is used only
 * @first: a daemon that does not start is worse than one that leaves out a line.
 */
static int load_conf(struct manager *m, bool first)
{
	struct conf_source source = { .root = m->conf_root, .file = m->conf_file };
	_cleanup_(conf_freep) struct conf *c = NULL;
	struct problems problems = {};
	char *text;
	int r;

	r = conf_load(&source, on_problem, &problems, &c);
	if (r < 0)
		return r;
	text = strdup(problems.errors);
	if (!text)
		return -ENOMEM;
	free(m->conf_error);
	m->conf_error = text;
	if (r > 0 && !first)
		return -EINVAL;
	conf_free(m->conf);
	m->conf = TAKE_PTR(c);
	m->policy = m->conf->policy;
	m->dry_run = m->conf->dry_run;
	log_set_level(m->debug ? LOG_DEBUG : m->conf->log_level);
	return 0;
}

int manager_reload(struct manager *m)
{
	struct vm *vm;
	int r;

	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_usec(CLOCK_MONOTONIC));
	r = load_conf(m, false);
	if (r < 0) {
		log_errno(LOG_ERR, r == -EINVAL ? 0 : r,
			  "The configuration was not reloaded, the last one stays");
	} else {
		TAILQ_FOREACH(vm, &m->vms, list) {
			vm_configure(vm);
			governor_stir(vm);
		}
		if (apply_foreign(m) < 0)
			log_error("Cannot look for VMs that are not libvirt's");
		log_info("The configuration was reloaded, %zu files", m->conf->n_files);
	}
	manager_bus_conf_changed(m);
	(void)sd_notify(0, "READY=1");
	return r;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	(void)manager_reload(userdata);
	return 0;
}

static int on_user_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
	manager_dump(userdata);
	return 0;
}

void manager_dump(struct manager *m)
{
	int level = log_set_level(m->debug ? LOG_DEBUG : MAX_OF(m->conf->log_level, LOG_NOTICE));
	const struct genl_info *info = apfd_genl_info(m->genl);
	struct vm *vm;

	log_fields(LOG_NOTICE, 0,
		   ((const struct log_field[]){
			   { "APF_LIBVIRT", virt_state_to_string(virt_state(m->virt)) },
			   { "APF_HOST_MODULE", info ? info->version : "absent" },
			   { "APF_CONFIG_ERROR", m->conf_error },
			   {} }),
		   "State of apfd " APF_VERSION ": %zu VMs, libvirt %s, apf_host %s, %zu "
		   "configuration files%s",
		   m->n_vms, virt_state_to_string(virt_state(m->virt)),
		   info ? info->version : "absent", m->conf->n_files,
		   m->conf_error[0] ? " with errors" : "");
	TAILQ_FOREACH(vm, &m->vms, list)
		vm_dump(vm);
	log_set_level(level);
}

int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret)
{
	_cleanup_(manager_freep) struct manager *m = NULL;
	int r;

	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	TAILQ_INIT(&m->vms);
	/*
	 * Answers of the module come and go, large ones for a moment only: their memory
	 * goes back at once instead of staying with us.
	 */
	(void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	m->event = sd_event_ref(event);
	m->uri = strdup(options->uri);
	m->pid_dir = strdup(options->pid_dir);
	m->pid_dir_given = options->pid_dir_given;
	m->proc_root = strdup(options->proc_root);
	m->conf_error = strdup("");
	m->conf_root = strdup(options->conf.root);
	m->conf_file = options->conf.file ? strdup(options->conf.file) : NULL;
	m->debug = options->debug;
	m->sys_root = strdup(options->sys_root);
	m->cgroup_root = strdup(options->cgroup_root);
	if (!m->uri || !m->pid_dir || !m->proc_root || !m->sys_root || !m->cgroup_root ||
	    !m->conf_error || !m->conf_root || (options->conf.file && !m->conf_file))
		return -ENOMEM;
	r = load_conf(m, true);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot read the configuration");

	r = doctor_new(m, &m->doctor);
	if (r < 0)
		return r;
	r = manager_bus_connect(m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot connect to the system bus");
	r = polkit_new(m->bus, &m->polkit);
	if (r < 0)
		return r;
	r = apfd_genl_new(event, options->netlink, &genl_ops, m, &m->genl);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot open generic netlink");
	r = virt_new(event, m->uri, &virt_ops, m, &m->virt);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot use libvirt's library");
	r = foreign_new(event, m->proc_root, m->pid_dir, &foreign_ops, m, &m->foreign);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

int manager_start(struct manager *m)
{
	int r;

	r = apfd_genl_start(m->genl);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot listen for apf_host");
	if (!apfd_genl_info(m->genl))
		log_notice("Host module apf_host is not loaded: VMs are shown, gates cannot be "
			   "changed until it is");

	/* main() has blocked them. */
	r = sd_event_add_signal(m->event, NULL, SIGHUP, on_hangup, m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot listen for SIGHUP");
	r = sd_event_add_signal(m->event, NULL, SIGUSR1, on_user_signal, m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot listen for SIGUSR1");
	r = sd_event_add_time_relative(m->event, &m->name_source, CLOCK_MONOTONIC, NAME_WAIT_USEC,
				       0, on_name_wait_over, m);
	if (r < 0)
		return r;
	read_swap(m);
	r = apply_foreign(m);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot look for VMs that are not libvirt's");
	r = virt_start(m->virt);
	if (r < 0)
		return log_errno(LOG_ERR, r, "Cannot start the libvirt thread");
	return 0;
}

void manager_stop(struct manager *m)
{
	char text[GENL_TEXT_MAX];
	struct vm *vm;
	size_t n = 0;
	int r;

	if (m->conf->on_exit != CONF_ON_EXIT_RESTORE || m->dry_run)
		return;
	TAILQ_FOREACH(vm, &m->vms, list) {
		if (!vm->module_id || vm->view.state == VM_STATE_ON)
			continue;
		r = action_set_state(m->genl, vm->module_id, APF_STATE_ON, NULL, 0,
				     "apfd ends, OnExit=restore", text);
		if (r < 0)
			log_errno(LOG_WARNING, r, "Cannot restore the gates of VM %s%s%s", vm->name,
				  text[0] ? ": " : "", text);
		else
			n++;
	}
	log_info("The gates of %zu VMs are the kernel's own again", n);
}

struct manager *manager_free(struct manager *m)
{
	struct vm *vm;

	if (!m)
		return NULL;
	/* First what calls us, then what it calls about. */
	virt_free(m->virt);
	foreign_free(m->foreign);
	apfd_genl_free(m->genl);
	while ((vm = TAILQ_FIRST(&m->vms))) {
		take_out(m, vm);
		vm_free(vm);
	}
	sd_event_source_disable_unref(m->tick_source);
	sd_event_source_disable_unref(m->name_source);
	doctor_free(m->doctor);
	polkit_free(m->polkit);
	sd_bus_flush_close_unref(m->bus);
	sd_event_unref(m->event);
	free(m->uri);
	free(m->pid_dir);
	free(m->proc_root);
	conf_free(m->conf);
	free(m->conf_error);
	free(m->conf_root);
	free(m->conf_file);
	free(m->sys_root);
	free(m->cgroup_root);
	free(m);
	return NULL;
}
