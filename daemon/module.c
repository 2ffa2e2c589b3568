/* SPDX-License-Identifier: GPL-2.0 */
#include "module.h"

#include <errno.h>

#include "governor.h"
#include "log.h"
#include "manager-bus.h"
#include "manager.h"
#include "vm-attach.h"
#include "vm-bus.h"
#include "vm-event.h"
#include "vm-vcpus.h"
#include "vm.h"

/*
 * A reading takes as little as one dump for the listing and, if VMs have swapped, one for vCPUs. If
 * something goes wrong with the dump of all vCPUs, each VM that is missing is read by itself, and
 * only what then fails is not known.
 */

/* A reading that takes longer is ended; the VMs that are missing are not known in this tick. */
#define EACH_MAX_USEC (2 * USEC_PER_SEC)

/* If many requests take longer than this, try one dump of all vCPUs. */
#define EACH_SLOW_USEC (200 * USEC_PER_MSEC)

/* After so many dumps without an answer the module is not asked any more in this tick. */
enum { EACH_TIMEOUTS_MAX = 2 };

static void read_each(struct manager *m);

/* Finds the VM of a record. In a dump it is usually the one after that of the record before. */
static struct vm *find_next(struct manager *m, uint32_t module_id)
{
	struct vm *next;

	next = registry_find_by_module_id(&m->context.vms, module_id, m->reading.last);
	if (next)
		m->reading.last = next;
	return next;
}

/* ---- the end of a reading ---- */

static void log_not_read(struct manager *m, const struct vm *first, size_t n)
{
	if (n > 0)
		log_errno(m->dump_failed ? LOG_DEBUG : LOG_WARNING, m->reading.error,
			  "Cannot read the counters of apf_host for VM %s%s, will keep retrying",
			  first->name, n > 1 ? " and others" : "");
	else if (m->dump_failed)
		log_info("The counters of apf_host can be read again");
	m->dump_failed = n > 0;
}

static void end_reading(struct manager *m)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);
	struct vm *vm, *first = NULL;
	size_t n = 0;

	m->reading.phase = MODULE_IDLE;
	REGISTRY_FOREACH(vm, &m->context.vms)
	{
		if (!vm->module_id)
			continue;
		if (vm->reading.was_read)
			continue;
		if (!vm->reading.must_read) {
			vm_skip_interval(vm, now_usec);
		} else {
			vm_not_read(vm);
			first = first ? first : vm;
			n++;
		}
	}
	if (apfd_genl_info(m->context.genl))
		log_not_read(m, first, n);
	m->reading.done(m);
}

/* ---- vCPUs ---- */

/* What was set since the dump began is newer than the dump. */
static void keep_newer_gates(const struct vm *vm, struct genl_vcpu *vcpus, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < vm->n_vcpus; k++)
			if (vm->vcpus[k].index == vcpus[i].index) {
				vcpus[i].state = vm->vcpus[k].state;
				vcpus[i].leased = vm->vcpus[k].leased;
			}
}

static void on_vcpus(uint32_t vm_id, struct genl_vcpu *vcpus, size_t n, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm = find_next(m, vm_id);

	/* Another program added this VM, or libvirt does not know it any more. */
	if (!vm)
		return;
	/* Some were malformed. vCPUs are added while a VM runs, but never removed. */
	if (vm->reading.listed && n < vm->reading.n_vcpus) {
		m->reading.error = -EBADMSG;
		return;
	}
	if (vm->gate_usec >= m->reading.begin_usec)
		keep_newer_gates(vm, vcpus, n);
	if (vm_update_vcpus(vm, vcpus, n, clock_usec(CLOCK_MONOTONIC)) < 0)
		log_oom();
	else
		vm->reading.was_read = true;
}

static void on_bad_vcpus(uint32_t vm_id, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm = find_next(m, vm_id);

	if (!vm)
		return;
	m->reading.error = -EBADMSG;
	/* If other records of this VM have been used, they may be as wrong. */
	vm->reading.must_read = vm->reading.must_read || vm->reading.was_read;
	vm->reading.was_read = false;
}

static void on_each_done(int error, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	if (error < 0)
		m->reading.error = error;
	m->reading.timeouts = error == -ETIMEDOUT ? m->reading.timeouts + 1 : 0;
	vm = m->reading.last;
	/* The notification was lost, or is on its way. */
	if (vm && vm->module_id == m->reading.asked && error == -ENOENT) {
		vm_unwatch(vm, "its KVM VM was destroyed");
		vm_attach(vm);
	}
	read_each(m);
}

static void on_all_done(int error, void *userdata)
{
	struct manager *m = userdata;

	if (error < 0)
		m->reading.error = error;
	if (error == -ENXIO)
		end_reading(m);
	else
		read_each(m);
}

static const struct genl_dump_ops each_ops = {
	.vcpus = on_vcpus,
	.bad = on_bad_vcpus,
	.done = on_each_done,
};

static const struct genl_dump_ops all_ops = {
	.vcpus = on_vcpus,
	.bad = on_bad_vcpus,
	.done = on_all_done,
};

static void read_all(struct manager *m)
{
	int r;

	m->reading.all_done = true;
	m->reading.phase = MODULE_ALL;
	m->reading.last = NULL;
	r = apfd_genl_dump_start(m->context.genl, APF_CMD_VCPU_GET, 0, &all_ops, m);
	if (r < 0) {
		m->reading.error = r;
		end_reading(m);
	}
}

static bool is_missing(const struct vm *vm)
{
	return vm->module_id && vm->reading.must_read && !vm->reading.was_read &&
	       !vm->reading.asked;
}

