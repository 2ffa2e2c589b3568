/* SPDX-License-Identifier: GPL-2.0 */
/* Small files in /proc and /sys, for the diagnosis of the host. */
#ifndef APFD_HOST_FILE_H
#define APFD_HOST_FILE_H

#include <stdbool.h>

enum { HOST_LINE_MAX = 256 };

/* host_line: reads the first line of ROOT/FORMAT, without the newline. 0 or -errno. */
int host_line(char line[static HOST_LINE_MAX], const char *root, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool host_exists(const char *root, const char *name);

/* host_says_yes: the value of a module parameter, which is Y or N, or 1 or 0. */
bool host_says_yes(const char *line);

#endif /* APFD_HOST_FILE_H */
