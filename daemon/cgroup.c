/* SPDX-License-Identifier: GPL-2.0 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "file.h"

enum {
	/* Of Linux 6.12: memory.stat 1.9 KB. A longer file is read as far as this. */
	FILE_MAX_BYTES = 16384,
	MEMBERSHIP_MAX_BYTES = PATH_MAX + 64,
};

/**
 * struct cgroup
 * @dir_fd: of the group; its files are opened when they are read, which a quiet
 *	VM's are seldom
 * @trigger_fd: memory.pressure while a trigger is set, else -1
 */
struct cgroup {
	int dir_fd;
	int trigger_fd;
	char path[];
};

/* ---- parsers ---- */

int cgroup_parse_membership(const char *text, char *ret_path, size_t size)
{
	const char *line, *end;
	size_t len;

	for (line = text; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line += 3;
		len = (size_t)(end - line);
		if (len >= size)
			return -EBADMSG;
		memcpy(ret_path, line, len);
		ret_path[len] = '\0';
		/* A group outside of our namespace, or what is not one at all. */
		if (strstr(ret_path, "/../") || (len >= 3 && streq(ret_path + len - 3, "/..")))
			return -EBADMSG;
		return 0;
	}
	return -ENOENT;
}

/* Digits, then one of @ends; *s is behind them. */
static int parse_u64(const char **s, const char *ends, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	if (**s < '0' || **s > '9')
		return -EBADMSG;
	errno = 0;
	v = strtoull(*s, &end, 10);
	if (errno || !strchr(ends, *end))
		return -EBADMSG;
	*s = end;
	*ret = v;
	return 0;
}

int cgroup_parse_bytes(const char *text, uint64_t *ret)
{
	return parse_u64(&text, "\n", ret);
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
	};

	while (*text) {
		for (size_t i = 0; i < ELEMENTSOF(table); i++) {
			size_t len = strlen(table[i].key);
			const char *s = text + len;

			if (strncmp(text, table[i].key, len) == 0 &&
			    parse_u64(&s, "\n", table[i].field) >= 0)
				facts->known |= table[i].bit;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

/* "12.34", as the kernel writes it in every locale. */
static int parse_percent(const char *s, double *ret)
{
	uint64_t whole, hundredths;

	if (parse_u64(&s, ".", &whole) < 0 || *s != '.')
		return -EBADMSG;
	s++;
	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] != ' ' || whole > 100)
		return -EBADMSG;
	hundredths = (uint64_t)(s[0] - '0') * 10 + (uint64_t)(s[1] - '0');
	*ret = (double)whole + (double)hundredths / 100;
	return 0;
}

void cgroup_parse_pressure(const char *text, struct cgroup_facts *facts)
{
	while (*text) {
		if (strncmp(text, "some avg10=", 11) == 0 &&
		    parse_percent(text + 11, &facts->some_avg10) >= 0)
			facts->known |= CGROUP_SOME;
		else if (strncmp(text, "full avg10=", 11) == 0 &&
			 parse_percent(text + 11, &facts->full_avg10) >= 0)
			facts->known |= CGROUP_FULL;
		text += strcspn(text, "\n");
		text += *text == '\n';
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

/* The group at @path if it accounts memory. */
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

int cgroup_new(const char *proc_root, const char *cgroup_root, pid_t pid, struct cgroup **ret)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	struct cgroup *c;
	int r;

	r = read_membership(proc_root, pid, path, sizeof(path));
	if (r < 0)
		return r;
	for (;;) {
		char *slash = strrchr(path, '/');

		/* The root has all processes, which says nothing of one. */
		if (!slash || streq(path, "/"))
			return -ENOENT;
		fd = open_group(cgroup_root, path);
		if (fd >= 0)
			break;
		if (fd != -ENOENT)
			return fd;
		*slash = '\0';
		if (!path[0])
			return -ENOENT;
	}
	c = calloc(1, sizeof(*c) + strlen(path) + 1);
	if (!c)
		return -ENOMEM;
	c->dir_fd = TAKE_FD(fd);
	c->trigger_fd = -1;
	strcpy(c->path, path);
	*ret = c;
	return 0;
}

struct cgroup *cgroup_free(struct cgroup *c)
{
	if (!c)
		return NULL;
	safe_close(c->trigger_fd);
	safe_close(c->dir_fd);
	free(c);
	return NULL;
}

const char *cgroup_path(const struct cgroup *c)
{
	return c->path;
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
	/* What is written makes sense to that file system alone. */
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return -EOPNOTSUPP;
	snprintf(text, sizeof(text), "some %u %u", stall_usec, window_usec);
	/* The final NUL belongs to it. */
	n = write(fd, text, strlen(text) + 1);
	if (n < 0)
		return -errno;
	c->trigger_fd = TAKE_FD(fd);
	return c->trigger_fd;
}