/* Asks for the next VM that must still be read. */
static void read_each(struct manager *m)
{
	struct module_reading *reading = &m->reading;
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);
	struct vm *vm;
	int r;

	if (reading->phase != MODULE_EACH) {
		reading->phase = MODULE_EACH;
		reading->each_usec = now_usec;
		reading->last = NULL;
	}
	vm = reading->last ? TAILQ_NEXT(reading->last, list) : TAILQ_FIRST(&m->context.vms.list);
	while (vm && !is_missing(vm))
		vm = TAILQ_NEXT(vm, list);
	if (!vm || reading->timeouts >= EACH_TIMEOUTS_MAX ||
	    now_usec - reading->each_usec > EACH_MAX_USEC ||
	    !apfd_genl_info(m->context.genl)) {
		end_reading(m);
		return;
	}
	if (!reading->all_done && now_usec - reading->each_usec > EACH_SLOW_USEC) {
		read_all(m);
		return;
	}
	vm->reading.asked = true;
	reading->last = vm;
	reading->asked = vm->module_id;
	r = apfd_genl_dump_start(m->context.genl, APF_CMD_VCPU_GET, vm->module_id, &each_ops, m);
	if (r < 0) {
		reading->error = r;
		end_reading(m);
	}
}

/* ---- the listing ---- */

static void on_vm(const struct genl_vm *listed, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm = find_next(m, listed->id);
	bool changed;

	if (!vm)
		return;
	if (vm->gate_usec >= m->reading.begin_usec) {
		/* What was set since the dump began is newer than the dump. */
		struct genl_vm newer = *listed;

		newer.state = vm->gate;
		newer.leased = vm->leased;
		changed = vm_update_sums(vm, &newer);
	} else {
		changed = vm_update_sums(vm, listed);
	}
	vm->reading.must_read = changed || m->events_lost || m->reading.turn++ % IDLE_TICKS == 0;
}

/* A VM that is not listed stays marked as one that must be read. */
static void on_bad_vm(uint32_t vm_id, void *userdata)
{
}

static void on_listed(int error, void *userdata)
{
	struct manager *m = userdata;
	size_t n_marked = 0, n_all = 0;
	struct vm *vm;

	m->reading.error = error;
	/* The module does not answer at all, or is absent. */
	if (error == -ETIMEDOUT || error == -ENXIO) {
		end_reading(m);
		return;
	}
	m->events_lost = false;
	REGISTRY_FOREACH(vm, &m->context.vms)
	{
		size_t n = MAX_OF(vm->reading.listed ? vm->reading.n_vcpus : vm->n_vcpus, 1);

		if (!vm->module_id)
			continue;
		n_all += n;
		n_marked += vm->reading.must_read ? n : 0;
	}
	/* If most vCPUs must be read, one dump of all vCPUs is cheaper than many requests. */
	if (n_marked > n_all / 2)
		read_all(m);
	else
		read_each(m);
}

static const struct genl_dump_ops list_ops = {
	.vm = on_vm,
	.bad = on_bad_vm,
	.done = on_listed,
};

void module_read(struct manager *m, void (*done)(struct manager *m))
{
	struct vm *vm;
	int r;

	m->reading = (struct module_reading){
		.phase = MODULE_LISTING,
		.begin_usec = clock_usec(CLOCK_MONOTONIC),
		.done = done,
		.turn = m->reading.turn + 1,
	};
	REGISTRY_FOREACH(vm, &m->context.vms)
	vm->reading = (struct vm_reading){ .must_read = vm->module_id };
	r = apfd_genl_dump_start(m->context.genl, APF_CMD_VM_GET, 0, &list_ops, m);
	if (r < 0) {
		m->reading.error = r;
		end_reading(m);
	}
}

void module_forget(struct manager *m, const struct vm *vm)
{
	if (m->reading.last == vm)
		m->reading.last = NULL;
}

/* ---- events ---- */

void module_presence(bool present, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	if (present)
		log_notice("Host module apf_host %s is loaded",
			   apfd_genl_info(m->context.genl)->version);
	else
		log_notice("Host module apf_host was unloaded: all gates are on, as without it");
	REGISTRY_FOREACH(vm, &m->context.vms)
	{
		vm_unwatch(vm, "apf_host is not loaded");
		if (present)
			vm_attach(vm);
	}
	manager_bus_host_module_changed(m->server);
}

void module_event(const struct genl_event *e, void *userdata)
{
	struct manager *m = userdata;
	struct vm *vm;

	vm = registry_find_by_module_id(&m->context.vms, e->vm_id, NULL);
	/* When apfd ends, gates are restored; nothing closes them again. */
	if (!vm || m->stopping)
		return;
	switch (e->type) {
	case APF_EVENT_VM_GONE:
		vm_unwatch(vm, "its KVM VM was destroyed");
		/* Usually the process ends now; if not, it may make a new KVM VM. */
		vm_attach(vm);
		break;
	case APF_EVENT_GATE_CHANGED:
		vm_gate_changed(vm, e);
		vm_bus_gate_changed(m->server, vm, e);
		break;
	case APF_EVENT_POOL_TAKEN:
	case APF_EVENT_POOL_RETURNED:
	case APF_EVENT_POOL_EXHAUSTED:
	case APF_EVENT_WAITER_OLD:
	case APF_EVENT_REPORT_GONE:
	case APF_EVENT_SLOT_STUCK:
		vm_guest_event(vm, e);
		vm_bus_guest_event(m->server, vm, e);
		/* The gate must be closed to protect the guest: do not wait for the tick. */
		if (e->type == APF_EVENT_POOL_TAKEN || e->type == APF_EVENT_POOL_EXHAUSTED)
			governor_run(vm, clock_usec(CLOCK_MONOTONIC));
		break;
	default:
		break;
	}
}
