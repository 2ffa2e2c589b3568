/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Output lines of the form "name: text".
 */
#ifndef APFCTL_FIELD_H
#define APFCTL_FIELD_H

#include "term.h"
#include "vm.h"

/* @text may contain unprintable characters. */
void field_print(const struct term *term, const char *name, enum style style, const char *text);
void field_printf(const struct term *term, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The VM's mode, its source, and the vCPUs that differ; nothing if apfd did not send a mode. */
void field_print_mode(const struct term *term, const struct vm *vm);

/* What automatic recalls do, and why; nothing if apfd did not send it. */
void field_print_auto_recall(const struct term *term, const struct auto_recall *a);

#endif
