// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "apf/cleanup.h"
#include "apfctl.h"
#include "format.h"

/* The --host that messages begin with; NULL for none. */
static char *remote_host;

void apfctl_set_fail_host(const char *host)
{
	free(remote_host);
	remote_host = host ? text_printable(host) : NULL;
}

static void begin_line(void)
{
	fprintf(stderr, "apfctl: %s%s", remote_host ?: "", remote_host ? ": " : "");
}

void apfctl_fail_print(void)
{
	_cleanup_free_ char *message = status_take_message();

	if (message) {
		begin_line();
		fprintf(stderr, "%s\n", message);
	}
}

void apfctl_fail_report(void)
{
	apfctl_fail_print();
	free(TAKE_PTR(remote_host));
}

int apfctl_worst(int a, int b)
{
	return a > b ? a : b;
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
