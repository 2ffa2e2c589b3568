/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a doctor found: a list of findings, each of one check of the table. Pure;
 * part of apfd and of apfctl, which looks at the host itself if there is no apfd.
 */
#ifndef APFD_DIAGNOSIS_H
#define APFD_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>

enum diag_state {
	DIAG_OK,
	DIAG_UNKNOWN, /* cannot be told; says nothing */
	DIAG_WARN,    /* APF works, but less than it could */
	DIAG_FAIL,    /* a reason why APF does not work */
	DIAG_STATE_MAX = DIAG_FAIL
};

/* diag_state_to_string: as on the bus. */
const char *diag_state_to_string(enum diag_state state);

/* All checks, in the order in which they are shown: causes before effects. */
enum diag_check {
	/* of the host */
	CHECK_APFD,
	CHECK_LIBVIRT,
	CHECK_KVM,
	CHECK_KERNEL,
	CHECK_MODULE,
	CHECK_NOWAIT,
	CHECK_NESTED_GUARD,
	CHECK_KVM_NESTED,
	CHECK_SWAP,
	CHECK_ZSWAP,
	CHECK_SWAPPINESS,
	CHECK_READ_AHEAD,
	CHECK_THP,
	CHECK_MGLRU,
	CHECK_CGROUP,
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
	CHECK_NESTED,
	CHECK_HUGE_PAGES,
	CHECK_LOCKED,
	CHECK_VFIO,
	CHECK_SWAP_LIMIT,
	CHECK_SWAP_INS,
	CHECK_PROBE_MISSES,
	_DIAG_CHECK_MAX
};

/**
 * struct diag_check_row - a row of the table, by &enum diag_check
 * @name: stable; listed in apfctl(1)
 * @of_vm: it is about a VM, not about the host
 */
struct diag_check_row {
	const char *name;
	bool of_vm;
};

extern const struct diag_check_row diag_checks[_DIAG_CHECK_MAX];

enum {
	DIAG_FACT_MAX = 320,
	DIAG_REMEDY_MAX = 1024,
	DIAG_FINDINGS_MAX = _DIAG_CHECK_MAX + 8, /* a check may find several things */
};

/**
 * struct diag_finding
 * @fact: one line, what is the case
 * @remedy: "" if there is nothing to do; else a sentence, and below it lines
 *	indented by two blanks that are to be typed or put in as they are
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

/* diag_add: appends a finding; longer texts are cut, more than fit are dropped. */
void diag_add(struct diagnosis *d, enum diag_check check, enum diag_state state, const char *format,
	      ...) __attribute__((format(printf, 4, 5)));

/* diag_remedy: what to do about the finding added last. */
void diag_remedy(struct diagnosis *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* diag_find: the first finding of @check, NULL if there is none. */
const struct diag_finding *diag_find(const struct diagnosis *d, enum diag_check check);

#endif /* APFD_DIAGNOSIS_H */
