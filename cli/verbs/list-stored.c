// SPDX-License-Identifier: GPL-2.0
#include "list-stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "format.h"
#include "json.h"
#include "sort.h"
#include "table.h"

enum stored_column {
	STORED_NAME,
	STORED_ID,
	STORED_MODE,
	STORED_VCPUS,
	STORED_SEEN,
	STORED_SCOPE,
	STORED_FILE,
	STORED_UUID,
	_STORED_MAX,
};

static const struct table_column stored_columns[_STORED_MAX] = {
	[STORED_NAME] = { "NAME", .flexible = true },
	[STORED_ID] = { "ID" },
	[STORED_MODE] = { "MODE" },
	[STORED_VCPUS] = { "VCPUS", .droppable = true },
	[STORED_SEEN] = { "SEEN", .droppable = true },
	[STORED_SCOPE] = { "SCOPE", .droppable = true },
	[STORED_FILE] = { "FILE" },
	[STORED_UUID] = { "UUID", .droppable = true },
};

static int print_stored_json(const struct stored_rows *rows)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < rows->n; i++) {
		const struct stored_row *row = &rows->all[i];
		struct json_object *object = json_object_new_object();
		int r;

		if (!object)
			return status_fail(STATUS_FAILED, "out of memory");
		r = json_add_string(object, "file", row->file);
		r |= json_add_string(object, "name", row->name);
		r |= json_add_string(object, "id", row->id);
		r |= json_add_string(object, "uuid", row->uuid);
		r |= json_add_string(object, "scope", row->scope);
		r |= json_add_string(object, "mode", row->mode);
		r |= json_add_string(object, "vcpu_modes", row->vcpu_modes);
		r |= json_add_uint(object, "used_usec", row->used_usec);
		r |= json_add_bool(object, "running", row->running);
		r |= json_add_string(object, "error", row->error);
		if (json_append(array, object) < 0 || r < 0)
			return status_fail(STATUS_FAILED, "out of memory");
	}
	return json_print(array, false);
}

static const char *or_dash(const char *text)
{
	return text[0] ? text : "-";
}

static void add_stored_row(struct table *table, const struct stored_row *row)
{
	char day[FORMAT_MAX] = "-";
	time_t used_sec = (time_t)(row->used_usec / 1000000);
	struct tm tm;

	if (row->running)
		snprintf(day, sizeof(day), "now");
	else if (row->used_usec > 0 && localtime_r(&used_sec, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	table_add(table, or_dash(row->name));
	table_add(table, or_dash(row->id));
	table_add(table, row->mode);
	table_add(table, or_dash(row->vcpu_modes));
	table_add(table, day);
	table_add(table, or_dash(row->scope));
	table_add(table, row->file);
	table_add(table, or_dash(row->uuid));
}

#define BY(name, compare_expression)                            \
	static int name(const void *a, const void *b)           \
	{                                                       \
		const struct stored_row *row_a = a, *row_b = b; \
		return compare_expression;                      \
	}
/* Each file exists once. */
BY(by_file, strcmp(row_a->file, row_b->file))
BY(by_name, strcmp(row_a->name, row_b->name))
/* Numbers in the order of numbers, also inside of texts. */
BY(by_id, strverscmp(row_a->id, row_b->id))
BY(by_mode, strcmp(row_a->mode, row_b->mode))
BY(by_vcpus, strcmp(row_a->vcpu_modes, row_b->vcpu_modes))
BY(by_scope, strcmp(row_a->scope, row_b->scope))
BY(by_uuid, strcmp(row_a->uuid, row_b->uuid))

/* The VM that was seen last is first; a running VM is seen now. */
static int by_seen(const void *a, const void *b)
{
	const struct stored_row *row_a = a, *row_b = b;

	return COMPARE(row_b->running, row_a->running)
		       ?: COMPARE(row_b->used_usec, row_a->used_usec);
}

static int compare_rows(const void *a, const void *b, void *userdata)
{
	static int (*const compare[_STORED_MAX])(const void *a, const void *b) = {
		[STORED_NAME] = by_name,   [STORED_ID] = by_id,	    [STORED_MODE] = by_mode,
		[STORED_VCPUS] = by_vcpus, [STORED_SEEN] = by_seen, [STORED_SCOPE] = by_scope,
		[STORED_FILE] = by_file,   [STORED_UUID] = by_uuid,
	};
	const struct ordering *ordering = userdata;
	int order = compare[ordering->column](a, b);

	if (order == 0)
		return by_name(a, b) ?: by_file(a, b);
	return ordering->reversed ? -order : order;
}

static int print_stored_table(struct apfctl *ctl, const struct stored_rows *rows)
{
	_cleanup_(table_freep) struct table *table = table_new(stored_columns, _STORED_MAX);

	if (!table)
		return status_fail(STATUS_FAILED, "out of memory");
	if (ctl->no_legend)
		table_hide_header(table);
	for (size_t i = 0; i < rows->n; i++)
		add_stored_row(table, &rows->all[i]);
	if (table_print(table, stdout, &ctl->term, rows->n) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

static void print_errors(const struct stored_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		_cleanup_free_ char *file = text_printable(rows->all[i].file);
		_cleanup_free_ char *error = text_printable(rows->all[i].error);

		if (rows->all[i].error[0])
			apfctl_note("%s: %s", file ?: "", error ?: "");
	}
}

int list_stored(struct apfctl *ctl)
{
	_cleanup_(stored_rows_clear) struct stored_rows rows = {};
	struct ordering ordering = { STORED_NAME, false };
	int status;

	status = sort_read(ctl, stored_columns, _STORED_MAX, &ordering);
	if (status == STATUS_OK)
		status = bus_list_stored(&ctl->client, &rows);
	if (status != STATUS_OK)
		return status;
	if (ctl->sort && rows.n > 0)
		qsort_r(rows.all, rows.n, sizeof(*rows.all), compare_rows, &ordering);
	if (ctl->json)
		return print_stored_json(&rows);
	status = print_stored_table(ctl, &rows);
	if (status != STATUS_OK)
		return status;
	fflush(stdout);
	if (!ctl->no_legend)
		print_errors(&rows);
	return STATUS_OK;
}
