// SPDX-License-Identifier: GPL-2.0
#include "props.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apf/cleanup.h"
#include "figures.h"
#include "histogram.h"
#include "strv.h"
#include "vcpu-list.h"

int prop_read_string(sd_bus_message *m, void *field)
{
	char **string = field;
	const char *value;
	char *copy;
	int r;

	r = sd_bus_message_read_basic(m, 's', &value);
	if (r < 0)
		return r;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*string);
	*string = copy;
	return 0;
}

int prop_read_bool(sd_bus_message *m, void *field)
{
	bool *flag = field;
	int value, r;

	/* For a D-Bus boolean, sd-bus writes an int, not a bool. */
	r = sd_bus_message_read_basic(m, 'b', &value);
	if (r < 0)
		return r;
	*flag = value;
	return 0;
}

int prop_read_basic(sd_bus_message *m, void *field)
{
	char type;
	int r;

	r = sd_bus_message_peek_type(m, &type, NULL);
	if (r < 0)
		return r;
	r = sd_bus_message_read_basic(m, type, field);
	return r < 0 ? r : 0;
}

int prop_read_strv(sd_bus_message *m, void *field)
{
	char ***strings = field;
	char **value = NULL;
	int r;

	r = sd_bus_message_read_strv(m, &value);
	if (r < 0)
		return r;
	strv_free(*strings);
	*strings = value;
	return 0;
}

int prop_read_histogram(sd_bus_message *m, void *field)
{
	struct histogram *histogram = field;
	const uint64_t *buckets;
	size_t size;
	int r;

	r = sd_bus_message_read_array(m, 't', (const void **)&buckets, &size);
	if (r < 0)
		return r;
	if (size / sizeof(*buckets) > HISTOGRAM_MAX)
		return -EBADMSG;
	histogram->n = (unsigned int)(size / sizeof(*buckets));
	if (size > 0)
		memcpy(histogram->bucket, buckets, size);
	return 0;
}

int prop_read_vcpus(sd_bus_message *m, void *field)
{
	struct vcpu_list *list = field;
	const uint32_t *indices;
	size_t size_bytes;
	int r;

	r = sd_bus_message_read_array(m, 'u', (const void **)&indices, &size_bytes);
	if (r < 0)
		return r;
	*list = (struct vcpu_list){};
	for (size_t i = 0; i < size_bytes / sizeof(*indices); i++) {
		if (indices[i] > VCPU_INDEX_MAX)
			return -EBADMSG;
		list->n += !list->member[indices[i]];
		list->member[indices[i]] = true;
	}
	return 0;
}

int props_read_array(sd_bus_message *m,
		     int (*append)(sd_bus_message *m, void *userdata, const struct prop **ret_bad),
		     void *userdata, const char **ret_bad)
{
	const struct prop *bad = NULL;
	int r;

	*ret_bad = NULL;
	r = sd_bus_message_enter_container(m, 'a', "a{sv}");
	if (r < 0)
		return r == -ENXIO ? -EBADMSG : r;
	while ((r = sd_bus_message_at_end(m, false)) == 0) {
		r = append(m, userdata, &bad);
		if (r < 0) {
			*ret_bad = bad ? bad->name : NULL;
			return r;
		}
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 0;
}

int dict_read(sd_bus_message *m, const char *entry, int (*read)(sd_bus_message *m, void *userdata),
	      void *userdata)
{
	char type[32];
	int r;

	snprintf(type, sizeof(type), "{%s}", entry);
	r = sd_bus_message_enter_container(m, 'a', type);
	if (r < 0)
		return r == -ENXIO ? -EBADMSG : r;
	while ((r = sd_bus_message_enter_container(m, 'e', entry)) > 0) {
		r = read(m, userdata);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 0;
}

static int read_figure(sd_bus_message *m, void *userdata)
{
	struct figures *figures = userdata;
	struct figure *all, figure = {};
	const char *name;
	int r;

	r = sd_bus_message_read(m, "sd", &name, &figure.value);
	if (r < 0)
		return r;
	figure.name = strdup(name);
	all = reallocarray(figures->all, figures->n + 1, sizeof(*all));
	if (!all || !figure.name) {
		free(figure.name);
		figures->all = all ?: figures->all;
		return -ENOMEM;
	}
	figures->all = all;
	all[figures->n++] = figure;
	return 0;
}

int prop_read_figures(sd_bus_message *m, void *field)
{
	figures_clear(field);
	return dict_read(m, "sd", read_figure, field);
}

void figures_clear(struct figures *figures)
{
	for (size_t i = 0; i < figures->n; i++)
		free(figures->all[i].name);
	free(figures->all);
	*figures = (struct figures){};
}

static const struct prop *prop_find(const struct prop *props, size_t n_props, const char *name)
{
	for (size_t i = 0; i < n_props; i++)
		if (strcmp(props[i].name, name) == 0)
			return &props[i];
	return NULL;
}

/* Reads the value of one entry; returns 1 if @prop is its row, 0 if it was skipped. */
static int prop_read(sd_bus_message *m, const struct prop *prop, void *object)
{
	const char *type;
	int r;

	if (!prop) {
		r = sd_bus_message_skip(m, "v");
		return r < 0 ? r : 0;
	}
	r = sd_bus_message_peek_type(m, NULL, &type);
	if (r < 0)
		return r;
	if (strcmp(type, prop->type) != 0)
		return -EBADMSG;
	r = sd_bus_message_enter_container(m, 'v', prop->type);
	if (r < 0)
		return r;
	r = prop->read(m, (char *)object + prop->offset);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	return r < 0 ? r : 1;
}

int props_read(sd_bus_message *m, const struct prop *props, size_t n_props, void *object,
	       const struct prop **ret_bad)
{
	uint64_t seen = 0;
	int r;

	*ret_bad = NULL;
	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	if (r < 0)
		return r == -ENXIO ? -EBADMSG : r;

	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const struct prop *prop;
		const char *name;

		r = sd_bus_message_read_basic(m, 's', &name);
		if (r < 0)
			return r;
		prop = prop_find(props, n_props, name);
		r = prop_read(m, prop, object);
		if (r < 0) {
			*ret_bad = prop;
			return r;
		}
		if (r > 0)
			seen |= 1ULL << (prop - props);
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;

	for (size_t i = 0; i < n_props; i++) {
		if (!props[i].optional && !(seen & (1ULL << i))) {
			*ret_bad = &props[i];
			return -EBADMSG;
		}
	}
	return 0;
}
