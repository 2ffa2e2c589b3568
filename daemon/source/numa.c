/* SPDX-License-Identifier: GPL-2.0 */
#include "numa.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "util.h"

int numa_read_node(const char *sys_root, unsigned int id, struct numa_node *ret)
{
	const struct {
		const char *key;
		uint64_t *bytes;
	} keys[] = {
		{ "MemTotal:", &ret->total_bytes },
		{ "MemFree:", &ret->free_bytes },
		{ "Active(file):", &ret->file_bytes },
		{ "Inactive(file):", &ret->file_bytes },
	};
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[128], key[64];
	uint64_t kib;

	*ret = (struct numa_node){ .id = id };
	if ((size_t)snprintf(path, sizeof(path), "%s/devices/system/node/node%u/meminfo", sys_root,
			     id) >= sizeof(path))
		return -ENAMETOOLONG;
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %*u %63s %" SCNu64, key, &kib) != 2)
			continue;
		for (size_t i = 0; i < ELEMENTSOF(keys); i++)
			if (streq(key, keys[i].key) && kib <= UINT64_MAX / 1024)
				*keys[i].bytes += kib * 1024;
	}
	return 0;
}

void numa_read(const char *sys_root, struct numa *ret)
{
	ret->n = 0;
	/* Numbers of nodes may have gaps. */
	for (unsigned int id = 0; id < NUMA_NODES_MAX; id++) {
		struct numa_node *node = &ret->nodes[ret->n];

		if (numa_read_node(sys_root, id, node) >= 0 && node->total_bytes > 0)
			ret->n++;
	}
}
