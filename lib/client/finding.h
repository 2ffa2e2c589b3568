/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Explains the figures of a VM, but only if the explanation is certain. No I/O.
 */
#ifndef APFCTL_FINDING_H
#define APFCTL_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "diagnosis.h"
#include "vm.h"

#define FINDINGS_MAX	 12
#define FINDING_TEXT_MAX 160

/**
 * struct finding - one explanation
 * @note: index into diag_notes, which has the id for JSON
 * @text: one line for people
 */
struct finding {
	enum diag_note note;
	char text[FINDING_TEXT_MAX];
};

/**
 * findings_derive() - finds explanations for the figures
 * @vcpus: NULL if there are no per-vCPU figures
 * @findings: array of FINDINGS_MAX elements
 * Return: number of elements written.
 */
size_t findings_derive(const struct host *host, const struct vm *vm, const struct vcpu_array *vcpus,
		       struct finding findings[FINDINGS_MAX]);

#endif
