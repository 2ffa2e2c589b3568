/* SPDX-License-Identifier: GPL-2.0 */
/* Memory figures of VMs and of the host, as apfd sends them. */
#ifndef APFCTL_MEMORY_H
#define APFCTL_MEMORY_H

#include <stddef.h>
#include <systemd/sd-bus.h>

#include "memory-figures.h"

/**
 * struct node_memory - a NUMA node
 * @bytes: of a VM, its memory on the node; of the host, the node's memory
 * @free_bytes: of the host; 0 for a VM
 */
struct node_memory {
	uint32_t node;
	uint64_t bytes;
	uint64_t free_bytes;
};

/**
 * struct nodes_memory - all nodes, sorted by number
 */
struct nodes_memory {
	struct node_memory *all;
	size_t n;
};

/**
 * struct host_pressure_figures
 * @known: a bit for each figure that apfd sent
 * @value: by &enum host_pressure
 */
struct host_pressure_figures {
	unsigned int known;
	double value[_HOST_PRESSURE_MAX];
};

void nodes_memory_clear(struct nodes_memory *nodes);

/* Functions for struct prop; figures of a newer apfd are skipped. */
int prop_read_vm_memory(sd_bus_message *m, void *field);     /* struct memory_figures, a{st} */
int prop_read_host_memory(sd_bus_message *m, void *field);   /* struct memory_figures, a{st} */
int prop_read_host_pressure(sd_bus_message *m, void *field); /* a{sd} */
int prop_read_vm_nodes(sd_bus_message *m, void *field);	     /* struct nodes_memory, a{st} */
int prop_read_host_nodes(sd_bus_message *m, void *field);    /* struct nodes_memory, aa{sv} */

#endif
