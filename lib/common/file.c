/* SPDX-License-Identifier: GPL-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util.h"

int file_read(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		ssize_t n = pread(fd, buf + len, size - 1 - len, (off_t)len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0)
			break;
		len += (size_t)n;
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
