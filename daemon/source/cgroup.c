/* SPDX-License-Identifier: GPL-2.0 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "file.h"
#include "number.h"

enum {
	/* memory.stat of Linux 6.12 has 1.9 KB. Only this much of a longer file is read. */
	FILE_MAX_BYTES = 16384,
	MEMBERSHIP_MAX_BYTES = PATH_MAX + 64,
};

/**
 * struct cgroup
 * @dir_fd: directory of the group; its files are opened for each reading, because the
 *	files of an idle VM are seldom read
 * @trigger_fd: memory.pressure while a trigger is set, else -1
 * @member: the group of the process itself: @path or a group below it
 */
struct cgroup {
	int dir_fd;
	int trigger_fd;
	char *path;
	char *member;
};

/* ---- parsers ---- */

bool cgroup_next_line(const char **text, struct cgroup_line *ret)
{
	while (**text) {
		const char *line = *text, *end = line + strcspn(line, "\n");
		const char *controllers = memchr(line, ':', (size_t)(end - line)), *path = NULL;

		*text = *end ? end + 1 : end;
		if (controllers)
			path = memchr(controllers + 1, ':', (size_t)(end - controllers - 1));
		if (!path || path[1] != '/')
			continue;
		*ret = (struct cgroup_line){
			.unified = strncmp(line, "0::", 3) == 0,
			.controllers = controllers + 1,
			.controllers_len = (size_t)(path - controllers - 1),
			.path = path + 1,
			.path_len = (size_t)(end - path - 1),
		};
		return true;
	}
	return false;
}

bool cgroup_line_has(const struct cgroup_line *line, const char *controller)
{
	const char *list = line->controllers;
	size_t n = strlen(controller);

	for (const char *s = list; s < list + line->controllers_len;) {
		size_t item = strcspn(s, ",:");

		if (item == n && strncmp(s, controller, n) == 0)
			return true;
		s += item + 1;
	}
	return false;
}

int cgroup_parse_membership(const char *text, char *ret_path, size_t size)
{
	struct cgroup_line line;

	while (cgroup_next_line(&text, &line)) {
		size_t len = line.path_len;

		if (!line.unified)
			continue;
		if (len >= size)
			return -EBADMSG;
		memcpy(ret_path, line.path, len);
		ret_path[len] = '\0';
		/* A group outside of our cgroup namespace, or no valid path. */
		if (strstr(ret_path, "/../") || (len >= 3 && streq(ret_path + len - 3, "/..")))
			return -EBADMSG;
		return 0;
	}
	return -ENOENT;
}

int cgroup_parse_bytes(const char *text, uint64_t *ret)
{
	return number_parse(&text, "\n", ret);
}

void cgroup_parse_stat(const char *text, struct cgroup_facts *facts)
{
	const struct {
		const char *key;
		unsigned int bit;
		uint64_t *field;
	} table[] = {
		{ "pgmajfault ", CGROUP_MAJOR_FAULTS, &facts->major_faults },
		{ "workingset_refault_anon ", CGROUP_REFAULTS, &facts->refaults },
		{ "pswpin ", CGROUP_SWAPINS, &facts->swapins },
		{ "swapcached ", CGROUP_SWAPCACHED, &facts->swapcached_bytes },
		{ "pswpout ", CGROUP_SWAPOUTS, &facts->swapouts },
		{ "workingset_activate_anon ", CGROUP_ACTIVATIONS, &facts->activations },
		{ "zswap ", CGROUP_ZSWAP, &facts->zswap_bytes },
		{ "zswapped ", CGROUP_ZSWAPPED, &facts->zswapped_bytes },
		{ "active_anon ", CGROUP_ACTIVE, &facts->active_anon_bytes },
	};

	for (; *text; text = number_next_line(text))
		for (size_t i = 0; i < ELEMENTSOF(table); i++)
			if (number_after_key(text, table[i].key, table[i].field) >= 0)
				facts->known |= table[i].bit;
}

