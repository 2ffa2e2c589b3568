/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-vm.h"

#include <inttypes.h>

#include "doctor-checks.h"
#include "proc.h"
#include "process.h"
#include "quote.h"
#include "util.h"

enum { LIST_MAX = 96 };

/* Below this many swap-ins per second, the share of asynchronous ones is not meaningful. */
#define MIN_SWAPIN_RATE 20

/* Lists the vCPUs for which @is returns true, as "0, 2, 5"; returns their number. */
static size_t list_vcpus(const struct doctor_vm *v, bool (*is)(const struct genl_vcpu *vcpu),
			 char list[static LIST_MAX])
{
	size_t n = 0, len = 0;

	list[0] = '\0';
	for (size_t i = 0; i < v->n_vcpus; i++) {
		if (!is(&v->vcpus[i]))
			continue;
		if (len + 16 < LIST_MAX)
			len += (size_t)snprintf(list + len, LIST_MAX - len, "%s%u", n ? ", " : "",
						v->vcpus[i].index);
		else if (len < LIST_MAX - 4 && list[len - 1] != '.')
			len += (size_t)snprintf(list + len, LIST_MAX - len, "...");
		n++;
	}
	return n;
}

/*
 * With AppArmor both profiles must allow the access. Those of libvirt's VMs allow it to everybody
 * (abstractions/base), so the rule is missing in the profile of apfd.
 */
static void remedy_refused(const struct doctor_vm *v, struct diagnosis *d)
{
	char own[PROC_LABEL_MAX], other[PROC_LABEL_MAX];

	if (proc_label(v->proc_root, getpid(), own) < 0 ||
	    proc_label(v->proc_root, (pid_t)v->pid, other) < 0 ||
	    strncmp(other, "libvirt-", 8) != 0)
		return;
	/* "NAME (MODE)" */
	own[strcspn(own, " ")] = '\0';
	diag_remedy(d,
		    "add a rule to the AppArmor profile %s, and load the profile again:\n"
		    "  ptrace (read, trace) peer=libvirt-*,",
		    own);
}

static void check_watched(const struct doctor_vm *v, struct diagnosis *d)
{
	if (!v->why_unwatched)
		diag_add(d, CHECK_WATCHED, DIAG_OK, "apf_host watches it (PID %u)", v->pid);
	else
		diag_add(d, CHECK_WATCHED, DIAG_FAIL, "apf_host does not watch it: %s",
			 v->why_unwatched);
	if (v->why_unwatched && !v->module)
		diag_remedy(d, "load it:\n  modprobe apf_host");
	else if (v->why_unwatched && v->access_refused)
		remedy_refused(v, d);
}

static void check_gate(const struct doctor_vm *v, struct diagnosis *d)
{
	switch (v->state) {
	case VM_STATE_ON:
		diag_add(d, CHECK_GATE, DIAG_OK, "on: asynchronous whenever KVM can do it");
		break;
	case VM_STATE_PV:
		diag_add(d, CHECK_GATE, DIAG_OK,
			 "pv: asynchronous while the guest can be notified");
		break;
	case VM_STATE_OFF:
	case VM_STATE_MIXED:
		diag_add(d, CHECK_GATE, v->automatic ? DIAG_OK : DIAG_WARN, "%s%s",
			 v->state == VM_STATE_OFF ? "off: every swap-in stops its vCPU"
						  : "mixed: vCPUs have different states",
			 v->automatic ? "; apfd decides about the gates" : "");
		if (v->automatic)
			diag_remedy(d, "apfd says why:\n  apfctl why %s", v->name);
		else
			diag_remedy(d,
				    "open it, if it is not closed on purpose:\n"
				    "  apfctl enable %s",
				    v->name);
		break;
	case VM_STATE_UNKNOWN:
		break;
	}
}

static bool apf_is_off(const struct genl_vcpu *vcpu)
{
	/* While emergency nodes are in use, apf_guest itself switches APF off on the vCPU. */
	return vcpu->guest_apf == APF_GUEST_APF_OFF && !vcpu->paused;
}

static bool apf_is_user(const struct genl_vcpu *vcpu)
{
	return vcpu->guest_apf == APF_GUEST_APF_USER;
}

/* A guest that has enabled APF is no Windows, whatever its options say. */
static bool is_windows(const struct subject *s)
{
	const struct doctor_vm *v = s->v;

	for (size_t i = 0; !v->why_unwatched && i < v->n_vcpus; i++)
		if (v->vcpus[i].guest_apf != APF_GUEST_APF_OFF)
			return false;
	return (v->live && v->live->windows) || process_is_windows(&s->process);
}

