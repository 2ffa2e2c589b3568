/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lines "name: text" about one thing.
 */
#ifndef APFCTL_FIELD_H
#define APFCTL_FIELD_H

#include "apfctl.h"
#include "vm.h"

/* @text may hold foreign characters. */
void field_print(const struct apfctl *ctl, const char *name, enum style style, const char *text);
void field_printf(const struct apfctl *ctl, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The VM's mode, where it is from, and the vCPUs that differ; nothing if not told. */
void field_print_mode(const struct apfctl *ctl, const struct vm *vm);

#endif
