/* SPDX-License-Identifier: GPL-2.0 */
#include "swapdev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "file.h"
#include "number.h"
#include "utf8.h"

enum {
	/* A line of /proc/swaps contains the escaped path and about 60 more bytes. */
	SWAPS_MAX_BYTES = SWAPDEVS_MAX * (4 * SWAPDEV_PATH_MAX + 64),
	STAT_MAX_BYTES = 512,
	/* The kernel counts milliseconds: the mean of fewer reads is too inexact. */
	READS_MIN = 16,
};

const char *swapdev_kind_to_string(enum swapdev_kind kind)
{
	static const char *const table[] = {
		[SWAPDEV_DISK] = "disk",
		[SWAPDEV_ZRAM] = "zram",
		[SWAPDEV_FILE] = "file",
		[SWAPDEV_OTHER] = "other",
	};

	return table[kind];
}

/* ---- parsers ---- */

static int parse_column(const char **s, uint64_t *ret)
{
	*s += strspn(*s, " \t");
	return number_parse(s, " \t\n", ret);
}

/* The kernel escapes blanks and backslashes as octal numbers (\040). */
static int parse_path(const char **s, char *buf, size_t size)
{
	size_t len = 0;

	while (!strchr(" \t\n", **s)) {
		char c = **s;

		if (c == '\\' && (*s)[1] >= '0' && (*s)[1] <= '3' && (*s)[2] >= '0' &&
		    (*s)[2] <= '7' && (*s)[3] >= '0' && (*s)[3] <= '7') {
			c = (char)(((*s)[1] - '0') * 64 + ((*s)[2] - '0') * 8 + ((*s)[3] - '0'));
			*s += 3;
		}
		*s += 1;
		if (c == '\0' || len + 1 >= size)
			return -EBADMSG;
		buf[len++] = c;
	}
	if (len == 0)
		return -EBADMSG;
	buf[len] = '\0';
	return 0;
}

static int parse_line(const char *s, struct swapdev *ret)
{
	uint64_t size_kib, used_kib;

	*ret = (struct swapdev){ .kind = SWAPDEV_OTHER };
	if (*s != '/' || parse_path(&s, ret->path, sizeof(ret->path)) < 0)
		return -EBADMSG;
	utf8_make_valid(ret->path);
	s += strspn(s, " \t");
	if (strncmp(s, "file", 4) == 0)
		ret->kind = SWAPDEV_FILE;
	s += strcspn(s, " \t\n");
	if (parse_column(&s, &size_kib) < 0 || parse_column(&s, &used_kib) < 0 ||
	    size_kib > UINT64_MAX / 1024 || used_kib > size_kib)
		return -EBADMSG;
	ret->size_bytes = size_kib * 1024;
	ret->used_bytes = used_kib * 1024;
	return 0;
}

void swapdevs_parse(const char *text, struct swapdevs *ret)
{
	ret->n = 0;
	while (*text && ret->n < ELEMENTSOF(ret->dev)) {
		/* The heading does not begin with a slash. */
		if (parse_line(text, &ret->dev[ret->n]) >= 0)
			ret->n++;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

int swapdev_parse_stat(const char *text, uint64_t *ret_reads, uint64_t *ret_msec)
{
	uint64_t column[4];

	for (size_t i = 0; i < ELEMENTSOF(column); i++)
		if (parse_column(&text, &column[i]) < 0)
			return -EBADMSG;
	*ret_reads = column[0];
	*ret_msec = column[3];
	return 0;
}

/* ---- files ---- */

static bool has_block_device(const char *sys_root, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/class/block/%s/stat", sys_root, name) >=
	    sizeof(path))
		return false;
	return access(path, F_OK) == 0;
}

/* Finds the device dm-N in sysfs for /dev/mapper/@wanted. */
static int find_mapped(const char *sys_root, const char *wanted, char *buf, size_t size)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX], name[SWAPDEV_PATH_MAX];
	struct dirent *de;

	snprintf(path, sizeof(path), "%s/class/block", sys_root);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((de = readdir(dir))) {
		if (strncmp(de->d_name, "dm-", 3) != 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/class/block/%s/dm/name", sys_root,
				     de->d_name) >= sizeof(path) ||
		    file_read_at(AT_FDCWD, path, name, sizeof(name)) < 0)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (streq(name, wanted) && strlen(de->d_name) < size) {
			strcpy(buf, de->d_name);
			return 0;
		}
	}
	return -ENOENT;
}

