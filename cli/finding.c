// SPDX-License-Identifier: GPL-2.0
#include "finding.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format.h"

struct findings {
	struct finding *findings;
	size_t n;
};

static void found(struct findings *f, const char *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void found(struct findings *f, const char *id, const char *format, ...)
{
	struct finding *finding;
	va_list args;

	if (f->n >= FINDINGS_MAX)
		return;
	finding = &f->findings[f->n++];
	finding->id = id;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

/* Why so few swap-ins were asynchronous, if the reason is known. */
static void explain_low_share(struct findings *f, const struct host *host, const struct vm *vm)
{
	uint64_t swapins = counters_swapins(vm->counters);
	double share = swapins > 0 ? (double)vm->counters[COUNTER_READY] / (double)swapins : 0;
	char text[FORMAT_MAX];

	if (swapins < FINDING_MIN_SWAPINS || share >= FINDING_LOW_SHARE)
		return;
	format_share(text, share);
	if (strcmp(vm->state, "off") == 0)
		found(f, "gate-off", "asynchronous share %s: the state is off", text);
	else if (strcmp(host->nowait_swapin, "off") == 0)
		found(f, "nowait-off", "asynchronous share %s: no-wait swap-in is off", text);
	else if (strcmp(host->nowait_swapin, "unavailable") == 0)
		found(f, "nowait-unavailable",
		      "asynchronous share %s: this kernel needs no-wait swap-in, "
		      "but apf_host cannot place its probe",
		      text);
	/* Counters of all the time since VM_ADD: asked but refused says why. */
	else if (vm->counters[COUNTER_REFUSED_NESTED] > vm->counters[COUNTER_ASKED] / 2)
		found(f, "nested",
		      "asynchronous share %s: a nested guest was running at %" PRIu64 " of %" PRIu64
		      " faults",
		      text, vm->counters[COUNTER_REFUSED_NESTED], vm->counters[COUNTER_ASKED]);
	else if (vm->counters[COUNTER_REFUSED_PAUSED] > vm->counters[COUNTER_ASKED] / 2)
		found(f, "paused",
		      "asynchronous share %s: the gate was closed for the guest's emergency nodes "
		      "at %" PRIu64 " of %" PRIu64 " faults",
		      text, vm->counters[COUNTER_REFUSED_PAUSED], vm->counters[COUNTER_ASKED]);
}

static void explain_guest(struct findings *f, const struct vm *vm, const struct vcpu_array *vcpus)
{
	size_t n_off = 0;

	if (!vcpus || vcpus->n == 0)
		return;
	/* apf_guest switches off on a vCPU whose emergency nodes are in use: it did ask. */
	for (size_t i = 0; i < vcpus->n; i++)
		n_off += strcmp(vcpus->vcpus[i].guest_apf, "off") == 0 && !vcpus->vcpus[i].paused;
	if (n_off < vcpus->n)
		return;
	if (strcmp(vm->state, "pv") == 0)
		found(f, "guest-apf-off",
		      "the guest cannot be told of missing pages (it has not asked for it): "
		      "in state pv every swap-in is synchronous");
	else if (strcmp(vm->state, "on") == 0)
		found(f, "guest-apf-off",
		      "the guest cannot be told of missing pages (it has not asked for it): "
		      "KVM can only halt its vCPUs");
}

/* What the guest's own module reports; that it is absent is no news. */
static void explain_report(struct findings *f, const struct vm *vm)
{
	const uint32_t *figures = vm->guest.figures;
	char text[FORMAT_MAX];

	if (vm->paused_vcpus.n > 0)
		found(f, "pool-in-use",
		      "the gate of %zu vCPU%s is closed: the guest lacked memory for a wake-up and "
		      "has %u of %u emergency nodes in use; it opens when they are back",
		      vm->paused_vcpus.n, vm->paused_vcpus.n == 1 ? "" : "s",
		      figures[GUEST_POOL_IN_USE], figures[GUEST_POOL_SIZE]);
	if (figures[GUEST_POOL_EXHAUSTED] > 0)
		found(f, "pool-exhausted",
		      "the guest ran out of emergency nodes (times: %u) and woke all sleepers of "
		      "the vCPU; load apf_guest with a larger pool",
		      figures[GUEST_POOL_EXHAUSTED]);
	if (guest_waiter_is_old(&vm->guest))
		found(f, "waiter-old", "a task of the guest has waited %s for its page",
		      format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL));
	if (figures[GUEST_RESCUES] > 0)
		found(f, "rescues",
		      "the guest woke tasks whose \"page ready\" did not come in time: %u so far",
		      figures[GUEST_RESCUES]);
	if (vm->counters[COUNTER_BAD_REPORTS] > 0)
		found(f, "bad-reports",
		      "reports of the guest that made no sense were ignored: %" PRIu64 " so far",
		      vm->counters[COUNTER_BAD_REPORTS]);
}

size_t findings_derive(const struct host *host, const struct vm *vm, const struct vcpu_array *vcpus,
		       struct finding findings[FINDINGS_MAX])
{
	struct findings f = { .findings = findings };
	uint64_t events = vm->counters[COUNTER_NOT_PRESENT] + vm->counters[COUNTER_SYNC_STALLS];

	if (strcmp(host->host_module, "absent") == 0) {
		found(&f, "module-absent",
		      "apf_host is not loaded: gates cannot be changed and "
		      "counters stand still; modprobe apf_host");
		return f.n;
	}
	if (!vm->watched) {
		found(&f, "not-watched",
		      "the VM is not watched: gates cannot be changed and "
		      "counters stand still");
		return f.n;
	}

	explain_low_share(&f, host, vm);
	explain_guest(&f, vm, vcpus);
	explain_report(&f, vm);
	if (counters_swapins(vm->counters) == 0 && vm->counters[COUNTER_NOT_PRESENT] == 0)
		found(&f, "no-swap-in", "no page was swapped in since the VM is watched");
	/* One in a hundred: figures are then off by more than they are rounded. */
	if (vm->counters[COUNTER_PROBE_MISSES] > 0 &&
	    vm->counters[COUNTER_PROBE_MISSES] >= events / 100)
		found(&f, "probe-misses",
		      "%" PRIu64 " events could not be classified or timed: "
		      "latencies and shares are less exact",
		      vm->counters[COUNTER_PROBE_MISSES]);
	return f.n;
}
