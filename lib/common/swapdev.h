/* SPDX-License-Identifier: GPL-2.0 */
/* The host's swap devices: their kind and their speed. */
#ifndef APFD_SWAPDEV_H
#define APFD_SWAPDEV_H

#include <stdint.h>

#include "util.h"

enum {
	SWAPDEVS_MAX = 32, /* MAX_SWAPFILES of Linux; a few of these are reserved */
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
 * @path: path in /proc/swaps, unescaped, as valid UTF-8
 * @name: name of the block device in sysfs, "" if not known
 * @synchronous: a read completes in the reading task, without sleeping
 * @backing: of zram, the device that it writes pages back to; "" if it has none
 * @read_latency_usec: mean read latency of the last interval with enough reads, 0 before
 *	the first
 * @reads: total number of reads of the device
 * @read_msec: total time of these reads
 * @base_reads, @base_msec: totals at the start of the present interval
 */
struct swapdev {
	char path[SWAPDEV_PATH_MAX];
	char name[SWAPDEV_NAME_MAX];
	enum swapdev_kind kind;
	bool synchronous;
	char backing[SWAPDEV_PATH_MAX];
	uint64_t size_bytes;
	uint64_t used_bytes;
	uint64_t reads;
	uint64_t read_msec;
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
 * swapdevs_read: updates @s. 1 if something has changed, 0 if not; -errno if /proc/swaps
 * cannot be read: then @s does not change.
 */
int swapdevs_read(struct swapdevs *s, const char *proc_root, const char *sys_root);

/*
 * swapdevs_synchronous: 1 if all devices in use (or all devices, if none is in use) are
 * synchronous, 0 if not, -ENODATA if there are no devices.
 */
int swapdevs_synchronous(const struct swapdevs *s);

/* swapdevs_read_latency_usec: of the slowest asynchronous device in use; 0 if not known. */
uint64_t swapdevs_read_latency_usec(const struct swapdevs *s);

/* Parsers. Pure functions. */

/* swapdevs_parse: the devices in the text of /proc/swaps; only path, size and use are set. */
void swapdevs_parse(const char *text, struct swapdevs *ret);

/* swapdev_parse_stat: reads and milliseconds of a block device's file stat. 0 or -EBADMSG. */
int swapdev_parse_stat(const char *text, uint64_t *ret_reads, uint64_t *ret_msec);

#endif /* APFD_SWAPDEV_H */
