// SPDX-License-Identifier: GPL-2.0
#include "field.h"

#include <stdarg.h>
#include <stdio.h>

#include "format.h"

void field_print(const struct term *term, const char *name, enum style style, const char *text)
{
	_cleanup_free_ char *printable = text_printable(text);

	printf("%12s: %s%s%s\n", name, term_style(term, style), printable ?: "",
	       term_style_end(term, style));
}

void field_printf(const struct term *term, const char *name, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	field_print(term, name, STYLE_NONE, text ?: "");
}

void field_print_mode(const struct term *term, const struct vm *vm)
{
	if (!vm->mode)
		return;
	field_printf(term, "Mode", "%s (from %s)", vm->mode, vm->mode_source ?: "unknown");
	for (size_t i = 0; i < vm->vcpu_modes.n; i++)
		field_printf(term, "vCPU mode", "%u: %s", vm->vcpu_modes.all[i].index,
			     vm->vcpu_modes.all[i].mode);
}

void field_print_auto_recall(const struct term *term, const struct auto_recall *a)
{
	if (a->state)
		field_printf(term, "Auto recall", "%s (%s)", a->state, a->reason ?: "");
}
