/* SPDX-License-Identifier: GPL-2.0 */
/* Small text files of the kernel, read whole. */
#ifndef APFD_FILE_H
#define APFD_FILE_H

#include <stddef.h>

/*
 * file_read: the whole file from its beginning, or its first @size - 1 bytes; a
 * NUL in it ends it. 0 or -errno.
 */
int file_read(int fd, char *buf, size_t size);

/* file_read_at: likewise of @name, below @dir_fd (or AT_FDCWD). */
int file_read_at(int dir_fd, const char *name, char *buf, size_t size);

#endif /* APFD_FILE_H */
