// SPDX-License-Identifier: GPL-2.0
#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "bus.h"
#include "format.h"
#include "select.h"
#include "verb.h"

static bool is_called(const struct stored_row *row, const char *name)
{
	return strcmp(row->name, name) == 0 || strcmp(row->id, name) == 0 ||
	       strcasecmp(row->uuid, name) == 0;
}

/**
 * struct forgetting - a command
 * @chosen: by row: a pattern or a name has chosen it already
 */
struct forgetting {
	struct apfctl *ctl;
	const struct stored_rows *rows;
	bool *chosen;
};

static int forget_row(struct forgetting *f, size_t i)
{
	const struct stored_row *row = &f->rows->all[i];

	if (f->chosen[i])
		return STATUS_OK;
	f->chosen[i] = true;
	return bus_forget(&f->ctl->client, stored_label(row), row->file);
}

static int fail_none(const struct forgetting *f, const char *word)
{
	_cleanup_free_ char *printable = text_printable(word);

	return status_fail(STATUS_NO_SUCH_VM,
			   "%s %s: apfd has stored no settings of such a VM%s; 'apfctl list "
			   "--stored' shows all stored settings",
			   f->ctl->client.task, printable ?: "",
			   is_pattern(word) ? " that does not run" : "");
}

/* All VMs whose name matches and that do not run; those that were removed before, too. */
static int forget_pattern(struct forgetting *f, const char *pattern)
{
	int worst = STATUS_OK;
	bool any = false;

	for (size_t i = 0; i < f->rows->n; i++) {
		const struct stored_row *row = &f->rows->all[i];
		int status;

		if (row->running || fnmatch(pattern, stored_label(row), 0) != 0)
			continue;
		any = true;
		status = forget_row(f, i);
		if (status != STATUS_OK)
			apfctl_fail_print();
		worst = apfctl_worst(worst, status);
	}
	return any ? worst : fail_none(f, pattern);
}

/* The names of files are unique; other names are not. */
static int forget_named(struct forgetting *f, const char *name)
{
	_cleanup_free_ char *printable = NULL;
	size_t n = 0, found = 0;

	for (size_t i = 0; i < f->rows->n; i++) {
		if (strcmp(f->rows->all[i].file, name) == 0)
			return forget_row(f, i);
		if (is_called(&f->rows->all[i], name)) {
			found = i;
			n++;
		}
	}
	if (n == 1)
		return forget_row(f, found);
	if (n == 0)
		return is_pattern(name) ? forget_pattern(f, name) : fail_none(f, name);
	printable = text_printable(name);
	return status_fail(STATUS_FAILED,
			   "%s %s: settings of %zu VMs with this name are stored; use the name of "
			   "a file, see 'apfctl list --stored'",
			   f->ctl->client.task, printable ?: "", n);
}

int verb_forget(struct apfctl *ctl)
{
	_cleanup_(stored_rows_clear) struct stored_rows rows = {};
	_cleanup_free_ bool *chosen = NULL;
	struct forgetting f = { ctl, &rows };
	int worst = STATUS_OK, status;

	status = bus_list_stored(&ctl->client, &rows);
	if (status != STATUS_OK)
		return status;
	chosen = calloc(rows.n + 1, sizeof(*chosen));
	if (!chosen)
		return status_fail(STATUS_FAILED, "out of memory");
	f.chosen = chosen;
	for (size_t i = 0; i < ctl->n_args; i++) {
		status = forget_named(&f, ctl->args[i]);
		if (status != STATUS_OK)
			apfctl_fail_print();
		worst = apfctl_worst(worst, status);
		/* Without apfd, each further VM would fail for the same reason. */
		if (status == STATUS_MISSING)
			break;
	}
	return worst;
}