/* "12.34", with a point in every locale; strtod() would follow the locale. */
static int parse_percent(const char *s, double *ret)
{
	uint64_t whole, hundredths;

	if (number_parse(&s, ".", &whole) < 0 || *s != '.')
		return -EBADMSG;
	s++;
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] != ' ' || whole > 100)
		return -EBADMSG;
	hundredths = (uint64_t)(s[0] - '0') * 10 + (uint64_t)(s[1] - '0');
	*ret = (double)whole + (double)hundredths / 100;
	return 0;
}

/* The total at the end of the line that begins at @line. 0 or -EBADMSG. */
static int parse_total(const char *line, uint64_t *ret)
{
	const char *s = memmem(line, strcspn(line, "\n"), " total=", 7);

	if (!s)
		return -EBADMSG;
	s += 7;
	return number_parse(&s, "\n", ret);
}

void cgroup_parse_pressure(const char *text, struct cgroup_facts *facts)
{
	const struct {
		const char *key;
		unsigned int avg_bit, total_bit;
		double *avg10;
		uint64_t *usec;
	} rows[] = {
		{ "some avg10=", CGROUP_SOME, CGROUP_SOME_TOTAL, &facts->some_avg10,
		  &facts->some_usec },
		{ "full avg10=", CGROUP_FULL, CGROUP_FULL_TOTAL, &facts->full_avg10,
		  &facts->full_usec },
	};

	for (; *text; text = number_next_line(text))
		for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
			if (strncmp(text, rows[i].key, 11) != 0)
				continue;
			if (parse_percent(text + 11, rows[i].avg10) >= 0)
				facts->known |= rows[i].avg_bit;
			if (parse_total(text, rows[i].usec) >= 0)
				facts->known |= rows[i].total_bit;
		}
}

/* ---- files ---- */

static int read_membership(const char *proc_root, pid_t pid, char *ret_path, size_t size)
{
	char name[PATH_MAX], text[MEMBERSHIP_MAX_BYTES];
	int r;

	if ((size_t)snprintf(name, sizeof(name), "%s/%d/cgroup", proc_root, (int)pid) >=
	    sizeof(name))
		return -ENAMETOOLONG;
	r = file_read_at(AT_FDCWD, name, text, sizeof(text));
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	return cgroup_parse_membership(text, ret_path, size);
}

