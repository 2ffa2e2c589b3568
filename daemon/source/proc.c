/* SPDX-License-Identifier: GPL-2.0 */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "file.h"
#include "number.h"
#include "utf8.h"
#include "util.h"

enum {
	PID_FILE_MAX_BYTES = 32,
	PID_LIMIT = 1 << 22,	   /* PID_MAX_LIMIT of the kernel */
	FDS_SCANNED_MAX = 1 << 16, /* bounds the work one process can cause */
	MAPS_SCANNED_MAX = 8192,   /* QEMU has some 500 to 1500 */
};

static const char kvm_vm_link[] = "anon_inode:kvm-vm";

/* Decimal number without sign or blanks; 0 or -EINVAL. */
static int parse_number(const char *s, unsigned long max, unsigned long *ret)
{
	uint64_t v;

	if (number_parse(&s, "", &v) < 0 || v > max)
		return -EINVAL;
	*ret = (unsigned long)v;
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
		/* The process may close a descriptor during this scan. */
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

/* Opens DIR/PID/NAME; *ret is NULL on failure. */
static int open_text(const char *proc_root, pid_t pid, const char *name, FILE **ret)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/%s", proc_root, (int)pid, name) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	*ret = fopen(path, "re");
	if (!*ret)
		return errno == ENOENT ? -ESRCH : -errno;
	return 0;
}

/* The value of a line of /proc/PID/status, after its key. 0 or -EBADMSG. */
static int parse_kib(const char *s, uint64_t *ret_bytes)
{
	unsigned long long kib;
	char unit[4];

	if (!strchr(s, '\n') || sscanf(s, " %llu %3s", &kib, unit) != 2 || !streq(unit, "kB") ||
	    kib > UINT64_MAX / 1024)
		return -EBADMSG;
	*ret_bytes = kib * 1024;
	return 0;
}

int proc_swapped_bytes(const char *proc_root, pid_t pid, uint64_t *ret_bytes,
		       uint64_t *ret_shmem_bytes)
{
	_cleanup_fclose_ FILE *f = NULL;
	uint64_t shmem_bytes = 0;
	bool line_start = true;
	char line[256];
	int r;

	r = open_text(proc_root, pid, "status", &f);
	if (r < 0)
		return r;
	while (fgets(line, sizeof(line), f)) {
		/* The kernel's order: RssShmem comes before VmSwap. */
		if (line_start && strncmp(line, "RssShmem:", 9) == 0) {
			r = parse_kib(line + 9, &shmem_bytes);
			if (r < 0)
				return r;
		} else if (line_start && strncmp(line, "VmSwap:", 7) == 0) {
			r = parse_kib(line + 7, ret_bytes);
			if (r >= 0)
				*ret_shmem_bytes = shmem_bytes;
			return r;
		}
		line_start = strchr(line, '\n') != NULL;
	}
	if (ferror(f))
		return errno == ESRCH ? -ESRCH : -EIO;
	return -ENODATA;
}

/* Could the file @name be shared memory? @shared: 's' in the mapping's permissions. */
static bool may_be_shmem(const char *name, bool shared, unsigned int dev_major)
{
	static const char *const shmem[] = { "/memfd:", "/dev/shm/", "/dev/zero", "/SYSV" };
	/* Of the kernel or a driver; guests' huge pages are not swapped. */
	static const char *const others[] = { "/dev/", "/[", "/anon_hugepage" };

	for (size_t i = 0; i < ELEMENTSOF(shmem); i++)
		if (strncmp(name, shmem[i], strlen(shmem[i])) == 0)
			return true;
	for (size_t i = 0; i < ELEMENTSOF(others); i++)
		if (strncmp(name, others[i], strlen(others[i])) == 0)
			return false;
	return name[0] == '/' && shared && dev_major == 0;
}

int proc_shmem_mapped_bytes(const char *proc_root, pid_t pid, uint64_t *ret_bytes)
{
	_cleanup_fclose_ FILE *f = NULL;
	char line[256];
	uint64_t bytes = 0;
	int r, n = 0;

	r = open_text(proc_root, pid, "maps", &f);
	if (r < 0)
		return r;
	while (fgets(line, sizeof(line), f)) {
		unsigned long long begin, end;
		unsigned int dev_major;
		int name = 0, c;
		char shared;

		if (++n > MAPS_SCANNED_MAX)
			return -E2BIG;
		if (sscanf(line, "%llx-%llx %*c%*c%*c%c %*x %x:%*x %*u %n", &begin, &end, &shared,
			   &dev_major, &name) == 4 &&
		    name > 0 && end > begin && may_be_shmem(line + name, shared == 's', dev_major))
			bytes += end - begin;
		/* Only the begin of a long name is needed. */
		for (c = strchr(line, '\n') ? '\n' : getc(f); c != '\n' && c != EOF; c = getc(f))
			;
	}
	if (ferror(f))
		return errno == ESRCH ? -ESRCH : -EIO;
	*ret_bytes = bytes;
	return 0;
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
	/* The file was replaced, for example by a package update, while the VM runs. */
	if ((size_t)len > suffix && streq(target + (size_t)len - suffix, deleted))
		target[(size_t)len - suffix] = '\0';
	copy = strdup(target);
	if (!copy)
		return -ENOMEM;
	utf8_make_valid(copy);
	*ret = copy;
	return 0;
}

/* Reads the numeric field @number of /proc/PID/stat, counted from 1 as in proc(5). */
static int read_stat(const char *proc_root, pid_t pid, int number, uint64_t *ret)
{
	enum { AFTER_NAME = 3 };
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX], buf[1024];
	const char *s;
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
	/* The name is in parentheses and may itself contain parentheses: find the last one. */
	s = strrchr(buf, ')');
	for (int field = AFTER_NAME; s && field <= number; field++)
		s = strchr(s + 1, ' ');
	if (!s++)
		return -EBADMSG;
	return number_parse(&s, " \n", ret);
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

int proc_label(const char *proc_root, pid_t pid, char ret[static PROC_LABEL_MAX])
{
	char path[PATH_MAX];
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/attr/current", proc_root, (int)pid) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	r = file_read_at(AT_FDCWD, path, ret, PROC_LABEL_MAX);
	/* Without a security module that has labels, reading fails. */
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return -ENODATA;
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	ret[strcspn(ret, "\n")] = '\0';
	utf8_make_valid(ret);
	return ret[0] ? 0 : -ENODATA;
}

void proc_refusal_text(const char *proc_root, pid_t pid, char ret[static PROC_REFUSAL_MAX])
{
	char own[PROC_LABEL_MAX], other[PROC_LABEL_MAX];

	ret[0] = '\0';
	/* AppArmor refuses nothing to a process that it does not confine. */
	if (proc_label(proc_root, getpid(), own) < 0 || streq(own, "unconfined") ||
	    proc_label(proc_root, pid, other) < 0)
		return;
	snprintf(ret, PROC_REFUSAL_MAX, "; apfd is confined as \"%s\", the process as \"%s\"", own,
		 other);
}
