/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-vcpus.h"

#include <errno.h>
#include <math.h>

#include "context.h"
#include "governor.h"
#include "vm.h"

/* Updates vm->waiting and vm->memory.active from the counters of the last interval. */
static void update_activity(struct vm *vm, const struct stats_totals *cur, size_t n_vcpus)
{
	const struct stats_totals *prev = &vm->view.totals;
	double seconds, waited_sec;

	vm->waiting = NAN;
	if (!vm->have_sample || n_vcpus == 0 || cur->at_usec <= prev->at_usec)
		return;
	/* A counter that the module does not have is NAN, and NAN > 0 is false. */
	if (stats_growth(prev, cur, APF_STAT_READY) > 0 ||
	    stats_growth(prev, cur, APF_STAT_SYNC_STALLS) > 0)
		vm->memory.active = true;
	seconds = (double)(cur->at_usec - prev->at_usec) / (double)USEC_PER_SEC;
	waited_sec = (stats_growth(prev, cur, APF_STAT_SYNC_STALL_NSEC) +
		      stats_growth(prev, cur, APF_STAT_ASYNC_NSEC)) /
		     1e9;
	if (isnan(waited_sec))
		return;
	vm->waiting = MIN_OF(MAX_OF(waited_sec / (seconds * (double)n_vcpus), 0.0), 1.0);
}

static void update_peaks(struct vm *vm, const struct stats_totals *cur)
{
	peak_add(&vm->peak_stall_ratio, vm->view.figures.stall_ratio, cur->at_usec);
	peak_add(&vm->peak_latency_usec, stats_longest_usec(&vm->view.totals, cur), cur->at_usec);
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
		vm_unpause_all(vm);
		free(vm->vcpus);
		vm->vcpus = array;
		vm->n_vcpus = n;
		vm->vcpu_states_changed = true;
	}
	for (size_t i = 0; i < n; i++) {
		if (vm->vcpus[i].state != vcpus[i].state)
			vm->vcpu_states_changed = true;
		vm_set_paused(vm, &vm->vcpus[i], vcpus[i].paused);
		if (dt_usec > 0 && vm->governor.n_vcpus == n)
			governor_sample(vm, i, &vm->vcpus[i], &vcpus[i], dt_usec);
		vm->vcpus[i] = vcpus[i];
		stats_add(&totals, &vcpus[i].totals);
		outstanding += vcpus[i].outstanding;
	}
	update_activity(vm, &totals, n);
	if (vm->have_sample &&
	    stats_update(&vm->view.figures, &vm->view.totals, &totals, (unsigned int)n) >= 0)
		update_peaks(vm, &totals);
	vm->view.totals = totals;
	vm->view.outstanding = outstanding;
	r = governor_match(vm, !vm->have_sample);
	if (vm->reading.listed && r >= 0)
		memcpy(vm->sums, vm->reading.counters, sizeof(vm->sums));
	vm->have_sample = true;
	vm_update_state(vm);
	vm_update_guest(vm);
	return r;
}

bool vm_update_sums(struct vm *vm, const struct genl_vm *listed)
{
	const struct stats_figures *f = &vm->view.figures;
	bool changed =
		!listed->has_counters || memcmp(vm->sums, listed->counters, sizeof(vm->sums)) != 0;

	vm->reading.listed = true;
	vm->reading.n_vcpus = listed->n_vcpus;
	memcpy(vm->reading.counters, listed->counters, sizeof(vm->reading.counters));
	if (listed->leased_known)
		vm->leased = listed->leased;
	/* The gate differs from our record, so a notification was missed. */
	if (listed->state != vm->gate) {
		vm->gate = listed->state;
		vm_update_state(vm);
		return true;
	}
	if (changed || !vm->have_sample || listed->n_vcpus != vm->n_vcpus)
		return true;
	/* Rates that are not zero must become zero. */
	if (f->async_rate > 0 || f->sync_rate > 0 || f->saved_ratio > 0 || !governor_is_settled(vm))
		return true;
	/* While tasks of the guest wait, the guest's report changes even if no counter does. */
	return vm->view.outstanding > 0 || vm->view.guest[APF_GUEST_A_SLEEPERS] > 0 ||
	       vm->view.guest[APF_GUEST_A_POOL_IN_USE] > 0;
}

void vm_skip_interval(struct vm *vm, uint64_t now_usec)
{
	const uint64_t waits = STATS_BIT(APF_STAT_SYNC_STALL_NSEC) | STATS_BIT(APF_STAT_ASYNC_NSEC);

	/* The next interval begins here. */
	vm->view.totals.at_usec = now_usec;
	vm->waiting = vm->view.totals.uncounted & waits ? NAN : 0;
}

void vm_not_read(struct vm *vm)
{
	vm->waiting = NAN;
	governor_not_read(vm);
}

int vm_read_vcpus(struct vm *vm)
{
	_cleanup_free_ struct genl_vcpu *vcpus = NULL;
	int n;

	if (!vm->module_id)
		return -ENOENT;
	n = apfd_genl_vcpu_dump(vm->context->genl, vm->module_id, &vcpus);
	if (n < 0)
		return n;

	/*
	 * This is a second reading within one interval. Update gates and reports only; the tick
	 * updates counters and figures, because its rates are for whole intervals.
	 */
	if (vm->have_sample && (size_t)n == vm->n_vcpus) {
		for (int i = 0; i < n; i++) {
			if (vm->vcpus[i].state != vcpus[i].state)
				vm->vcpu_states_changed = true;
			vm->vcpus[i].state = vcpus[i].state;
			vm_set_paused(vm, &vm->vcpus[i], vcpus[i].paused);
			vm->vcpus[i].guest = vcpus[i].guest;
		}
		vm_update_state(vm);
		vm_update_guest(vm);
		return 0;
	}
	return vm_update_vcpus(vm, vcpus, (size_t)n, clock_usec(CLOCK_MONOTONIC));
}