/* Opens the group at @path; -ENOENT if the group does not account memory. */
static int open_group(const char *cgroup_root, const char *path)
{
	_cleanup_close_ int fd = -1;
	char name[2 * PATH_MAX];

	snprintf(name, sizeof(name), "%s%s", cgroup_root, path);
	fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (faccessat(fd, "memory.current", F_OK, 0) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* The kernel marks a group that was removed while the process ends. The groups above it remain. */
static bool was_removed(const char *member)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(member);

	return len >= sizeof(deleted) - 1 && streq(member + len - (sizeof(deleted) - 1), deleted);
}

/* Finds the group that accounts the memory of the processes in the group @member. */
static int find_group(const char *cgroup_root, const char *member, struct cgroup **ret)
{
	_cleanup_(cgroup_freep) struct cgroup *c = calloc(1, sizeof(*c));
	int fd;

	if (!c)
		return -ENOMEM;
	c->dir_fd = c->trigger_fd = -1;
	c->path = strdup(member);
	c->member = strdup(member);
	if (!c->path || !c->member)
		return -ENOMEM;
	for (;;) {
		char *slash = strrchr(c->path, '/');

		/* The root group accounts all processes, not only one VM. */
		if (!slash || streq(c->path, "/"))
			return -ENOENT;
		fd = open_group(cgroup_root, c->path);
		if (fd >= 0)
			break;
		if (fd != -ENOENT)
			return fd;
		*slash = '\0';
		if (!c->path[0])
			return -ENOENT;
	}
	c->dir_fd = fd;
	*ret = TAKE_PTR(c);
	return 0;
}

int cgroup_new(const char *proc_root, const char *cgroup_root, pid_t pid, struct cgroup **ret)
{
	char member[PATH_MAX];
	int r;

	r = read_membership(proc_root, pid, member, sizeof(member));
	if (r < 0)
		return r;
	return was_removed(member) ? -ENOENT : find_group(cgroup_root, member, ret);
}

static bool same_directory(int fd_a, int fd_b)
{
	struct stat a, b;

	return fstat(fd_a, &a) >= 0 && fstat(fd_b, &b) >= 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int cgroup_renew(const char *proc_root, const char *cgroup_root, pid_t pid, bool thorough,
		 struct cgroup *now, struct cgroup **ret)
{
	_cleanup_(cgroup_freep) struct cgroup *found = NULL;
	char member[PATH_MAX];
	int r;

	if (!now)
		return cgroup_new(proc_root, cgroup_root, pid, ret) >= 0;
	r = read_membership(proc_root, pid, member, sizeof(member));
	/* The process is about to end, or its group cannot be known now: nothing has changed. */
	if ((r < 0 && r != -ENOENT) || (r >= 0 && was_removed(member)))
		return 0;
	if (r >= 0) {
		if (!thorough && streq(member, now->member))
			return 0;
		r = find_group(cgroup_root, member, &found);
		if (r < 0 && r != -ENOENT)
			return 0;
	}
	if (found && streq(found->path, now->path) && same_directory(found->dir_fd, now->dir_fd)) {
		/* The process moved between groups below this one; keep the trigger. */
		free(now->member);
		now->member = TAKE_PTR(found->member);
		return 0;
	}
	*ret = TAKE_PTR(found);
	return 1;
}

struct cgroup *cgroup_free(struct cgroup *c)
{
	if (!c)
		return NULL;
	safe_close(c->trigger_fd);
	safe_close(c->dir_fd);
	free(c->path);
	free(c->member);
	free(c);
	return NULL;
}

const char *cgroup_path(const struct cgroup *c)
{
	return c->path;
}

int cgroup_dir(const struct cgroup *c)
{
	return c->dir_fd;
}

void cgroup_read(struct cgroup *c, struct cgroup_facts *ret)
{
	char text[FILE_MAX_BYTES];

	*ret = (struct cgroup_facts){};
	if (file_read_at(c->dir_fd, "memory.current", text, sizeof(text)) >= 0 &&
	    cgroup_parse_bytes(text, &ret->current_bytes) >= 0)
		ret->known |= CGROUP_CURRENT;
	if (file_read_at(c->dir_fd, "memory.swap.current", text, sizeof(text)) >= 0 &&
	    cgroup_parse_bytes(text, &ret->swap_bytes) >= 0)
		ret->known |= CGROUP_SWAP;
	if (file_read_at(c->dir_fd, "memory.stat", text, sizeof(text)) >= 0)
		cgroup_parse_stat(text, ret);
	if ((c->trigger_fd >= 0
		     ? file_read(c->trigger_fd, text, sizeof(text))
		     : file_read_at(c->dir_fd, "memory.pressure", text, sizeof(text))) >= 0)
		cgroup_parse_pressure(text, ret);
}

int cgroup_trigger(struct cgroup *c, unsigned int stall_usec, unsigned int window_usec)
{
	_cleanup_close_ int fd = -1;
	struct statfs fs;
	char text[64];
	ssize_t n;

	if (c->trigger_fd >= 0)
		return c->trigger_fd;
	fd = openat(c->dir_fd, "memory.pressure", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	/* Do not write a trigger to a file of another file system. */
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return -EOPNOTSUPP;
	snprintf(text, sizeof(text), "some %u %u", stall_usec, window_usec);
	/* The kernel expects the final NUL, too. */
	n = write(fd, text, strlen(text) + 1);
	if (n < 0)
		return -errno;
	c->trigger_fd = TAKE_FD(fd);
	return c->trigger_fd;
}

void cgroup_untrigger(struct cgroup *c)
{
	c->trigger_fd = safe_close(c->trigger_fd);
}
