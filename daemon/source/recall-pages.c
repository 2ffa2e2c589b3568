/* SPDX-License-Identifier: GPL-2.0 */
#include "recall-pages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "recall-plan.h"

enum {
	ENTRIES_MAX = 4096, /* of pagemap, read at once */
	MAPPINGS_MAX = 1 << 16,
	FDS_SCANNED_MAX = 1 << 16,
};

#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_SWAPPED (UINT64_C(1) << 62)

/**
 * struct mapping - a line of /proc/PID/maps
 * @offset: in the file
 * @device, @inode: of the file, for shared memory
 * @fd: of shared memory; -1: only private pages count
 */
struct mapping {
	uint64_t begin, end, offset;
	dev_t device;
	uint64_t inode;
	int fd;
};

/**
 * struct recall_pages
 * @fd: /proc/PID/pagemap
 * @at: the mapping to go on with, at @address
 * @data_begin, @data_end: an extent of the mapping's file that has data
 */
struct recall_pages {
	int fd;
	uint64_t page_bytes;
	struct mapping *mappings;
	size_t n;
	size_t at;
	uint64_t address;
	uint64_t data_begin, data_end;
	uint64_t entries[ENTRIES_MAX];
};

/* ---- mappings ---- */

static int add_mapping(struct recall_pages *p, const struct mapping *m)
{
	struct mapping *all;

	if (p->n == MAPPINGS_MAX)
		return -E2BIG;
	/* Grows by powers of two. */
	if ((p->n & (p->n - 1)) == 0) {
		all = reallocarray(p->mappings, p->n ? 2 * p->n : 1, sizeof(*all));
		if (!all)
			return -ENOMEM;
		p->mappings = all;
	}
	p->mappings[p->n++] = *m;
	return 0;
}

static int parse_mapping(struct recall_pages *p, const char *line)
{
	unsigned long long begin, end, offset, inode;
	unsigned int major_number, minor_number;
	struct mapping m = { .fd = -1 };
	char shared;

	if (sscanf(line, "%llx-%llx %*c%*c%*c%c %llx %x:%x %llu", &begin, &end, &shared, &offset,
		   &major_number, &minor_number, &inode) != 7 ||
	    end <= begin || begin % p->page_bytes || end % p->page_bytes)
		return 0;
	/* Of the kernel; there is no entry in pagemap. */
	if (end > INT64_MAX)
		return 0;
	m.begin = begin;
	m.end = end;
	m.offset = offset;
	if (shared == 's') {
		m.device = makedev(major_number, minor_number);
		m.inode = inode;
	}
	return add_mapping(p, &m);
}

static int read_mappings(struct recall_pages *p, const char *proc_root, pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_MAX], line[256];
	int r, c;

	if ((size_t)snprintf(path, sizeof(path), "%s/%d/maps", proc_root, (int)pid) >= sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (fgets(line, sizeof(line), f)) {
		r = parse_mapping(p, line);
		if (r < 0)
			return r;
		/* The rest of a long name. */
		for (c = strchr(line, '\n') ? '\n' : getc(f); c != '\n' && c != EOF; c = getc(f))
			;
	}
	return ferror(f) ? -EIO : 0;
}

/* ---- descriptors of shared memory ---- */

/* Opens the file again: the descriptor of the process has an offset, which must not change. */
static int open_shmem(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct statfs fs;

	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return -1;
	return TAKE_FD(fd);
}

static void offer_descriptor(struct recall_pages *p, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return;
	for (size_t i = 0; i < p->n; i++) {
		struct mapping *m = &p->mappings[i];

		if (m->fd < 0 && m->inode && m->inode == st.st_ino && m->device == st.st_dev)
			m->fd = open_shmem(dir_fd, name);
	}
}

/* Shared memory without a descriptor is left alone. */
static void find_descriptors(struct recall_pages *p, const char *proc_root, pid_t pid)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *de;
	bool wanted = false;

	for (size_t i = 0; i < p->n; i++)
		wanted = wanted || p->mappings[i].inode;
	if (!wanted ||
	    (size_t)snprintf(path, sizeof(path), "%s/%d/fd", proc_root, (int)pid) >= sizeof(path))
		return;
	dir = opendir(path);
	for (int n = 0; dir && n < FDS_SCANNED_MAX && (de = readdir(dir)); n++)
		if (de->d_name[0] != '.')
			offer_descriptor(p, dirfd(dir), de->d_name);
}