static void check_windows(const struct doctor_vm *v, struct diagnosis *d)
{
	if (v->state == VM_STATE_PV || v->state == VM_STATE_MIXED) {
		diag_add(d, CHECK_GUEST_APF, DIAG_WARN,
			 "Windows cannot be notified of missing pages: with its gate %s, every "
			 "swap-in is synchronous",
			 vm_state_to_string(v->state));
		diag_remedy(d, "let KVM halt the vCPU instead:\n  apfctl enable %s", v->name);
	} else {
		diag_add(d, CHECK_GUEST_APF, DIAG_OK,
			 "Windows cannot be notified of missing pages; with the gate on, KVM halts "
			 "the vCPU until the page is there");
	}
}

static void check_guest_apf(const struct doctor_vm *v, struct diagnosis *d)
{
	const struct diag_finding *cpuid = diag_find(d, CHECK_ASYNCPF_INT);
	char list[LIST_MAX];
	size_t n;

	if (v->n_vcpus == 0)
		return;
	n = list_vcpus(v, apf_is_off, list);
	if (n == v->n_vcpus && cpuid && cpuid->state == DIAG_FAIL) {
		diag_add(d, CHECK_GUEST_APF, DIAG_FAIL,
			 "the guest has not enabled APF, because it is not offered: see "
			 "asyncpf-int");
	} else if (n == v->n_vcpus) {
		diag_add(d, CHECK_GUEST_APF, DIAG_FAIL,
			 "the guest has not enabled APF: it is still booting, it is not Linux 5.8 "
			 "or newer, or its kernel has the option no-kvmapf");
		diag_remedy(d, "boot it with Linux 5.8 or newer, without no-kvmapf on its "
			       "kernel's command line");
	} else if (n > 0) {
		diag_add(d, CHECK_GUEST_APF, DIAG_WARN,
			 "the guest has not enabled APF on vCPU %s: are these vCPUs offline in the "
			 "guest?",
			 list);
	} else {
		n = list_vcpus(v, apf_is_user, list);
		diag_add(d, CHECK_GUEST_APF, DIAG_OK,
			 n ? "the guest has enabled APF for user code"
			   : "the guest has enabled APF for user and kernel code");
	}
}

static void check_guest_module(const struct doctor_vm *v, struct diagnosis *d)
{
	const uint32_t *g = v->guest;

	if (v->guest_module != VM_GUEST_MODULE_PRESENT) {
		diag_add(d, CHECK_GUEST_MODULE, DIAG_OK,
			 "apf_guest does not report; it is not needed, but without it a lost "
			 "wake-up hangs a task for ever");
		return;
	}
	diag_add(d, CHECK_GUEST_MODULE, DIAG_OK, "apf_guest reports");

	if (g[APF_GUEST_A_POOL_IN_USE] > 0)
		diag_add(d, CHECK_GUEST_POOL, DIAG_WARN,
			 "%u of %u emergency nodes are in use: gates are closed until all nodes "
			 "are free again",
			 g[APF_GUEST_A_POOL_IN_USE], g[APF_GUEST_A_POOL_SIZE]);
	else if (g[APF_GUEST_A_POOL_EXHAUSTED] > 0)
		diag_add(d, CHECK_GUEST_POOL, DIAG_WARN,
			 "the guest ran out of its emergency nodes %u times",
			 g[APF_GUEST_A_POOL_EXHAUSTED]);
	else
		diag_add(d, CHECK_GUEST_POOL, DIAG_OK, "none of %u emergency nodes is in use",
			 g[APF_GUEST_A_POOL_SIZE]);
	if (g[APF_GUEST_A_POOL_IN_USE] > 0 || g[APF_GUEST_A_POOL_EXHAUSTED] > 0)
		diag_remedy(d, "give the guest more memory; a recent apf_guest does not need more "
			       "nodes");

	if (g[APF_GUEST_A_SLEEPERS] > 0 &&
	    g[APF_GUEST_A_OLDEST_SLEEPER_MSEC] >= DIAG_WAITER_OLD_MSEC) {
		diag_add(d, CHECK_WAITERS, DIAG_FAIL,
			 "a task of the guest has waited %u ms for its page",
			 g[APF_GUEST_A_OLDEST_SLEEPER_MSEC]);
		diag_remedy(d,
			    "check the swap device, or switch APF off for now:\n"
			    "  apfctl disable %s",
			    v->name);
	} else if (g[APF_GUEST_A_RESCUES] > 0) {
		diag_add(d, CHECK_WAITERS, DIAG_WARN,
			 "the guest woke tasks %u times because page-ready did not arrive in time",
			 g[APF_GUEST_A_RESCUES]);
		diag_remedy(d, "see how slow swap is:\n  apfctl status %s", v->name);
	} else if (g[APF_GUEST_A_STUCK] > 0) {
		diag_add(d, CHECK_WAITERS, DIAG_WARN,
			 "the guest recovered %u times from a lost page-ready interrupt",
			 g[APF_GUEST_A_STUCK]);
	} else {
		diag_add(d, CHECK_WAITERS, DIAG_OK, "no task of the guest waits for long");
	}
}

