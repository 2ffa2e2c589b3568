/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cells that more than one table has.
 */
#ifndef APFCTL_CELL_H
#define APFCTL_CELL_H

#include "table.h"
#include "vm.h"

/* "auto"; "auto*" if some vCPUs have a mode of their own. */
void cell_mode(struct table *table, const struct vm *vm);

/* Share of the last 10 seconds in which a thread of the VM waited for memory. */
void cell_pressure(struct table *table, const struct vm *vm);

/* The state; with "PAUSED" while the gate is closed whatever it says. */
void cell_vcpu_state(struct table *table, const struct vcpu *vcpu);

#endif
