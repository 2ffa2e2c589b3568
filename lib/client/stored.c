// SPDX-License-Identifier: GPL-2.0
#include "stored.h"

#include <errno.h>
#include <stdlib.h>

#include "apf/cleanup.h"
#include "props.h"

#define STORED(name, type, read, field)                              \
	{                                                            \
		name, type, read, offsetof(struct stored_row, field) \
	}
static const struct prop stored_props[] = {
	STORED("File", "s", prop_read_string, file),
	STORED("Name", "s", prop_read_string, name),
	STORED("ID", "s", prop_read_string, id),
	STORED("UUID", "s", prop_read_string, uuid),
	STORED("Scope", "s", prop_read_string, scope),
	STORED("Mode", "s", prop_read_string, mode),
	STORED("VCPUModes", "s", prop_read_string, vcpu_modes),
	STORED("Used", "t", prop_read_basic, used_usec),
	STORED("Running", "b", prop_read_bool, running),
	STORED("Error", "s", prop_read_string, error),
};

static int append_row(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct stored_rows *rows = userdata;
	struct stored_row *all = reallocarray(rows->all, rows->n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	rows->all = all;
	all[rows->n] = (struct stored_row){};
	return props_read(m, stored_props, ELEMENTSOF(stored_props), &all[rows->n++], ret_bad);
}

int stored_rows_read(sd_bus_message *m, struct stored_rows *rows, const char **ret_bad)
{
	return props_read_array(m, append_row, rows, ret_bad);
}

const char *stored_label(const struct stored_row *row)
{
	return row->name[0] ? row->name : row->file;
}

void stored_rows_clear(struct stored_rows *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		struct stored_row *row = &rows->all[i];

		free(row->file);
		free(row->name);
		free(row->id);
		free(row->uuid);
		free(row->scope);
		free(row->mode);
		free(row->vcpu_modes);
		free(row->error);
	}
	free(rows->all);
	*rows = (struct stored_rows){};
}
