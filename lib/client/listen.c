// SPDX-License-Identifier: GPL-2.0
#include "listen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "apf/cleanup.h"
#include "names.h"

/* The bus limits the rules of a client (dbus-daemon: 512); for more VMs, listen to all VMs. */
#define LISTEN_VMS_MAX 100

#define FROM_APFD  "type='signal',sender='" BUS_NAME "',"
#define PROPERTIES "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
#define OBJECTS	   "interface='org.freedesktop.DBus.ObjectManager',path='" BUS_PATH_ROOT "'"

static const char host_rule[] =
	FROM_APFD PROPERTIES "path='" BUS_PATH_ROOT "',arg0='" BUS_INTERFACE_MANAGER "'";

/*
 * For a VM: its start and end, its name, its events. A change of the name has no signal of its
 * own; the other properties that are announced change rarely. No signal matches two rules.
 */
enum { RULES = 3 };

static const char *const rules_all[RULES] = {
	FROM_APFD OBJECTS,
	FROM_APFD PROPERTIES "arg0='" BUS_INTERFACE_VM "'",
	FROM_APFD "interface='" BUS_INTERFACE_VM "'",
};

/* The same for one VM; the path of its object and a quotation mark follow. */
static const char *const rules_one[RULES] = {
	FROM_APFD OBJECTS ",arg0path='",
	FROM_APFD PROPERTIES "arg0='" BUS_INTERFACE_VM "',path='",
	FROM_APFD "interface='" BUS_INTERFACE_VM "',path='",
};

static int listen_to_all(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < RULES; i++)
		r = sd_bus_add_match(bus, NULL, rules_all[i], handler, userdata);
	return r;
}

static int listen_to_one(sd_bus *bus, const char *path, sd_bus_message_handler_t handler,
			 void *userdata)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < RULES; i++) {
		_cleanup_free_ char *rule = NULL;

		if (asprintf(&rule, "%s%s'", rules_one[i], path) < 0)
			return -ENOMEM;
		r = sd_bus_add_match(bus, NULL, rule, handler, userdata);
	}
	return r;
}

/* The same rule twice would handle each signal twice. */
static bool is_repeated(char *const *paths, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(paths[k], paths[i]) == 0)
			return true;
	return false;
}

int listen_to_vms(sd_bus *bus, char *const *paths, size_t n, sd_bus_message_handler_t handler,
		  void *userdata)
{
	int r;

	r = sd_bus_add_match(bus, NULL, host_rule, handler, userdata);
	if (r >= 0 && (n == 0 || n > LISTEN_VMS_MAX))
		return listen_to_all(bus, handler, userdata);
	for (size_t i = 0; r >= 0 && i < n; i++)
		if (!is_repeated(paths, i))
			r = listen_to_one(bus, paths[i], handler, userdata);
	return r;
}
