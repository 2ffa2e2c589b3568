/* SPDX-License-Identifier: GPL-2.0 */
#include "log-control.h"

#include <errno.h>

#include "conf-parse.h"
#include "log.h"
#include "server.h"
#include "utf8.h"

/* Size of a refused value in an error text. */
#define SHOWN_BYTES 33

static int property_get_level(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *reply, void *userdata,
			      sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", conf_level_to_string(log_level()));
}

static int property_set_level(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *value, void *userdata,
			      sd_bus_error *error)
{
	char shown[SHOWN_BYTES];
	const char *name;
	int r, level;

	r = sd_bus_message_read(value, "s", &name);
	if (r < 0)
		return r;
	if (conf_parse_level(name, &level) < 0) {
		utf8_excerpt(name, shown, sizeof(shown));
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "Unknown log level \"%s\": it must be emerg, alert, crit, "
					 "err, warning, notice, info or debug",
					 shown);
	}
	log_info("The log level is set to %s until the configuration is reloaded", name);
	log_set_level(level);
	return 0;
}

static int property_get_target(sd_bus *bus, const char *path, const char *interface,
			       const char *property, sd_bus_message *reply, void *userdata,
			       sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", log_target());
}

static int property_set_target(sd_bus *bus, const char *path, const char *interface,
			       const char *property, sd_bus_message *value, void *userdata,
			       sd_bus_error *error)
{
	char shown[SHOWN_BYTES];
	const char *name;
	int r;

	r = sd_bus_message_read(value, "s", &name);
	if (r < 0)
		return r;
	if (log_set_target(name) < 0) {
		utf8_excerpt(name, shown, sizeof(shown));
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "Unknown log target \"%s\": it must be journal, console "
					 "or auto",
					 shown);
	}
	return 0;
}

static int property_get_identifier(sd_bus *bus, const char *path, const char *interface,
				   const char *property, sd_bus_message *reply, void *userdata,
				   sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", program_invocation_short_name);
}

/* Without SD_BUS_VTABLE_UNPRIVILEGED only root may write. */
static const sd_bus_vtable log_control_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", property_get_level, property_set_level, 0, 0),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", property_get_target, property_set_target, 0, 0),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", property_get_identifier, 0,
			SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END
};

int log_control_register(struct server *s)
{
	return sd_bus_add_object_vtable(s->bus, NULL, BUS_PATH_LOG_CONTROL,
					BUS_INTERFACE_LOG_CONTROL, log_control_vtable, s);
}
