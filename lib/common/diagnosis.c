/* SPDX-License-Identifier: GPL-2.0 */
#include "diagnosis.h"

#include <stdarg.h>
#include <stdio.h>

const struct diag_check_row diag_checks[_DIAG_CHECK_MAX] = {
	[CHECK_APFD] = { "apfd", false },
	[CHECK_LIBVIRT] = { "libvirt", false },
	[CHECK_KVM] = { "kvm", false },
	[CHECK_KERNEL] = { "kernel", false },
	[CHECK_MODULE] = { "module", false },
	[CHECK_HOOKS] = { "hooks", false },
	[CHECK_NOWAIT] = { "no-wait", false },
	[CHECK_NESTED_GUARD] = { "nested-guard", false },
	[CHECK_KVM_NESTED] = { "kvm-nested", false },
	[CHECK_SWAP] = { "swap", false },
	[CHECK_ZSWAP] = { "zswap", false },
	[CHECK_SWAPPINESS] = { "swappiness", false },
	[CHECK_READ_AHEAD] = { "read-ahead", false },
	[CHECK_THP] = { "thp", false },
	[CHECK_MGLRU] = { "mglru", false },
	[CHECK_PSI] = { "psi", false },
	[CHECK_CGROUP] = { "cgroup", false },
	[CHECK_OOMD] = { "oomd", false },
	[CHECK_WATCHED] = { "watched", true },
	[CHECK_GATE] = { "gate", true },
	[CHECK_ASYNCPF] = { "asyncpf", true },
	[CHECK_ASYNCPF_INT] = { "asyncpf-int", true },
	[CHECK_GUEST_APF] = { "guest-apf", true },
	[CHECK_GUEST_MODULE] = { "guest-module", true },
	[CHECK_GUEST_POOL] = { "guest-pool", true },
	[CHECK_WAITERS] = { "waiters", true },
	[CHECK_ENCRYPTION] = { "encryption", true },
	[CHECK_IRQCHIP] = { "irqchip", true },
	[CHECK_CPU_PM] = { "cpu-pm", true },
	[CHECK_SMM] = { "smm", true },
	[CHECK_NESTED] = { "nested", true },
	[CHECK_HUGE_PAGES] = { "huge-pages", true },
	[CHECK_LOCKED] = { "locked", true },
	[CHECK_VFIO] = { "vfio", true },
	[CHECK_SHARED] = { "shared", true },
	[CHECK_FILE_MEMORY] = { "file-memory", true },
	[CHECK_UFFD] = { "uffd", true },
	[CHECK_NUMA] = { "numa", true },
	[CHECK_SWAP_LIMIT] = { "swap-limit", true },
	[CHECK_PSI_TRIGGER] = { "psi-trigger", true },
	[CHECK_SWAP_INS] = { "swap-ins", true },
	[CHECK_PROBE_MISSES] = { "probe-misses", true },
};

const struct diag_note_row diag_notes[_DIAG_NOTE_MAX] = {
	[NOTE_MODULE_ABSENT] = { "module-absent", CHECK_MODULE },
	[NOTE_NOT_WATCHED] = { "not-watched", CHECK_WATCHED },
	[NOTE_GATE_OFF] = { "gate-off", CHECK_GATE },
	[NOTE_NOWAIT_OFF] = { "nowait-off", CHECK_NOWAIT },
	[NOTE_NOWAIT_UNAVAILABLE] = { "nowait-unavailable", CHECK_NOWAIT },
	[NOTE_NESTED] = { "nested", CHECK_NESTED },
	[NOTE_PAUSED] = { "paused", CHECK_GUEST_POOL },
	[NOTE_GUEST_APF_OFF] = { "guest-apf-off", CHECK_GUEST_APF },
	[NOTE_POOL_IN_USE] = { "pool-in-use", CHECK_GUEST_POOL },
	[NOTE_POOL_EXHAUSTED] = { "pool-exhausted", CHECK_GUEST_POOL },
	[NOTE_WAITER_OLD] = { "waiter-old", CHECK_WAITERS },
	[NOTE_RESCUES] = { "rescues", CHECK_WAITERS },
	[NOTE_SLOT_STUCK] = { "slot-stuck", CHECK_WAITERS },
	[NOTE_BAD_REPORTS] = { "bad-reports", CHECK_GUEST_MODULE },
	[NOTE_NO_SWAP_IN] = { "no-swap-in", CHECK_SWAP_INS },
	[NOTE_PROBE_MISSES] = { "probe-misses", CHECK_PROBE_MISSES },
};

const char *diag_state_to_string(enum diag_state state)
{
	static const char *const table[] = {
		[DIAG_OK] = "ok",
		[DIAG_UNKNOWN] = "unknown",
		[DIAG_WARN] = "warn",
		[DIAG_FAIL] = "fail",
	};

	return table[state];
}

void diag_add(struct diagnosis *d, enum diag_check check, enum diag_state state, const char *format,
	      ...)
{
	struct diag_finding *f;
	va_list args;

	if (d->n >= DIAG_FINDINGS_MAX)
		return;
	f = &d->findings[d->n++];
	f->check = check;
	f->state = state;
	f->remedy[0] = '\0';
	va_start(args, format);
	vsnprintf(f->fact, sizeof(f->fact), format, args);
	va_end(args);
}

void diag_remedy(struct diagnosis *d, const char *format, ...)
{
	struct diag_finding *f;
	va_list args;

	if (d->n == 0)
		return;
	f = &d->findings[d->n - 1];
	va_start(args, format);
	vsnprintf(f->remedy, sizeof(f->remedy), format, args);
	va_end(args);
}

const struct diag_finding *diag_find(const struct diagnosis *d, enum diag_check check)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->findings[i].check == check)
			return &d->findings[i];
	return NULL;
}
