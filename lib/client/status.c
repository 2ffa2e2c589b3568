// SPDX-License-Identifier: GPL-2.0
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "apf/cleanup.h"

/* One message for the whole process, which prints it once, when it ends. */
static char *message;

int status_fail(int status, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	free(message);
	message = text;
	return status;
}

char *status_take_message(void)
{
	return TAKE_PTR(message);
}
