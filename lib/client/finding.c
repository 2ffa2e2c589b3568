// SPDX-License-Identifier: GPL-2.0
#include "finding.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "names.h"

struct findings {
	struct finding *findings;
	size_t n;
};

static void add_finding(struct findings *f, enum diag_note note, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add_finding(struct findings *f, enum diag_note note, const char *format, ...)
{
	struct finding *finding;
	va_list args;

	if (f->n >= FINDINGS_MAX)
		return;
	finding = &f->findings[f->n++];
	finding->note = note;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

/* Adds the reason for a low share of asynchronous swap-ins, if it is known. */
static void explain_low_share(struct findings *f, const struct host *host, const struct vm *vm)
{
	uint64_t swapins = counters_swapins(&vm->counters);
	const uint64_t *c = vm->counters.value;
	double share = swapins > 0 ? (double)c[COUNTER_READY] / (double)swapins : 0;
	char text[FORMAT_MAX];

	if (!counters_swapins_known(&vm->counters) || swapins < DIAG_MIN_SWAPINS ||
	    share >= DIAG_LOW_SHARE)
		return;
	format_share(text, share);
	if (strcmp(vm->state, NAME_OFF) == 0)
		add_finding(f, NOTE_GATE_OFF, "asynchronous share %s: the state is off", text);
	else if (strcmp(host->nowait_swapin, NAME_OFF) == 0)
		add_finding(f, NOTE_NOWAIT_OFF, "asynchronous share %s: no-wait swap-in is off",
			    text);
	else if (strcmp(host->nowait_swapin, NAME_UNAVAILABLE) == 0)
		add_finding(f, NOTE_NOWAIT_UNAVAILABLE,
			    "asynchronous share %s: this kernel needs no-wait swap-in, "
			    "but apf_host cannot place its probe",
			    text);
	/* Counters since VM_ADD: if most faults were refused, the kind of refusal is the reason. */
	else if (c[COUNTER_REFUSED_NESTED] > c[COUNTER_ASKED] / 2)
		add_finding(f, NOTE_NESTED,
			    "asynchronous share %s: a nested guest was running at %" PRIu64
			    " of %" PRIu64 " faults",
			    text, c[COUNTER_REFUSED_NESTED], c[COUNTER_ASKED]);
	else if (c[COUNTER_REFUSED_PAUSED] > c[COUNTER_ASKED] / 2)
		add_finding(f, NOTE_PAUSED,
			    "asynchronous share %s: the gate was closed for the guest's emergency "
			    "nodes "
			    "at %" PRIu64 " of %" PRIu64 " faults",
			    text, c[COUNTER_REFUSED_PAUSED], c[COUNTER_ASKED]);
}

static void explain_guest(struct findings *f, const struct vm *vm, const struct vcpu_array *vcpus)
{
	size_t n_off = 0;

	if (!vcpus || vcpus->n == 0)
		return;
	/*
	 * apf_guest switches APF off on a vCPU that has an emergency node in use. A paused vCPU
	 * is therefore not one whose guest never enabled APF.
	 */
	for (size_t i = 0; i < vcpus->n; i++)
		n_off +=
			strcmp(vcpus->vcpus[i].guest_apf, NAME_OFF) == 0 && !vcpus->vcpus[i].paused;
	if (n_off < vcpus->n)
		return;
	if (strcmp(vm->state, NAME_PV) == 0)
		add_finding(f, NOTE_GUEST_APF_OFF,
			    "the guest has not enabled notifications of missing pages: "
			    "in state pv every swap-in is synchronous");
	else if (strcmp(vm->state, NAME_ON) == 0)
		add_finding(f, NOTE_GUEST_APF_OFF,
			    "the guest has not enabled notifications of missing pages: "
			    "KVM can only halt its vCPUs");
}

/* Adds findings from the guest module's report. Its absence is not a finding. */
static void explain_report(struct findings *f, const struct vm *vm)
{
	const uint32_t *figures = vm->guest.figures;
	char text[FORMAT_MAX];

	if (vm->paused_vcpus.n > 0)
		add_finding(f, NOTE_POOL_IN_USE,
			    "the gate of %zu vCPU%s is closed: the guest lacked memory for a "
			    "wake-up and has %u of %u emergency nodes in use; it opens when they "
			    "are free again",
			    vm->paused_vcpus.n, vm->paused_vcpus.n == 1 ? "" : "s",
			    figures[GUEST_POOL_IN_USE], figures[GUEST_POOL_SIZE]);
	if (figures[GUEST_POOL_EXHAUSTED] > 0)
		add_finding(f, NOTE_POOL_EXHAUSTED,
			    "the guest ran out of emergency nodes %u times and woke all sleeping "
			    "tasks of the vCPU",
			    figures[GUEST_POOL_EXHAUSTED]);
	if (guest_waiter_is_old(&vm->guest))
		add_finding(f, NOTE_WAITER_OLD, "a task of the guest has waited %s for its page",
			    format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL));
	if (figures[GUEST_RESCUES] > 0)
		add_finding(
			f, NOTE_RESCUES,
			"the guest woke tasks whose \"page ready\" did not come in time: %u so far",
			figures[GUEST_RESCUES]);
	if (figures[GUEST_STUCK] > 0)
		add_finding(f, NOTE_SLOT_STUCK,
			    "\"page ready\" interrupts were lost, and the guest handled the events "
			    "later: %u so far",
			    figures[GUEST_STUCK]);
	if (vm->counters.value[COUNTER_BAD_REPORTS] > 0)
		add_finding(f, NOTE_BAD_REPORTS,
			    "invalid reports of the guest were ignored: %" PRIu64 " so far",
			    vm->counters.value[COUNTER_BAD_REPORTS]);
}

size_t findings_derive(const struct host *host, const struct vm *vm, const struct vcpu_array *vcpus,
		       struct finding findings[FINDINGS_MAX])
{
	struct findings f = { .findings = findings };
	const uint64_t *c = vm->counters.value;
	uint64_t events = c[COUNTER_NOT_PRESENT] + c[COUNTER_SYNC_STALLS];

	if (strcmp(host->host_module, NAME_ABSENT) == 0) {
		add_finding(&f, NOTE_MODULE_ABSENT,
			    "apf_host is not loaded: gates cannot be changed and "
			    "counters do not change; modprobe apf_host");
		return f.n;
	}
	if (!vm->watched) {
		add_finding(&f, NOTE_NOT_WATCHED,
			    "the VM is not watched: gates cannot be changed and "
			    "counters do not change");
		return f.n;
	}

	explain_low_share(&f, host, vm);
	explain_guest(&f, vm, vcpus);
	explain_report(&f, vm);
	if (counters_swapins_known(&vm->counters) && counters_swapins(&vm->counters) == 0 &&
	    c[COUNTER_NOT_PRESENT] == 0)
		add_finding(&f, NOTE_NO_SWAP_IN,
			    "no page was swapped in since the VM has been watched");
	/* From one in a hundred on, the error of the figures is larger than their rounding. */
	if (c[COUNTER_PROBE_MISSES] > 0 && c[COUNTER_PROBE_MISSES] >= events / 100)
		add_finding(&f, NOTE_PROBE_MISSES,
			    "%" PRIu64 " events could not be classified or timed: "
			    "latencies and shares are less exact",
			    c[COUNTER_PROBE_MISSES]);
	return f.n;
}
