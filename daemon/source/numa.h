/* SPDX-License-Identifier: GPL-2.0 */
/* The host's NUMA nodes. */
#ifndef APFD_NUMA_H
#define APFD_NUMA_H

#include <stddef.h>
#include <stdint.h>

/* More nodes than a host with VMs has; further nodes are left out. */
enum { NUMA_NODES_MAX = 64 };

/**
 * struct numa_node - memory of a node
 * @file_bytes: page cache
 */
struct numa_node {
	unsigned int id;
	uint64_t total_bytes;
	uint64_t free_bytes;
	uint64_t file_bytes;
};

/**
 * struct numa - all zero at first
 * @nodes: those with memory, sorted by id
 */
struct numa {
	struct numa_node nodes[NUMA_NODES_MAX];
	size_t n;
};

/* numa_read_node: memory of node @id. 0; -ENOENT if there is no such node; other errors of open(2).
 */
int numa_read_node(const char *sys_root, unsigned int id, struct numa_node *ret);

/* numa_read: all nodes; none if sysfs has none. */
void numa_read(const char *sys_root, struct numa *ret);

#endif /* APFD_NUMA_H */
