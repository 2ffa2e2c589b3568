/* SPDX-License-Identifier: GPL-2.0 */
#include "host-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>

#include "util.h"

int host_line(char line[static HOST_LINE_MAX], const char *root, const char *format, ...)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	va_list args;
	ssize_t n;
	size_t len;

	len = (size_t)snprintf(path, sizeof(path), "%s/", root);
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	va_start(args, format);
	len += (size_t)vsnprintf(path + len, sizeof(path) - len, format, args);
	va_end(args);
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	n = read(fd, line, HOST_LINE_MAX - 1);
	if (n < 0)
		return -errno;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

bool host_exists(const char *root, const char *name)
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", root, name) < sizeof(path) &&
	       access(path, F_OK) == 0;
}

bool host_says_yes(const char *line)
{
	return line[0] == 'Y' || line[0] == 'y' || line[0] == '1';
}
