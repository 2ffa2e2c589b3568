/* SPDX-License-Identifier: GPL-2.0 */
#include "server.h"

#include <errno.h>

#include "context.h"
#include "suggest.h"
#include "utf8.h"
#include "virt.h"
#include "vm.h"

struct server *server_of(sd_bus_message *message)
{
	sd_bus_slot *slot = sd_bus_get_current_slot(sd_bus_message_get_bus(message));

	return sd_bus_slot_get_userdata(slot);
}

int server_add_node(char **nodes, size_t n, const char *path)
{
	nodes[n] = strdup(path);
	if (nodes[n])
		return 0;
	while (n > 0)
		free(nodes[--n]);
	free(nodes);
	return -ENOMEM;
}

/* Size of the requested name in error texts. */
#define WANTED_SHOWN_BYTES 65

int server_no_such_vm(struct server *s, const char *wanted, sd_bus_error *error)
{
	struct context *c = s->context;
	_cleanup_free_ const char **names = NULL;
	_cleanup_free_ char *near = NULL;
	char shown[WANTED_SHOWN_BYTES];
	const char *hint = "";
	struct vm *vm;
	size_t n = 0;

	names = calloc(c->vms.n + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	REGISTRY_FOREACH(vm, &c->vms)
	names[n++] = vm->name;
	if (suggest_near(wanted, names, n, &near) < 0)
		return -ENOMEM;
	if (virt_state(c->virt) != VIRT_CONNECTED)
		hint = ", and libvirt is not connected";

	utf8_excerpt(wanted, shown, sizeof(shown));
	return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_VM, "No running VM \"%s\"%s%s%s%s", shown,
				 hint, near ? "; did you mean " : "", near ? near : "",
				 near ? "?" : "");
}

int server_check_watched(const struct vm *vm, sd_bus_error *error)
{
	if (!apfd_genl_info(vm->context->genl))
		return sd_bus_error_set(error, BUS_ERROR_NO_HOST_MODULE,
					"The host module apf_host is not loaded");
	if (!vm->module_id)
		return sd_bus_error_setf(error, BUS_ERROR_NOT_WATCHED, "VM %s is not watched: %s",
					 vm->name, vm->why_unwatched);
	return 0;
}