int recall_pages_open(const char *proc_root, pid_t pid, struct recall_pages **ret)
{
	_cleanup_(recall_pages_freep) struct recall_pages *p = calloc(1, sizeof(*p));
	char path[PATH_MAX];
	int r;

	if (!p)
		return -ENOMEM;
	p->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	p->fd = -1;
	if ((size_t)snprintf(path, sizeof(path), "%s/%d/pagemap", proc_root, (int)pid) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (p->fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = read_mappings(p, proc_root, pid);
	if (r < 0)
		return r;
	find_descriptors(p, proc_root, pid);
	recall_pages_rewind(p);
	*ret = TAKE_PTR(p);
	return 0;
}

struct recall_pages *recall_pages_free(struct recall_pages *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++)
		safe_close(p->mappings[i].fd);
	safe_close(p->fd);
	free(p->mappings);
	free(p);
	return NULL;
}

/* ---- search ---- */

static void begin_mapping(struct recall_pages *p, size_t i)
{
	p->at = i;
	p->address = i < p->n ? p->mappings[i].begin : 0;
	p->data_begin = p->data_end = 0;
}

void recall_pages_rewind(struct recall_pages *p)
{
	begin_mapping(p, 0);
}

/* Whether the file of the mapping has data at @address. */
static bool has_data(struct recall_pages *p, const struct mapping *m, uint64_t address)
{
	off_t offset = (off_t)(address - m->begin + m->offset), begin, end;

	if (m->fd < 0)
		return false;
	if ((uint64_t)offset >= p->data_end) {
		begin = lseek(m->fd, offset, SEEK_DATA);
		end = begin < 0 ? -1 : lseek(m->fd, begin, SEEK_HOLE);
		/* No data from here on. */
		p->data_begin = end < 0 ? UINT64_MAX : (uint64_t)begin;
		p->data_end = end < 0 ? UINT64_MAX : (uint64_t)end;
	}
	return (uint64_t)offset >= p->data_begin;
}

int recall_pages_next(struct recall_pages *p, uint64_t *addresses, size_t n_max, size_t *ret_n)
{
	const struct mapping *m;
	size_t n = 0, n_entries, i;
	ssize_t size;

	*ret_n = 0;
	if (p->at == p->n)
		return 0;
	m = &p->mappings[p->at];
	n_entries = (size_t)MIN_OF((m->end - p->address) / p->page_bytes, ENTRIES_MAX);
	size = pread(p->fd, p->entries, n_entries * sizeof(*p->entries),
		     (off_t)(p->address / p->page_bytes * sizeof(*p->entries)));
	if (size < 0)
		return -errno;
	n_entries = (size_t)size / sizeof(*p->entries);
	/* The process has no memory any more. */
	if (n_entries == 0)
		return -ESRCH;
	for (i = 0; i < n_entries && n < n_max; i++, p->address += p->page_bytes)
		if (!(p->entries[i] & PAGE_PRESENT) &&
		    ((p->entries[i] & PAGE_SWAPPED) || has_data(p, m, p->address)))
			addresses[n++] = p->address;
	if (p->address >= m->end)
		begin_mapping(p, p->at + 1);
	*ret_n = n;
	return p->at < p->n;
}

/* ---- work ---- */

int recall_pages_request(int pidfd, const uint64_t *addresses, size_t n, size_t page_bytes)
{
	struct iovec ranges[RECALL_WINDOW_PAGES_MAX];
	size_t n_ranges = 0;

	for (size_t i = 0; i < MIN_OF(n, RECALL_WINDOW_PAGES_MAX); i++) {
		struct iovec *last = n_ranges > 0 ? &ranges[n_ranges - 1] : NULL;

		if (last && (uintptr_t)last->iov_base + last->iov_len == addresses[i])
			last->iov_len += page_bytes;
		else
			ranges[n_ranges++] =
				(struct iovec){ (void *)(uintptr_t)addresses[i], page_bytes };
	}
	if (n_ranges == 0 || process_madvise(pidfd, ranges, n_ranges, MADV_WILLNEED, 0) >= 0)
		return 0;
	/* Touching is enough for the others, such as a mapping that has gone. */
	return errno == EPERM || errno == ENOSYS || errno == ESRCH ? -errno : 0;
}

int recall_pages_touch(pid_t pid, const uint64_t *addresses, size_t n)
{
	struct iovec remote[RECALL_WINDOW_PAGES_MAX];
	char bytes[RECALL_WINDOW_PAGES_MAX];
	ssize_t done;

	n = MIN_OF(n, RECALL_WINDOW_PAGES_MAX);
	for (size_t i = 0; i < n; i++)
		remote[i] = (struct iovec){ (void *)(uintptr_t)addresses[i], 1 };
	for (size_t i = 0; i < n; i += (size_t)done) {
		const struct iovec local = { bytes, n - i };

		done = process_vm_readv(pid, &local, 1, remote + i, n - i, 0);
		if (done < 0 && (errno == ESRCH || errno == EPERM || errno == ENOSYS))
			return -errno;
		/* It ends before a page that cannot be read. */
		if (done <= 0)
			done = 1;
	}
	return 0;
}
