/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Explains what the figures of a VM mean where they leave no doubt. Pure.
 */
#ifndef APFCTL_FINDING_H
#define APFCTL_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "vm.h"

#define FINDINGS_MAX	 12
#define FINDING_TEXT_MAX 160

/*
 * Below this many swap-ins a share says nothing: at 100, a true share of 50 %
 * shows as less than 35 % in one of 500 looks.
 */
#define FINDING_MIN_SWAPINS 100
/* "Almost never asynchronous": a reader would ask why. */
#define FINDING_LOW_SHARE 0.35

/**
 * struct finding - one explanation
 * @id: stable name, for JSON; listed in apfctl(1)
 * @text: one line for people
 */
struct finding {
	const char *id;
	char text[FINDING_TEXT_MAX];
};

/**
 * findings_derive() - what can be said for sure
 * @vcpus: NULL if there are no per-vCPU figures
 * @findings: FINDINGS_MAX of them
 * Return: how many were written.
 */
size_t findings_derive(const struct host *host, const struct vm *vm, const struct vcpu_array *vcpus,
		       struct finding findings[FINDINGS_MAX]);

#endif
