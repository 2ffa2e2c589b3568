// SPDX-License-Identifier: GPL-2.0
/*
 * Sorting of the rows of "top". No I/O.
 */
#include <math.h>
#include <string.h>

#include "strv.h"
#include "top.h"

static int by_name(const void *a, const void *b)
{
	const struct vm *vm_a = a, *vm_b = b;
	/* web2 before web10. */
	int order = strverscmp(vm_label(vm_a), vm_label(vm_b));

	return order ?: strcmp(vm_a->uuid, vm_b->uuid);
}

static int by_state(const void *a, const void *b)
{
	return strcmp(((const struct vm *)a)->state, ((const struct vm *)b)->state);
}

static int by_mode(const void *a, const void *b)
{
	const struct vm *vm_a = a, *vm_b = b;

	return strcmp(vm_a->mode ?: "", vm_b->mode ?: "");
}

/* NAN cannot be compared: sort unknown figures below 0. */
static double rank(double figure)
{
	return isnan(figure) ? -1 : figure;
}

#define BY(name, field)                                   \
	static int name(const void *a, const void *b)     \
	{                                                 \
		const struct vm *vm_a = a, *vm_b = b;     \
		return COMPARE(vm_a->field, vm_b->field); \
	}
BY(by_swapped, swapped_bytes)
#define BY_RATE(name, field)                                          \
	static int name(const void *a, const void *b)                 \
	{                                                             \
		const struct vm *vm_a = a, *vm_b = b;                 \
		return COMPARE(rank(vm_a->field), rank(vm_b->field)); \
	}
BY_RATE(by_async, async_per_sec)
BY_RATE(by_sync, sync_per_sec)
BY(by_p50, p50_usec)
BY(by_p95, p95_usec)
BY_RATE(by_stalled, stall_ratio)
BY_RATE(by_peak, peak_stall_ratio)
BY(by_out, pressure.figures[PRESSURE_SWAPOUT_BYTES])
BY_RATE(by_saved, saved_ratio)
BY(by_pressure, pressure.figures[PRESSURE_SOME_AVG10])

/* Rank of a guest report, from low to high: none, no alarm, a late page, a closed gate. */
static double guest_alarm_rank(const struct vm *vm)
{
	const uint32_t *figures = vm->guest.figures;

	if (!vm->guest.present)
		return 0;
	if (figures[GUEST_POOL_IN_USE] > 0)
		return 1e12 + figures[GUEST_POOL_IN_USE];
	return guest_waiter_is_old(&vm->guest) ? figures[GUEST_OLDEST_SLEEPER_MSEC] : 1;
}

static int by_guest(const void *a, const void *b)
{
	return COMPARE(guest_alarm_rank(a), guest_alarm_rank(b));
}

const struct top_order top_orders[_TOP_MAX] = {
	[TOP_NAME] = { 'N', false, by_name },	   [TOP_STATE] = { 'S', false, by_state },
	[TOP_MODE] = { 'M', false, by_mode },	   [TOP_SWAPPED] = { 'W', true, by_swapped },
	[TOP_OUT] = { 'O', true, by_out },	   [TOP_ASYNC] = { 'A', true, by_async },
	[TOP_SYNC] = { 'Y', true, by_sync },	   [TOP_P50] = { '5', true, by_p50 },
	[TOP_P95] = { '9', true, by_p95 },	   [TOP_STALLED] = { 'T', true, by_stalled },
	[TOP_PEAK] = { 'K', true, by_peak },	   [TOP_SAVED] = { 'V', true, by_saved },
	[TOP_PRESSURE] = { 'P', true, by_pressure }, [TOP_GUEST] = { 'G', true, by_guest },
};

static int by_index(const void *a, const void *b)
{
	const struct top_vcpu *row_a = a, *row_b = b;

	return COMPARE(row_a->vcpu->index, row_b->vcpu->index);
}

static int by_vcpu_state(const void *a, const void *b)
{
	const struct top_vcpu *row_a = a, *row_b = b;

	return strcmp(row_a->vcpu->state, row_b->vcpu->state);
}

static int by_vcpu_apf(const void *a, const void *b)
{
	const struct top_vcpu *row_a = a, *row_b = b;

	return strcmp(row_a->vcpu->guest_apf, row_b->vcpu->guest_apf);
}

#define BY_VCPU(name, field)                                  \
	static int name(const void *a, const void *b)         \
	{                                                     \
		const struct top_vcpu *row_a = a, *row_b = b; \
		return COMPARE(row_a->field, row_b->field);   \
	}
#define BY_VCPU_RATE(name, field)                                       \
	static int name(const void *a, const void *b)                   \
	{                                                               \
		const struct top_vcpu *row_a = a, *row_b = b;           \
		return COMPARE(rank(row_a->field), rank(row_b->field)); \
	}
