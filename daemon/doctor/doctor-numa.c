/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-checks.h"

#include <inttypes.h>

#include "numa.h"
#include "remedy.h"
#include "util.h"

/* More nodes than any host of Linux on x86 has. */
enum { NODES_MAX = 1024 };

/*
 * A node is full if less than this share of its memory is free or page cache, and the host is not
 * if other nodes together have at least the second share.
 */
#define FULL_PERCENT  10
#define SPACE_PERCENT 25

/* struct place - memory of some nodes */
struct place {
	uint64_t total_bytes, available_bytes;
};

/* Parses "0-1,3" to a set; false if there is no node in @text, or if @text is not a list. */
static bool parse_nodes(const char *text, bool ret[static NODES_MAX])
{
	bool any = false;

	memset(ret, 0, NODES_MAX * sizeof(*ret));
	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long i = first; i <= last && i < NODES_MAX; i++)
			any = ret[i] = true;
		text = end + (*end == ',');
	}
	return any && (*text == '\0' || *text == '\n');
}

/* Page cache counts as available: Linux drops clean pages before it swaps. */
static void add_node(const struct doctor_vm *v, unsigned int node, struct place *place)
{
	struct numa_node n;

	if (numa_read_node(v->sys_root, node, &n) < 0)
		return;
	place->total_bytes += n.total_bytes;
	place->available_bytes += n.free_bytes + n.file_bytes;
}

/* A list of nodes has the key once for each node: "host-nodes=0,host-nodes=2". */
static void read_host_nodes(const char *object, char *ret, size_t size)
{
	size_t len = 0;

	if (*object == '{') {
		(void)process_property(object, "host-nodes", ret, size);
		return;
	}
	for (const char *at = object; (at = strstr(at, "host-nodes=")) && len < size;) {
		at += strlen("host-nodes=");
		len += (size_t)snprintf(ret + len, size - len, "%s%.*s", len ? "," : "",
					(int)strcspn(at, ","), at);
	}
}

/* The nodes that QEMU or Cloud Hypervisor was told to take the memory from; "" if none. */
static void nodes_of_arguments(const struct process *p, char *ret, size_t size)
{
	char policy[32];

	ret[0] = '\0';
	for (const char *o = NULL; (o = process_next_value(p, "object", o));)
		if (process_property(o, "policy", policy, sizeof(policy)) &&
		    streq(policy, "bind")) {
			read_host_nodes(o, ret, size);
			return;
		}
	for (const char *o = NULL; (o = process_next_value(p, "memory-zone", o));)
		if (process_property(o, "host_numa_node", ret, size))
			return;
}

static bool read_online(const struct doctor_vm *v, bool ret[static NODES_MAX])
{
	static const char *const names[] = { "has_memory", "online" };
	char path[PATH_MAX], line[256];

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		_cleanup_fclose_ FILE *file = NULL;

		if ((size_t)snprintf(path, sizeof(path), "%s/devices/system/node/%s", v->sys_root,
				     names[i]) >= sizeof(path))
			return false;
		file = fopen(path, "re");
		if (file && fgets(line, sizeof(line), file) && parse_nodes(line, ret))
			return true;
	}
	return false;
}

static uint64_t percent(const struct place *place)
{
	return place->total_bytes ? place->available_bytes / (place->total_bytes / 100) : 100;
}

void doctor_numa(const struct subject *s, struct diagnosis *d)
{
	const struct doctor_vm *v = s->v;
	bool online[NODES_MAX], bound[NODES_MAX];
	struct place inside = {}, outside = {};
	char arguments[DOMAIN_XML_MODEL_MAX];
	const char *nodes;

	if (!s->process.known || !read_online(v, online))
		return;
	nodes_of_arguments(&s->process, arguments, sizeof(arguments));
	nodes = v->live && v->live->nodes[0] ? v->live->nodes
		: arguments[0]		     ? arguments
					     : s->process.nodes;
	if (!parse_nodes(nodes, bound))
		return;
	for (unsigned int i = 0; i < NODES_MAX; i++)
		if (online[i])
			add_node(v, i, bound[i] ? &inside : &outside);
	if (outside.total_bytes == 0) {
		diag_add(d, CHECK_NUMA, DIAG_OK, "it may use the memory of all NUMA nodes");
	} else if (percent(&inside) < FULL_PERCENT && percent(&outside) >= SPACE_PERCENT) {
		diag_add(d, CHECK_NUMA, DIAG_WARN,
			 "it is bound to NUMA node %s, of which %" PRIu64
			 " %% are available, while "
			 "other nodes have %" PRIu64 " %%: it swaps, although the host has memory",
			 nodes, percent(&inside), percent(&outside));
		remedy_add(REMEDY_NODES, &s->vmm, d);
	} else {
		diag_add(d, CHECK_NUMA, DIAG_OK,
			 "it is bound to NUMA node %s, of which %" PRIu64 " %% are available",
			 nodes, percent(&inside));
	}
}
