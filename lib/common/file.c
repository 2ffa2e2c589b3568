/* SPDX-License-Identifier: GPL-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util.h"

/*
 * The files of /proc, /sys and of control groups give less than what was asked for at their end, or
 * when the kernel's buffer of a page is full. So a shorter text than this is a whole one, which
 * needs no second call.
 */
enum { WHOLE_MAX_BYTES = 2048 };

int file_read(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		size_t room = size - 1 - len;
		ssize_t n = pread(fd, buf + len, room, (off_t)len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		len += (size_t)n;
		if (n == 0 || ((size_t)n < room && n <= WHOLE_MAX_BYTES))
			break;
	}
	buf[len] = '\0';
	return 0;
}

int file_read_at(int dir_fd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;

	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	return file_read(fd, buf, size);
}