/* Linux does not let the backing device change while zram is in use. */
static void read_backing(struct swapdev *d, const char *sys_root)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/class/block/%s/backing_dev", sys_root, d->name);
	if (file_read_at(AT_FDCWD, path, d->backing, sizeof(d->backing)) < 0) {
		snprintf(path, sizeof(path), "%s/block/%s/backing_dev", sys_root, d->name);
		if (file_read_at(AT_FDCWD, path, d->backing, sizeof(d->backing)) < 0)
			d->backing[0] = '\0';
	}
	d->backing[strcspn(d->backing, "\n")] = '\0';
	if (d->backing[0] != '/')
		d->backing[0] = '\0';
	utf8_make_valid(d->backing);
}

/* Sets the properties of a new device that do not change. */
static void identify(struct swapdev *d, const char *sys_root)
{
	/* A read of these devices copies memory in the calling task, without waiting. */
	static const char *const in_memory[] = { "zram", "ram", "pmem" };
	const char *base = strrchr(d->path, '/') + 1;

	if (d->kind == SWAPDEV_FILE)
		return;
	if (strlen(base) < sizeof(d->name) && has_block_device(sys_root, base))
		strcpy(d->name, base);
	else if (find_mapped(sys_root, base, d->name, sizeof(d->name)) < 0)
		return;
	d->kind = strncmp(d->name, "zram", 4) == 0 ? SWAPDEV_ZRAM : SWAPDEV_DISK;
	for (size_t i = 0; i < ELEMENTSOF(in_memory); i++) {
		size_t len = strlen(in_memory[i]);

		if (strncmp(d->name, in_memory[i], len) == 0 && d->name[len] >= '0' &&
		    d->name[len] <= '9')
			d->synchronous = true;
	}
	/* Linux does not take a zram for synchronous if pages may be on a disk (4f7a7beaee77). */
	if (d->kind == SWAPDEV_ZRAM)
		read_backing(d, sys_root);
	if (d->backing[0])
		d->synchronous = false;
}

static void update_latency(struct swapdev *d, const char *sys_root)
{
	char path[PATH_MAX], text[STAT_MAX_BYTES];
	uint64_t reads, msec;

	if (!d->name[0])
		return;
	snprintf(path, sizeof(path), "%s/class/block/%s/stat", sys_root, d->name);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0 ||
	    swapdev_parse_stat(text, &reads, &msec) < 0)
		return;
	d->reads = reads;
	d->read_msec = msec;
	if (reads < d->base_reads || msec < d->base_msec || d->base_reads == 0) {
		/* The first reading, or another device with the same name. */
		d->base_reads = reads;
		d->base_msec = msec;
	} else if (reads - d->base_reads >= READS_MIN) {
		d->read_latency_usec =
			(msec - d->base_msec) * USEC_PER_MSEC / (reads - d->base_reads);
		d->base_reads = reads;
		d->base_msec = msec;
	}
}

static const struct swapdev *find(const struct swapdevs *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->dev[i].path, path))
			return &s->dev[i];
	return NULL;
}

int swapdevs_read(struct swapdevs *s, const char *proc_root, const char *sys_root)
{
	char path[PATH_MAX], text[SWAPS_MAX_BYTES];
	struct swapdevs now;
	bool changed;
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/swaps", proc_root) >= sizeof(path))
		return -ENAMETOOLONG;
	r = file_read_at(AT_FDCWD, path, text, sizeof(text));
	if (r < 0)
		return r;
	swapdevs_parse(text, &now);
	changed = now.n != s->n;
	for (size_t i = 0; i < now.n; i++) {
		const struct swapdev *before = find(s, now.dev[i].path);
		struct swapdev *d = &now.dev[i];

		/* With another size it is another device. */
		if (before && before->size_bytes == d->size_bytes) {
			uint64_t used_bytes = d->used_bytes;

			*d = *before;
			d->used_bytes = used_bytes;
		} else {
			identify(d, sys_root);
			changed = true;
		}
		update_latency(d, sys_root);
		changed =
			changed || d->used_bytes != before->used_bytes || d->reads != before->reads;
	}
	memcpy(s->dev, now.dev, now.n * sizeof(now.dev[0]));
	s->n = now.n;
	return changed;
}

int swapdevs_synchronous(const struct swapdevs *s)
{
	bool any_used = false, all = true, all_used = true;

	if (s->n == 0)
		return -ENODATA;
	for (size_t i = 0; i < s->n; i++) {
		all = all && s->dev[i].synchronous;
		if (s->dev[i].used_bytes == 0)
			continue;
		any_used = true;
		all_used = all_used && s->dev[i].synchronous;
	}
	return any_used ? all_used : all;
}

uint64_t swapdevs_read_latency_usec(const struct swapdevs *s)
{
	uint64_t slowest_usec = 0;

	for (size_t i = 0; i < s->n; i++)
		if (!s->dev[i].synchronous && s->dev[i].used_bytes > 0)
			slowest_usec = MAX_OF(slowest_usec, s->dev[i].read_latency_usec);
	return slowest_usec;
}
