/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads a D-Bus dictionary a{sv} into a struct, as described by a table.
 */
#ifndef APFCTL_PROPS_H
#define APFCTL_PROPS_H

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

/**
 * struct prop - a row of the table: one entry of the dictionary
 * @name: name of the entry
 * @type: D-Bus signature that the value must have
 * @read: reads a value of @type into the field; 0 or negative errno
 * @offset: offset of the field in the struct
 * @optional: the entry may be missing; the field is then unchanged
 */
struct prop {
	const char *name;
	const char *type;
	int (*read)(sd_bus_message *m, void *field);
	size_t offset;
	bool optional;
};

/**
 * props_read() - reads the whole dictionary at the message's read position
 *
 * Entries without a row are skipped: a newer apfd may send more. An entry is mandatory
 * unless its row is optional: a figure that was not sent must not be shown as 0.
 *
 * @n_props: at most 64
 * @ret_bad: on -EBADMSG, the row whose entry is missing or has another type, or NULL
 *	if the dictionary itself has another type
 * Return: 0, -EBADMSG, -ENOMEM or an error of sd-bus.
 */
int props_read(sd_bus_message *m, const struct prop *props, size_t n_props, void *object,
	       const struct prop **ret_bad);

/**
 * props_read_array() - reads an array of dictionaries, aa{sv}
 * @append: reads one dictionary with props_read() into a new element
 * @ret_bad: on -EBADMSG, the name of the entry that cannot be read, or NULL
 */
int props_read_array(sd_bus_message *m,
		     int (*append)(sd_bus_message *m, void *userdata, const struct prop **ret_bad),
		     void *userdata, const char **ret_bad);

/**
 * dict_read() - reads any dictionary at the message's read position
 * @entry: type of an entry without its braces, e.g. "su"
 * @read: reads key and value of one entry; a negative errno ends the reading
 * Return: 0, -EBADMSG if the dictionary has another type, or another error.
 */
int dict_read(sd_bus_message *m, const char *entry, int (*read)(sd_bus_message *m, void *userdata),
	      void *userdata);

int prop_read_string(sd_bus_message *m, void *field);	 /* char *; frees the old value */
int prop_read_bool(sd_bus_message *m, void *field);	 /* bool */
int prop_read_basic(sd_bus_message *m, void *field);	 /* int32_t, uint32_t, uint64_t, double */
int prop_read_strv(sd_bus_message *m, void *field);	 /* char **; frees the old value */
int prop_read_histogram(sd_bus_message *m, void *field); /* struct histogram */
int prop_read_vcpus(sd_bus_message *m, void *field);	 /* struct vcpu_list, from au */
int prop_read_figures(sd_bus_message *m, void *field);	 /* struct figures, from a{sd} */

#endif
