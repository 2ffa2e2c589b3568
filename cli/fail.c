// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "apfctl.h"

/* One for the process, like the standard error it is meant for. */
static char *note;

int apfctl_fail(int status, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	free(note);
	note = text;
	return status;
}

void apfctl_fail_report(void)
{
	if (!note)
		return;
	fprintf(stderr, "apfctl: %s\n", note);
	free(note);
	note = NULL;
}
