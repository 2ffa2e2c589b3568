// SPDX-License-Identifier: GPL-2.0
#include "objects.h"

#include <string.h>

#include "names.h"
#include "props.h"

struct reader {
	const char *path;
	object_vm_fn read_vm;
	void *userdata;
	const char **ret_bad;
};

static int read_interface(sd_bus_message *m, void *userdata)
{
	struct reader *reader = userdata;
	const char *interface;
	int r;

	r = sd_bus_message_read_basic(m, 's', &interface);
	if (r < 0)
		return r;
	if (strcmp(interface, BUS_INTERFACE_VM) != 0)
		return sd_bus_message_skip(m, "a{sv}");
	return reader->read_vm(reader->path, m, reader->userdata, reader->ret_bad);
}

static int read_object(sd_bus_message *m, void *userdata)
{
	struct reader *reader = userdata;
	int r;

	r = sd_bus_message_read_basic(m, 'o', &reader->path);
	return r < 0 ? r : dict_read(m, "sa{sv}", read_interface, reader);
}

int object_read(const char *path, sd_bus_message *m, object_vm_fn read_vm, void *userdata,
		const char **ret_bad)
{
	struct reader reader = { path, read_vm, userdata, ret_bad };

	return dict_read(m, "sa{sv}", read_interface, &reader);
}

static int read_listed(sd_bus_message *m, void *userdata)
{
	struct reader *reader = userdata;
	int r;

	r = sd_bus_message_read_basic(m, 'o', &reader->path);
	return r < 0 ? r : reader->read_vm(reader->path, m, reader->userdata, reader->ret_bad);
}

int objects_read(sd_bus_message *m, object_vm_fn read_vm, void *userdata, const char **ret_bad)
{
	struct reader reader = { NULL, read_vm, userdata, ret_bad };

	if (sd_bus_message_has_signature(m, "a{oa{sv}}") > 0)
		return dict_read(m, "oa{sv}", read_listed, &reader);
	return dict_read(m, "oa{sa{sv}}", read_object, &reader);
}
