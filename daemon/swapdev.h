/* SPDX-License-Identifier: GPL-2.0 */
/* The host's swap devices: what they are and how fast they are. */
#ifndef APFD_SWAPDEV_H
#define APFD_SWAPDEV_H

#include <stdint.h>

#include "util.h"

enum {
	SWAPDEVS_MAX = 32, /* of Linux: MAX_SWAPFILES, less what it keeps for itself */
	SWAPDEV_PATH_MAX = 256,
	SWAPDEV_NAME_MAX = 64,
};

enum swapdev_kind {
	SWAPDEV_DISK,
	SWAPDEV_ZRAM,
	SWAPDEV_FILE,
	SWAPDEV_OTHER, /* not in sysfs: of no known kind */
};

const char *swapdev_kind_to_string(enum swapdev_kind kind);

/**
 * struct swapdev
 * @path: as in /proc/swaps, without its escapes, as valid UTF-8
 * @name: of the block device in sysfs, "" if that is not known
 * @synchronous: a read ends in the task that asked for it, without sleeping
 * @read_latency_usec: mean of the reads of the last interval that had enough of
 *	them, 0 before the first
 * @reads: total of the device
 * @base_reads, @base_msec: where the interval under way began
 */
struct swapdev {
	char path[SWAPDEV_PATH_MAX];
	char name[SWAPDEV_NAME_MAX];
	enum swapdev_kind kind;
	bool synchronous;
	uint64_t size_bytes;
	uint64_t used_bytes;
	uint64_t reads;
	uint64_t read_latency_usec;
	uint64_t base_reads;
	uint64_t base_msec;
};

/**
 * struct swapdevs - all zero at first
 */
struct swapdevs {
	struct swapdev dev[SWAPDEVS_MAX];
	size_t n;
};

/*
 * swapdevs_read: renews @s. 1 if something has changed, 0 if nothing has; -errno
 * if /proc/swaps cannot be read: then @s stays as it is.
 */
int swapdevs_read(struct swapdevs *s, const char *proc_root, const char *sys_root);

/*
 * swapdevs_synchronous: 1 if all devices in use (all there are, if none is in use)
 * are synchronous, 0 if not, -ENODATA if there are none.
 */
int swapdevs_synchronous(const struct swapdevs *s);

/* swapdevs_read_latency_usec: of the slowest in use that is not synchronous; 0 if not known. */
uint64_t swapdevs_read_latency_usec(const struct swapdevs *s);

/* Parsers. Pure functions. */

/* swapdevs_parse: the devices in the text of /proc/swaps; only path, size and use are set. */
void swapdevs_parse(const char *text, struct swapdevs *ret);

/* swapdev_parse_stat: reads and milliseconds of a block device's file stat. 0 or -EBADMSG. */
int swapdev_parse_stat(const char *text, uint64_t *ret_reads, uint64_t *ret_msec);

#endif /* APFD_SWAPDEV_H */
