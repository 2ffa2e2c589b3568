/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A diagnosis: a list of findings, each from one check of the table. Pure functions,
 * for apfd and for apfctl, which checks the host itself if apfd does not run.
 */
#ifndef APFD_DIAGNOSIS_H
#define APFD_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>

enum diag_state {
	DIAG_OK,
	DIAG_UNKNOWN, /* the check had no result */
	DIAG_WARN,    /* APF works, but less than it could */
	DIAG_FAIL,    /* a reason why APF does not work */
	DIAG_STATE_MAX = DIAG_FAIL
};

/* diag_state_to_string: the name on the bus. */
const char *diag_state_to_string(enum diag_state state);

/* All checks, in the order in which they are shown: causes before effects. */
enum diag_check {
	/* of the host */
	CHECK_APFD,
	CHECK_LIBVIRT,
	CHECK_KVM,
	CHECK_KERNEL,
	CHECK_MODULE,
	CHECK_HOOKS,
	CHECK_NOWAIT,
	CHECK_NESTED_GUARD,
	CHECK_KVM_NESTED,
	CHECK_SWAP,
	CHECK_ZSWAP,
	CHECK_SWAPPINESS,
	CHECK_READ_AHEAD,
	CHECK_THP,
	CHECK_MGLRU,
	CHECK_PSI,
	CHECK_CGROUP,
	CHECK_OOMD,
	/* of a VM */
	CHECK_WATCHED,
	CHECK_GATE,
	CHECK_ASYNCPF,
	CHECK_ASYNCPF_INT,
	CHECK_GUEST_APF,
	CHECK_GUEST_MODULE,
	CHECK_GUEST_POOL,
	CHECK_WAITERS,
	CHECK_ENCRYPTION,
	CHECK_IRQCHIP,
	CHECK_CPU_PM,
	CHECK_SMM,
	CHECK_NESTED,
	CHECK_HUGE_PAGES,
	CHECK_LOCKED,
	CHECK_VFIO,
	CHECK_SHARED,
	CHECK_FILE_MEMORY,
	CHECK_UFFD,
	CHECK_NUMA,
	CHECK_SWAP_LIMIT,
	CHECK_PSI_TRIGGER,
	CHECK_SWAP_INS,
	CHECK_PROBE_MISSES,
	_DIAG_CHECK_MAX
};

/**
 * struct diag_check_row - a row of the table, by &enum diag_check
 * @name: stable; listed in apfctl(1)
 * @of_vm: the check is about a VM, not about the host
 */
struct diag_check_row {
	const char *name;
	bool of_vm;
};

extern const struct diag_check_row diag_checks[_DIAG_CHECK_MAX];

/* Notes of "apfctl status" about a VM; each note is a short form of one check of the diagnosis. */
enum diag_note {
	NOTE_MODULE_ABSENT,
	NOTE_NOT_WATCHED,
	NOTE_GATE_OFF,
	NOTE_NOWAIT_OFF,
	NOTE_NOWAIT_UNAVAILABLE,
	NOTE_NESTED,
	NOTE_PAUSED,
	NOTE_GUEST_APF_OFF,
	NOTE_POOL_IN_USE,
	NOTE_POOL_EXHAUSTED,
	NOTE_WAITER_OLD,
	NOTE_RESCUES,
	NOTE_SLOT_STUCK,
	NOTE_BAD_REPORTS,
	NOTE_NO_SWAP_IN,
	NOTE_PROBE_MISSES,
	_DIAG_NOTE_MAX
};

/**
 * struct diag_note_row - a row of the table, by &enum diag_note
 * @id: stable; listed in apfctl(1). Equal to the name of a check only if it means that check.
 * @check: the check with more information about the same problem
 */
struct diag_note_row {
	const char *id;
	enum diag_check check;
};

extern const struct diag_note_row diag_notes[_DIAG_NOTE_MAX];

/*
 * With fewer swap-ins a share is not meaningful: of 100 swap-ins with a true share of 50 %, one
 * of 500 samples has a share below 35 %.
 */
#define DIAG_MIN_SWAPINS 100
/* A lower share of asynchronous swap-ins is reported as a problem. */
#define DIAG_LOW_SHARE 0.35
/*
 * A task of the guest that waits longer than this for its page is reported; usually a page takes
 * milliseconds. This is half of the default time after which apf_guest wakes the task so that it
 * accesses the page again; a woken task does not count as waiting any more.
 */
#define DIAG_WAITER_OLD_MSEC 5000

enum {
	DIAG_FACT_MAX = 512,
	DIAG_REMEDY_MAX = 1024,
	DIAG_FINDINGS_MAX = _DIAG_CHECK_MAX + 32, /* a check may have several findings */
};

/**
 * struct diag_finding
 * @fact: the finding, in one line
 * @remedy: "" if there is nothing to do; else a sentence, followed by lines with two
 *	leading blanks: commands or text to insert literally
 */
struct diag_finding {
	enum diag_check check;
	enum diag_state state;
	char fact[DIAG_FACT_MAX];
	char remedy[DIAG_REMEDY_MAX];
};

struct diagnosis {
	struct diag_finding findings[DIAG_FINDINGS_MAX];
	size_t n;
};

/* diag_add: appends a finding; truncates a long text, drops findings beyond the maximum. */
void diag_add(struct diagnosis *d, enum diag_check check, enum diag_state state, const char *format,
	      ...) __attribute__((format(printf, 4, 5)));

/* diag_remedy: sets the remedy of the finding that was added last. */
void diag_remedy(struct diagnosis *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* diag_find: the first finding of @check, NULL if there is none. */
const struct diag_finding *diag_find(const struct diagnosis *d, enum diag_check check);

#endif /* APFD_DIAGNOSIS_H */