BY_VCPU(by_vcpu_waiting, vcpu->outstanding.pages)
BY_VCPU_RATE(by_vcpu_async, async_per_sec)
BY_VCPU_RATE(by_vcpu_sync, sync_per_sec)
BY_VCPU_RATE(by_vcpu_stalled, stalled)
BY_VCPU_RATE(by_vcpu_saved, saved)
BY_VCPU(by_vcpu_ready, vcpu->counters.value[COUNTER_READY])
BY_VCPU(by_vcpu_sync_total, vcpu->counters.value[COUNTER_SYNC_STALLS])

const struct top_order top_vcpu_orders[_TOP_VCPU_MAX] = {
	[TOP_VCPU_INDEX] = { 'N', false, by_index },
	[TOP_VCPU_STATE] = { 'S', false, by_vcpu_state },
	[TOP_VCPU_APF] = { 'G', false, by_vcpu_apf },
	[TOP_VCPU_WAITING] = { 'W', true, by_vcpu_waiting },
	[TOP_VCPU_ASYNC] = { 'A', true, by_vcpu_async },
	[TOP_VCPU_SYNC] = { 'Y', true, by_vcpu_sync },
	[TOP_VCPU_STALLED] = { 'T', true, by_vcpu_stalled },
	[TOP_VCPU_SAVED] = { 'V', true, by_vcpu_saved },
	[TOP_VCPU_READY] = { 'R', true, by_vcpu_ready },
	[TOP_VCPU_SYNC_TOTAL] = { 'C', true, by_vcpu_sync_total },
};

struct direction {
	const struct top_order *order;
	bool falling;
};

static int compare_vms(const void *a, const void *b, void *userdata)
{
	const struct vm *vm_a = a, *vm_b = b;
	const struct direction *direction = userdata;
	int order = direction->order->compare(a, b);

	if (order != 0)
		return direction->falling ? -order : order;
	order = -COMPARE(rank(vm_a->stall_ratio), rank(vm_b->stall_ratio));
	if (order == 0)
		order = -COMPARE(rank(vm_a->async_per_sec + vm_a->sync_per_sec),
				 rank(vm_b->async_per_sec + vm_b->sync_per_sec));
	return order ?: by_name(a, b);
}

void top_sort(struct vm_list *vms, struct ordering by)
{
	const struct top_order *order = &top_orders[by.column];
	struct direction direction = { order, order->falling != by.reversed };

	if (vms->n > 0)
		qsort_r(vms->vms, vms->n, sizeof(*vms->vms), compare_vms, &direction);
}

static int compare_vcpus(const void *a, const void *b, void *userdata)
{
	const struct direction *direction = userdata;
	int order = direction->order->compare(a, b);

	if (order != 0)
		return direction->falling ? -order : order;
	return by_index(a, b);
}

void top_sort_vcpus(struct top_vcpu *rows, size_t n, struct ordering by)
{
	const struct top_order *order = &top_vcpu_orders[by.column];
	struct direction direction = { order, order->falling != by.reversed };

	if (n > 0)
		qsort_r(rows, n, sizeof(*rows), compare_vcpus, &direction);
}

static const struct vcpu *find_vcpu(const struct vcpu_array *array, uint32_t index)
{
	for (size_t i = 0; i < array->n; i++)
		if (array->vcpus[i].index == index)
			return &array->vcpus[i];
	return NULL;
}

/* Growth of a counter; 0 if the counter was reset, NAN if it is not counted. */
static double counter_delta(const struct vcpu *now, const struct vcpu *before, enum counter counter)
{
	uint64_t now_n = now->counters.value[counter], before_n = before->counters.value[counter];

	if (!counter_known(&now->counters, counter) || !counter_known(&before->counters, counter))
		return NAN;
	return now_n < before_n ? 0 : (double)(now_n - before_n);
}

void top_vcpu_rows(struct top_vcpu *rows, const struct vcpu_array *now,
		   const struct vcpu_array *before, uint64_t nsec)
{
	/* Without an interval all deltas are 0: any divisor works. */
	double sec = nsec > 0 ? (double)nsec / 1e9 : 1;

	for (size_t i = 0; i < now->n; i++) {
		const struct vcpu *vcpu = &now->vcpus[i], *old = find_vcpu(before, vcpu->index);

		rows[i] = (struct top_vcpu){ .vcpu = vcpu };
		if (!old || nsec == 0)
			old = vcpu;
		rows[i].async_per_sec = counter_delta(vcpu, old, COUNTER_READY) / sec;
		rows[i].sync_per_sec = counter_delta(vcpu, old, COUNTER_SYNC_STALLS) / sec;
		rows[i].stalled = counter_delta(vcpu, old, COUNTER_SYNC_STALL_NSEC) / (sec * 1e9);
		rows[i].saved = counter_delta(vcpu, old, COUNTER_SAVED_NSEC) / (sec * 1e9);
	}
}
