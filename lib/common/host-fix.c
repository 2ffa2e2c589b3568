/* SPDX-License-Identifier: GPL-2.0 */
/* How the running kernel behaves, by the version that it is made from. */
#include "host-file.h"
#include "host-kernel.h"
#include "util.h"

/* Stable releases with commit ab4e41eb9fab, which is in Linux 6.19. */
static const struct {
	unsigned int number, sublevel;
} keep_queue[] = {
	{ HOST_KERNEL(6, 1), 160 },
	{ HOST_KERNEL(6, 6), 120 },
	{ HOST_KERNEL(6, 12), 64 },
	{ HOST_KERNEL(6, 18), 3 },
};

#define KEEPS_QUEUE   HOST_KERNEL(6, 19)
#define WAITS_FIRST   HOST_KERNEL(4, 14)
#define WAITS_NO_MORE HOST_KERNEL(6, 6)

/* Reads the sublevel of a version "6.1.153" with the number of @k. */
static bool parse_sublevel(const char *version, const struct host_kernel *k, unsigned int *ret)
{
	unsigned int maj, min;

	return version && sscanf(version, "%u.%u.%u", &maj, &min, ret) == 3 &&
	       HOST_KERNEL(maj, min) == k->number;
}

/*
 * Debian and Ubuntu have a number of their own in the release ("6.1.0-40-amd64") and the stable
 * release elsewhere. Returns false if the stable release is not known.
 */
static bool read_sublevel(const struct host_roots *roots, const struct host_kernel *k,
			  unsigned int *ret)
{
	char line[HOST_LINE_MAX];
	const char *at;

	/* "Ubuntu 6.8.0-31.31-generic 6.8.1" */
	if (host_line(line, roots->proc, "version_signature") >= 0) {
		at = strrchr(line, ' ');
		return at && parse_sublevel(at + 1, k, ret);
	}
	/* "Linux version 6.1.0-40-amd64 (...) ... Debian 6.1.153-1 (2025-09-20)" */
	if (host_line(line, roots->proc, "version") >= 0) {
		at = strstr(line, " Debian ");
		if (at)
			return parse_sublevel(at + strlen(" Debian "), k, ret);
	}
	/* Ubuntu's and Proxmox's releases from 6.9 on have a fixed third number. */
	if (strstr(k->release, "-generic") || strstr(k->release, "-pve"))
		return false;
	return parse_sublevel(k->release, k, ret);
}

int host_kernel_waits(const struct host_roots *roots, const struct host_kernel *k)
{
	if (!k->hybrid[0])
		return !k->number ? -1
				  : k->number >= WAITS_FIRST && k->number < WAITS_NO_MORE;
	/*
	 * Newer kernels have renamed swap_readpage() and do not wait. A hybrid kernel that still
	 * has swap_readpage() may wait or not.
	 */
	return host_kernel_has_symbol(roots, "swap_readpage") == 0 ? 0 : -1;
}

int host_kernel_keeps_queue(const struct host_roots *roots, const struct host_kernel *k)
{
	unsigned int sublevel;

	if (k->hybrid[0] || !k->number)
		return -1;
	if (k->number >= KEEPS_QUEUE)
		return 1;
	if (!read_sublevel(roots, k, &sublevel))
		return -1;
	for (size_t i = 0; i < ELEMENTSOF(keep_queue); i++)
		if (k->number == keep_queue[i].number)
			return sublevel >= keep_queue[i].sublevel;
	return 0;
}
