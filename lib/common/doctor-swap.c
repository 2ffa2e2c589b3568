/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-checks-host.h"

#include <errno.h>
#include <limits.h>

#include <uapi/apf_host.h>
#include "host-file.h"
#include "swapdev.h"
#include "util.h"

/* The kind of a device whose reads complete in the reading thread, so that APF cannot help. */
static const char *memory_kind(const struct swapdev *dev)
{
	return dev->kind == SWAPDEV_ZRAM	    ? "compressed memory (zram)"
	       : strncmp(dev->name, "pmem", 4) == 0 ? "persistent memory"
						    : "a RAM disk";
}

/* zram with a disk behind it: some pages are in memory, others on the disk. */
static void diagnose_writeback(const struct doctor_host *h, const struct swapdev *dev,
			       struct diagnosis *d)
{
	unsigned long long pages, reads = 0;
	char line[HOST_LINE_MAX], text[64] = "";

	if ((host_line(line, h->roots.sys, "class/block/%s/bd_stat", dev->name) >= 0 ||
	     host_line(line, h->roots.sys, "block/%s/bd_stat", dev->name) >= 0) &&
	    sscanf(line, "%llu %llu", &pages, &reads) == 2)
		snprintf(text, sizeof(text), "; so far, %llu pages were read from it", reads);
	diag_add(d, CHECK_SWAP, DIAG_WARN,
		 "%s is compressed memory (zram) with %s behind it: APF gains for pages that were "
		 "written back to %s, but the vCPU itself decompresses the others%s",
		 dev->path, dev->backing, dev->backing, text);
	diag_remedy(d,
		    "let zram write more of its idle pages back, or put swap on the disk instead:\n"
		    "  echo all > /sys/block/%s/idle\n"
		    "  echo idle > /sys/block/%s/writeback",
		    dev->name, dev->name);
}

static void check_swap(const struct doctor_host *h, struct diagnosis *d)
{
	_cleanup_free_ struct swapdevs *swap = calloc(1, sizeof(*swap));
	const struct swapdev *disk = NULL, *memory = NULL, *both = NULL;
	char off[DIAG_REMEDY_MAX / 2] = "";
	size_t len = 0;
	int r;

	r = swap ? swapdevs_read(swap, h->roots.proc, h->roots.sys) : -ENOMEM;
	if (r < 0) {
		diag_add(d, CHECK_SWAP, DIAG_UNKNOWN, "cannot be read: %s", strerror(-r));
		return;
	}
	if (swap->n == 0) {
		diag_add(d, CHECK_SWAP, DIAG_WARN,
			 "there is no swap: anonymous memory of guests is never swapped, so APF "
			 "has almost no effect");
		diag_remedy(d, "to overcommit memory, add swap on a disk (DEVICE):\n"
			       "  mkswap DEVICE\n  swapon DEVICE");
		return;
	}
	for (size_t i = 0; i < swap->n; i++) {
		const struct swapdev *dev = &swap->dev[i];

		if (dev->backing[0])
			both = both ?: dev;
		if (!dev->synchronous) {
			disk = disk ?: dev;
			continue;
		}
		memory = memory ?: dev;
		if (len < sizeof(off))
			len += (size_t)snprintf(off + len, sizeof(off) - len, "\n  swapoff %s",
						dev->path);
	}
	if (both) {
		diagnose_writeback(h, both, d);
	} else if (!memory) {
		diag_add(d, CHECK_SWAP, DIAG_OK, "%s%s is read asynchronously", disk->path,
			 swap->n > 1 ? ", as all others," : "");
	} else if (!disk) {
		diag_add(d, CHECK_SWAP, DIAG_FAIL,
			 "all swap is in memory: %s is %s, which the vCPU reads itself; APF gains "
			 "nothing there",
			 memory->path, memory_kind(memory));
		diag_remedy(d,
			    "put swap on a disk (DEVICE) and switch the swap in memory off:\n"
			    "  mkswap DEVICE\n  swapon DEVICE%s",
			    off);
	} else {
		diag_add(d, CHECK_SWAP, DIAG_WARN,
			 "some swap is in memory: %s is %s, which the vCPU reads itself; APF gains "
			 "nothing there, only on %s",
			 memory->path, memory_kind(memory), disk->path);
		diag_remedy(d, "switch the swap in memory off:%s", off);
	}
}

/* Reads "KEY: N kB" in /proc/meminfo, as MiB; false if there is no such line. */
static bool read_meminfo(const struct doctor_host *h, const char *key, unsigned long long *ret_mib)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[HOST_LINE_MAX];
	unsigned long long kib;

	if ((size_t)snprintf(path, sizeof(path), "%s/meminfo", h->roots.proc) >= sizeof(path))
		return false;
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0 &&
		    sscanf(line + strlen(key), ": %llu kB", &kib) == 1) {
			*ret_mib = kib / 1024;
			return true;
		}
	return false;
}

