/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Table cells used by more than one table.
 */
#ifndef APFCTL_CELL_H
#define APFCTL_CELL_H

#include "table.h"
#include "vm.h"

/* "auto"; "auto*" if some vCPUs have a mode of their own. */
void cell_mode(struct table *table, const struct vm *vm);

/* Share of the last 10 seconds in which at least one thread of the VM waited for memory. */
void cell_pressure(struct table *table, const struct vm *vm);

/* Time saved per second, in percent of one vCPU; "-" if not counted or not watched. */
void cell_saved(struct table *table, const struct vm *vm);

/* A counter; the pages the vCPUs wait for. "-" if not counted. */
void cell_counter(struct table *table, const struct counters *counters, enum counter counter);
void cell_outstanding(struct table *table, const struct outstanding *outstanding);

/* The state; followed by "PAUSED" while the gate is closed although the state says otherwise. */
void cell_vcpu_state(struct table *table, const struct vcpu *vcpu);

#endif
