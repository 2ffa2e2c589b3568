/* SPDX-License-Identifier: GPL-2.0 */
/* Reads small text files of the kernel. */
#ifndef APFD_FILE_H
#define APFD_FILE_H

#include <stddef.h>

/*
 * file_read: reads the file from its beginning, at most @size - 1 bytes, and adds a
 * final NUL. 0 or -errno.
 */
int file_read(int fd, char *buf, size_t size);

/* file_read_at: the same for the file @name below @dir_fd (or AT_FDCWD). */
int file_read_at(int dir_fd, const char *name, char *buf, size_t size);

#endif /* APFD_FILE_H */
