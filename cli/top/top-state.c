// SPDX-License-Identifier: GPL-2.0
#include "top-state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "status.h"
#include "table.h"

void top_end(struct top *top, int status)
{
	top->status = status;
	sd_event_exit(top->event, 0);
}

void top_end_oom(struct top *top)
{
	top_end(top, status_fail(STATUS_FAILED, "out of memory"));
}

void top_set_message(struct top *top, bool bad, const char *format, ...)
{
	va_list args;

	free(top->message);
	va_start(args, format);
	if (vasprintf(&top->message, format, args) < 0)
		top->message = NULL;
	va_end(args);
	top->message_bad = bad;
}

void top_set_failure_message(struct top *top)
{
	_cleanup_free_ char *text = status_take_message();

	top_set_message(top, true, "%s", text ?: "the request failed");
}

const struct vm *top_chosen_vm(const struct top *top)
{
	for (size_t i = 0; i < top->vms.n; i++)
		if (strcmp(top->vms.vms[i].path, top->path) == 0)
			return &top->vms.vms[i];
	return NULL;
}

void top_clear_vcpus(struct top *top)
{
	top->vcpus_slot = sd_bus_slot_unref(top->vcpus_slot);
	vcpu_array_clear(&top->vcpus);
	vcpu_array_clear(&top->before);
	free(top->rows);
	top->rows = NULL;
	top->vcpus_nsec = 0;
	top->before_nsec = 0;
	top->no_vcpus = false;
	top->choice_vcpus.row = 0;
	top->choice_vcpus.first = 0;
}

/* Remembers the VM, not the row: the choice stays on the VM when rows move. */
void top_choose_vm(struct top *top, size_t row)
{
	char *path;

	if (top->vms.n == 0)
		row = 0;
	else if (row >= top->vms.n)
		row = top->vms.n - 1;
	top->choice_vms.row = row;
	path = strdup(top->vms.n > 0 ? top->vms.vms[row].path : "");
	if (!path) {
		top_end_oom(top);
		return;
	}
	if (strcmp(path, top->path) != 0)
		top_clear_vcpus(top);
	free(top->path);
	top->path = path;
}

static bool shows_one_vm(enum page page)
{
	return page == PAGE_VCPUS || page == PAGE_LATENCY;
}

void top_order_vms(struct top *top)
{
	top_sort(&top->vms, top->choice_vms.by);
	for (size_t i = 0; i < top->vms.n; i++) {
		if (strcmp(top->vms.vms[i].path, top->path) == 0) {
			top->choice_vms.row = i;
			return;
		}
	}
	/*
	 * The chosen VM has ended. Its page and the question about it must not apply to the
	 * VM that is chosen next.
	 */
	if (top->mode || shows_one_vm(top->page) ||
	    (top->page == PAGE_HELP && shows_one_vm(top->back)))
		top_set_message(top, true, "the VM has ended");
	top->mode = NULL;
	if (shows_one_vm(top->page))
		top->page = PAGE_VMS;
	top->back = PAGE_VMS;
	top_choose_vm(top, top->choice_vms.row);
}

void top_order_vcpus(struct top *top)
{
	struct top_vcpu *rows = calloc(top->vcpus.n + 1, sizeof(*rows));
	struct choice *choice = &top->choice_vcpus;
	uint32_t index = 0;

	if (!rows) {
		top_end_oom(top);
		return;
	}
	/* The old rows are from the previous reply, which may have had fewer vCPUs or none. */
	if (top->rows && choice->row < top->n_rows)
		index = top->rows[choice->row].vcpu->index;
	free(top->rows);
	top->rows = rows;
	top->n_rows = top->vcpus.n;
	top_vcpu_rows(rows, &top->vcpus, &top->before, top->vcpus_nsec - top->before_nsec);
	top_sort_vcpus(rows, top->vcpus.n, choice->by);
	choice->row = 0;
	for (size_t i = 0; i < top->vcpus.n; i++)
		if (rows[i].vcpu->index == index)
			choice->row = i;
}
