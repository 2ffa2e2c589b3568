/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads a D-Bus dictionary a{sv} into a struct, by a table of its entries.
 */
#ifndef APFCTL_PROPS_H
#define APFCTL_PROPS_H

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

/**
 * struct prop - a row of such a table
 * @name: of the entry
 * @type: D-Bus signature it must have
 * @read: reads a value of @type into the field; 0 or negative errno
 * @offset: of the field in the struct
 * @optional: the entry may be missing; the field then stays as it is
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
 * Entries without a row are skipped: a newer apfd may send more. Every row that
 * is not optional needs its entry: a figure that was never sent must not be shown
 * as 0.
 *
 * @n_props: at most 64
 * @ret_bad: on -EBADMSG, the row whose entry is missing or of another type, or
 *	NULL if it is the dictionary itself
 * Return: 0, -EBADMSG, -ENOMEM or what sd-bus says.
 */
int props_read(sd_bus_message *m, const struct prop *props, size_t n_props, void *object,
	       const struct prop **ret_bad);

/**
 * props_read_array() - reads an array of dictionaries, aa{sv}
 * @append: reads one with props_read() into a new element
 * @ret_bad: on -EBADMSG the name of the entry at fault, or NULL
 */
int props_read_array(sd_bus_message *m,
		     int (*append)(sd_bus_message *m, void *userdata, const struct prop **ret_bad),
		     void *userdata, const char **ret_bad);

/**
 * dict_read() - reads any dictionary at the message's read position
 * @entry: type of an entry without its braces, e.g. "su"
 * @read: reads key and value of one; 0 or more, or a negative errno, which ends it
 * Return: 0, -EBADMSG if it is another dictionary, or what went wrong.
 */
int dict_read(sd_bus_message *m, const char *entry, int (*read)(sd_bus_message *m, void *userdata),
	      void *userdata);

int prop_read_string(sd_bus_message *m, void *field);	 /* char *, freed before */
int prop_read_bool(sd_bus_message *m, void *field);	 /* bool */
int prop_read_basic(sd_bus_message *m, void *field);	 /* int32_t, uint32_t, uint64_t, double */
int prop_read_strv(sd_bus_message *m, void *field);	 /* char **, freed before */
int prop_read_histogram(sd_bus_message *m, void *field); /* struct histogram */
int prop_read_vcpus(sd_bus_message *m, void *field);	 /* struct vcpu_list, from au */
int prop_read_figures(sd_bus_message *m, void *field);	 /* struct figures, from a{sd} */

#endif
