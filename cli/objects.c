// SPDX-License-Identifier: GPL-2.0
#include "objects.h"

#include <string.h>

#include "bus.h"
#include "props.h"

struct reading {
	const char *path;
	objects_vm_t take;
	void *userdata;
	const char **ret_bad;
};

static int read_interface(sd_bus_message *m, void *userdata)
{
	struct reading *reading = userdata;
	const char *interface;
	int r;

	r = sd_bus_message_read_basic(m, 's', &interface);
	if (r < 0)
		return r;
	if (strcmp(interface, VM_INTERFACE) != 0)
		return sd_bus_message_skip(m, "a{sv}");
	return reading->take(reading->path, m, reading->userdata, reading->ret_bad);
}

static int read_object(sd_bus_message *m, void *userdata)
{
	struct reading *reading = userdata;
	int r;

	r = sd_bus_message_read_basic(m, 'o', &reading->path);
	return r < 0 ? r : dict_read(m, "sa{sv}", read_interface, reading);
}

int object_read(const char *path, sd_bus_message *m, objects_vm_t take, void *userdata,
		const char **ret_bad)
{
	struct reading reading = { path, take, userdata, ret_bad };

	return dict_read(m, "sa{sv}", read_interface, &reading);
}

int objects_read(sd_bus_message *m, objects_vm_t take, void *userdata, const char **ret_bad)
{
	struct reading reading = { NULL, take, userdata, ret_bad };

	return dict_read(m, "oa{sa{sv}}", read_object, &reading);
}
