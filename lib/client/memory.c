// SPDX-License-Identifier: GPL-2.0
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "props.h"

struct reader {
	struct memory_figures *figures;
	const struct figure_name *names;
	unsigned int n;
};

static int read_figure(sd_bus_message *m, void *userdata)
{
	const struct reader *reader = userdata;
	const char *name;
	uint64_t value;
	int r;

	r = sd_bus_message_read(m, "st", &name, &value);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < reader->n; i++)
		if (strcmp(reader->names[i].bus, name) == 0)
			memory_figure_set(reader->figures, i, value);
	return 0;
}

int prop_read_vm_memory(sd_bus_message *m, void *field)
{
	struct reader reader = { field, vm_memory_names, _VM_MEMORY_MAX };

	*reader.figures = (struct memory_figures){};
	return dict_read(m, "st", read_figure, &reader);
}

int prop_read_host_memory(sd_bus_message *m, void *field)
{
	struct reader reader = { field, host_memory_names, _HOST_MEMORY_MAX };

	*reader.figures = (struct memory_figures){};
	return dict_read(m, "st", read_figure, &reader);
}

static int read_pressure(sd_bus_message *m, void *userdata)
{
	struct host_pressure_figures *pressure = userdata;
	const char *name;
	double value;
	int r;

	r = sd_bus_message_read(m, "sd", &name, &value);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < _HOST_PRESSURE_MAX; i++) {
		if (strcmp(host_pressure_names[i].bus, name) == 0) {
			pressure->known |= 1U << i;
			pressure->value[i] = value;
		}
	}
	return 0;
}

int prop_read_host_pressure(sd_bus_message *m, void *field)
{
	struct host_pressure_figures *pressure = field;

	*pressure = (struct host_pressure_figures){};
	return dict_read(m, "sd", read_pressure, pressure);
}

static struct node_memory *append_node(struct nodes_memory *nodes)
{
	struct node_memory *all = reallocarray(nodes->all, nodes->n + 1, sizeof(*all));

	if (!all)
		return NULL;
	nodes->all = all;
	all[nodes->n] = (struct node_memory){};
	return &all[nodes->n++];
}

static int compare_nodes(const void *a, const void *b)
{
	const struct node_memory *node_a = a, *node_b = b;

	return node_a->node < node_b->node ? -1 : node_a->node > node_b->node;
}

static int sort_nodes(struct nodes_memory *nodes, int r)
{
	if (r >= 0 && nodes->n > 0)
		qsort(nodes->all, nodes->n, sizeof(*nodes->all), compare_nodes);
	return r;
}

static int read_vm_node(sd_bus_message *m, void *userdata)
{
	struct node_memory *node = append_node(userdata);
	unsigned long number;
	const char *key;
	char *end;
	int r;

	if (!node)
		return -ENOMEM;
	r = sd_bus_message_read(m, "st", &key, &node->bytes);
	if (r < 0)
		return r;
	errno = 0;
	number = strtoul(key, &end, 10);
	if (errno != 0 || end == key || *end || number > UINT32_MAX)
		return -EBADMSG;
	node->node = (uint32_t)number;
	return r;
}

int prop_read_vm_nodes(sd_bus_message *m, void *field)
{
	nodes_memory_clear(field);
	return sort_nodes(field, dict_read(m, "st", read_vm_node, field));
}

#define NODE(name, type, field)                                                  \
	{                                                                        \
		name, type, prop_read_basic, offsetof(struct node_memory, field) \
	}
static const struct prop node_props[] = {
	NODE("Node", "u", node),
	NODE("TotalBytes", "t", bytes),
	NODE("FreeBytes", "t", free_bytes),
};

static int read_host_node(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct node_memory *node = append_node(userdata);

	if (!node)
		return -ENOMEM;
	return props_read(m, node_props, sizeof(node_props) / sizeof(node_props[0]), node, ret_bad);
}

int prop_read_host_nodes(sd_bus_message *m, void *field)
{
	const char *bad;

	nodes_memory_clear(field);
	return sort_nodes(field, props_read_array(m, read_host_node, field, &bad));
}

void nodes_memory_clear(struct nodes_memory *nodes)
{
	free(nodes->all);
	*nodes = (struct nodes_memory){};
}
