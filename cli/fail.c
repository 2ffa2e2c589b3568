// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "apfctl.h"
#include "apf/cleanup.h"
#include "format.h"

/* One for the process, like the standard error it is meant for. */
static char *note;
static char *place;

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

void apfctl_fail_at(const char *host)
{
	free(place);
	place = host ? text_printable(host) : NULL;
}

char *apfctl_fail_take(void)
{
	return TAKE_PTR(note);
}

static void begin_line(void)
{
	fprintf(stderr, "apfctl: %s%s", place ?: "", place ? ": " : "");
}

void apfctl_fail_report(void)
{
	if (note) {
		begin_line();
		fprintf(stderr, "%s\n", note);
	}
	free(TAKE_PTR(note));
	free(TAKE_PTR(place));
}

void apfctl_note(const char *format, ...)
{
	va_list args;

	begin_line();
	fputs("note: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
