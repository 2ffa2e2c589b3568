/* SPDX-License-Identifier: GPL-2.0 */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "name.h"
#include "util.h"

enum {
	PID_FILE_MAX_BYTES = 32,
	PID_LIMIT = 1 << 22,	   /* PID_MAX_LIMIT of the kernel */
	FDS_SCANNED_MAX = 1 << 16, /* bounds the work one process can cause */
};

static const char kvm_vm_link[] = "anon_inode:kvm-vm";

/* Decimal number without sign or blanks; 0 or -EINVAL. */
static int parse_number(const char *s, unsigned long max, unsigned long *ret)
{
	unsigned long v;
	char *end;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoul(s, &end, 10);
	if (errno || *end != '\0' || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

int proc_read_pid_file(const char *dir, const char *name, pid_t *ret_pid)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX], buf[PID_FILE_MAX_BYTES + 1];
	unsigned long pid;
	ssize_t n;

	if (name[0] == '\0' || strchr(name, '/'))
		return -EINVAL;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s.pid", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf));
	if (n < 0)
		return -errno;
	if (n == (ssize_t)sizeof(buf))
		return -EINVAL;
	/* libvirt writes no newline, QEMU does. */
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	if (strlen(buf) != (size_t)n || parse_number(buf, PID_LIMIT, &pid) < 0 || pid == 0)
		return -EINVAL;
	*ret_pid = (pid_t)pid;
	return 0;
}

static int compare_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

int proc_find_kvm_vms(const char *proc_root, pid_t pid, int *fds, size_t n_max)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX];
	size_t n = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/fd", proc_root, (int)pid) >= sizeof(path))
		return -ENAMETOOLONG;
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;

	for (size_t scanned = 0; scanned < FDS_SCANNED_MAX && n < n_max; scanned++) {
		char link[sizeof(kvm_vm_link)];
		struct dirent *de;
		unsigned long fd;
		ssize_t len;

		errno = 0;
		de = readdir(dir);
		if (!de) {
			if (errno)
				return errno == ENOENT ? -ESRCH : -errno;
			break;
		}
		if (parse_number(de->d_name, INT_MAX, &fd) < 0)
			continue;
		/* A descriptor may be closed while we look. */
		len = readlinkat(dirfd(dir), de->d_name, link, sizeof(link));
		if (len < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		if (len == (ssize_t)sizeof(kvm_vm_link) - 1 &&
		    memcmp(link, kvm_vm_link, (size_t)len) == 0)
			fds[n++] = (int)fd;
	}
	qsort(fds, n, sizeof(*fds), compare_int);
	return (int)n;
}

int proc_swapped_bytes(const char *proc_root, pid_t pid, uint64_t *ret_bytes)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX], line[256];
	bool line_start = true;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/status", proc_root, (int)pid) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;

	while (fgets(line, sizeof(line), f)) {
		bool whole = strchr(line, '\n') != NULL;
		unsigned long long kib;
		char unit[4];

		if (line_start && strncmp(line, "VmSwap:", 7) == 0) {
			if (!whole || sscanf(line + 7, " %llu %3s", &kib, unit) != 2 ||
			    !streq(unit, "kB") || kib > UINT64_MAX / 1024)
				return -EBADMSG;
			*ret_bytes = kib * 1024;
			return 0;
		}
		line_start = whole;
	}
	if (ferror(f))
		return errno == ESRCH ? -ESRCH : -EIO;
	return -ENODATA;
}

int proc_executable(const char *proc_root, pid_t pid, char **ret)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX], target[PATH_MAX];
	size_t suffix = sizeof(deleted) - 1;
	ssize_t len;
	char *copy;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/exe", proc_root, (int)pid) >= sizeof(path))
		return -ENAMETOOLONG;
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	/* The package was updated while the VM runs. */
	if ((size_t)len > suffix && streq(target + (size_t)len - suffix, deleted))
		target[(size_t)len - suffix] = '\0';
	copy = strdup(target);
	if (!copy)
		return -ENOMEM;
	name_make_utf8(copy);
	*ret = copy;
	return 0;
}

/* Field @number of /proc/PID/stat, counted from 1 as in proc(5), one that is a number. */
static int read_stat(const char *proc_root, pid_t pid, int number, uint64_t *ret)
{
	enum { AFTER_NAME = 3 };
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX], buf[1024], *s, *end;
	unsigned long long value;
	ssize_t n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/stat", proc_root, (int)pid) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	/* The name is in parentheses and may have any character, of these, too. */
	s = strrchr(buf, ')');
	for (int field = AFTER_NAME; s && field <= number; field++)
		s = strchr(s + 1, ' ');
	if (!s || s[1] < '0' || s[1] > '9')
		return -EBADMSG;
	errno = 0;
	value = strtoull(s + 1, &end, 10);
	if (errno || (*end != ' ' && *end != '\n' && *end != '\0'))
		return -EBADMSG;
	*ret = value;
	return 0;
}

int proc_major_faults(const char *proc_root, pid_t pid, uint64_t *ret)
{
	enum { MAJFLT = 12 };

	return read_stat(proc_root, pid, MAJFLT, ret);
}

int proc_start_time(const char *proc_root, pid_t pid, uint64_t *ret_ticks)
{
	enum { STARTTIME = 22 };

	return read_stat(proc_root, pid, STARTTIME, ret_ticks);
}

int proc_parse_pid(const char *s, pid_t *ret_pid)
{
	unsigned long pid;

	if (parse_number(s, PID_LIMIT, &pid) < 0 || pid == 0)
		return -EINVAL;
	*ret_pid = (pid_t)pid;
	return 0;
}