/* ---- checks of the counters ---- */

static void check_swap_ins(const struct subject *s, struct diagnosis *d)
{
	const struct doctor_vm *v = s->v;
	const uint64_t *c = v->totals->counters;
	double async = v->figures->async_rate, sync = v->figures->sync_rate, share;
	bool now = async + sync >= MIN_SWAPIN_RATE;

	if (!stats_counted(v->totals, APF_STAT_READY) ||
	    !stats_counted(v->totals, APF_STAT_SYNC_STALLS)) {
		diag_add(d, CHECK_SWAP_INS, DIAG_UNKNOWN,
			 "%s swap-ins are not counted on this kernel: see hooks of the host",
			 stats_counted(v->totals, APF_STAT_READY) ? "synchronous" : "asynchronous");
		return;
	}
	/* If the VM swaps now, use the present rates: the totals may be of another gate state. */
	if (!now) {
		async = (double)c[APF_STAT_READY];
		sync = (double)c[APF_STAT_SYNC_STALLS];
	}
	if (!now && async + sync < DIAG_MIN_SWAPINS) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK, "%.0f swap-ins so far: too few to judge",
			 async + sync);
		return;
	}
	share = async / (async + sync);
	if (share >= DIAG_LOW_SHARE) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK, "%.0f %% of its swap-ins are asynchronous%s",
			 100 * share, now ? "" : ", all time");
	} else if (v->state == VM_STATE_OFF) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK,
			 "%.0f %% of its swap-ins are asynchronous: its gate is off", 100 * share);
	} else if (s->windows && v->state != VM_STATE_ON) {
		diag_add(d, CHECK_SWAP_INS, DIAG_WARN,
			 "%.0f %% of its swap-ins are asynchronous: see guest-apf", 100 * share);
	} else if (v->gate_just_changed) {
		diag_add(d, CHECK_SWAP_INS, DIAG_OK,
			 "one of its gates was changed just now: too early to judge");
	} else {
		diag_add(d, CHECK_SWAP_INS, now ? DIAG_FAIL : DIAG_WARN,
			 "only %.0f %% of its swap-ins are asynchronous%s, though its gate is %s: "
			 "APF is silently inactive",
			 100 * share, now ? "" : ", all time", vm_state_to_string(v->state));
		diag_remedy(d,
			    "see which other checks failed here and on the host; if none failed, "
			    "see the counters:\n  apfctl status %s",
			    v->name);
	}
}

static void check_probe_misses(const struct doctor_vm *v, struct diagnosis *d)
{
	const uint64_t *c = v->totals->counters;
	uint64_t misses = c[APF_STAT_PROBE_MISSES];

	if (!stats_counted(v->totals, APF_STAT_PROBE_MISSES)) {
		diag_add(d, CHECK_PROBE_MISSES, DIAG_UNKNOWN, "not counted by this apf_host");
		return;
	}
	/* From one in a hundred, the error is larger than the rounding of the figures. */
	if (misses > 0 && misses >= (c[APF_STAT_NOT_PRESENT] + c[APF_STAT_SYNC_STALLS]) / 100)
		diag_add(d, CHECK_PROBE_MISSES, DIAG_WARN,
			 "%" PRIu64 " events could not be classified or timed: latencies and "
			 "shares are less exact",
			 misses);
	else
		diag_add(d, CHECK_PROBE_MISSES, DIAG_OK,
			 "%" PRIu64 " events could not be classified or timed", misses);
}

void doctor_vm(const struct doctor_vm *given, struct diagnosis *d)
{
	_cleanup_free_ char *quoted = quote(given->name);
	struct doctor_vm v = *given;
	struct subject s = { .v = &v, .process = { .args = given->args } };

	v.name = quoted ?: "VM";
	if (v.pid)
		process_read(&s.process, v.proc_root, v.pid);
	doctor_groups(&s);
	vm_manager_find(v.identity, &s.process, v.name, &s.vmm);
	s.windows = is_windows(&s);

	check_watched(&v, d);
	if (!v.why_unwatched)
		check_gate(&v, d);
	doctor_cpu(&s, d);
	if (s.windows)
		check_windows(&v, d);
	else if (!v.why_unwatched)
		check_guest_apf(&v, d);
	if (!v.why_unwatched)
		check_guest_module(&v, d);
	doctor_vmm(&s, d);
	doctor_memory(&s, d);
	doctor_numa(&s, d);
	doctor_limits(&s, d);
	doctor_psi_trigger(&v, d);
	if (!v.why_unwatched) {
		check_swap_ins(&s, d);
		check_probe_misses(&v, d);
	}
}