static void check_zswap(const struct doctor_host *h, struct diagnosis *d)
{
	char line[HOST_LINE_MAX], text[64] = "";
	unsigned long long mib;

	if (host_line(line, h->roots.sys, "module/zswap/parameters/enabled") < 0) {
		diag_add(d, CHECK_ZSWAP, DIAG_OK, "this kernel has none");
	} else if (!host_says_yes(line)) {
		diag_add(d, CHECK_ZSWAP, DIAG_OK, "off");
	} else {
		if (read_meminfo(h, "Zswapped", &mib))
			snprintf(text, sizeof(text), " (%llu MiB of swapped memory now)", mib);
		diag_add(d, CHECK_ZSWAP, DIAG_WARN,
			 "on: the vCPU itself decompresses pages in the zswap pool%s, so APF gains "
			 "nothing there, only for pages on the disk",
			 text);
		diag_remedy(d, "if stalls of VMs matter more than fewer reads, switch it off:\n"
			       "  echo N > /sys/module/zswap/parameters/enabled");
	}
}

static void check_swappiness(const struct doctor_host *h, struct diagnosis *d)
{
	char line[HOST_LINE_MAX];

	if (host_line(line, h->roots.proc, "sys/vm/swappiness") < 0) {
		diag_add(d, CHECK_SWAPPINESS, DIAG_UNKNOWN, "cannot be read");
	} else if (streq(line, "0")) {
		diag_add(d, CHECK_SWAPPINESS, DIAG_WARN,
			 "vm.swappiness is 0: memory of guests is swapped only as a last resort, "
			 "and then much of it at once");
		diag_remedy(d, "make the kernel swap earlier:\n  sysctl -w vm.swappiness=60");
	} else {
		diag_add(d, CHECK_SWAPPINESS, DIAG_OK, "vm.swappiness is %s", line);
	}
}

static void check_read_ahead(const struct doctor_host *h, const struct host_kernel *k,
			     struct diagnosis *d)
{
	char line[HOST_LINE_MAX];
	unsigned int order;

	if (host_line(line, h->roots.proc, "sys/vm/page-cluster") < 0 ||
	    sscanf(line, "%u", &order) != 1 || order > 16) {
		diag_add(d, CHECK_READ_AHEAD, DIAG_UNKNOWN, "vm.page-cluster cannot be read");
		return;
	}
	if (order == 0 && host_kernel_waits(&h->roots, k) == 1 &&
	    h->nowait != APF_NOWAIT_ACTIVE) {
		diag_add(d, CHECK_READ_AHEAD, DIAG_WARN,
			 "vm.page-cluster is 0: without no-wait swap-in this kernel then waits for "
			 "every page");
		diag_remedy(d, "see no-wait, or switch read-ahead on:\n"
			       "  sysctl -w vm.page-cluster=3");
		return;
	}
	diag_add(d, CHECK_READ_AHEAD, DIAG_OK,
		 "vm.page-cluster is %u: a swap-in reads at most %u page%s", order, 1U << order,
		 order ? "s" : "");
}

static void check_thp(const struct doctor_host *h, struct diagnosis *d)
{
	char line[HOST_LINE_MAX];
	char *begin, *end;

	if (host_line(line, h->roots.sys, "kernel/mm/transparent_hugepage/enabled") < 0) {
		diag_add(d, CHECK_THP, DIAG_OK, "this kernel has no transparent huge pages");
		return;
	}
	begin = strchr(line, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (end)
		*end = '\0';
	diag_add(d, CHECK_THP, DIAG_OK, "%s%s", begin && end ? begin + 1 : line,
		 strstr(line, "[never") ? ""
					: ": huge pages are split when they are swapped out, and "
					  "are read as small pages");
}

static void check_mglru(const struct doctor_host *h, struct diagnosis *d)
{
	char line[HOST_LINE_MAX];

	if (host_line(line, h->roots.sys, "kernel/mm/lru_gen/enabled") < 0)
		diag_add(d, CHECK_MGLRU, DIAG_OK, "this kernel has no MGLRU; it is not needed");
	else
		diag_add(d, CHECK_MGLRU, DIAG_OK, "%s; APF works with and without MGLRU",
			 strtoul(line, NULL, 0) ? "on" : "off");
}

void doctor_host_swap(const struct doctor_host *h, const struct host_kernel *k, struct diagnosis *d)
{
	check_swap(h, d);
	check_zswap(h, d);
	check_swappiness(h, d);
	check_read_ahead(h, k, d);
	check_thp(h, d);
	check_mglru(h, d);
}
