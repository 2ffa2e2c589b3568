// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "cell.h"
#include "format.h"
#include "json.h"
#include "list-stored.h"
#include "names.h"
#include "select.h"
#include "sort.h"
#include "strv.h"
#include "table.h"
#include "top.h"
#include "verb.h"

/* Enough for a number, with the final NUL. */
#define ID_MAX 12

enum list_column {
	LIST_NAME,
	LIST_ID,
	LIST_STATE,
	LIST_MODE,
	LIST_VCPUS,
	LIST_SWAPPED,
	LIST_PRESSURE,
	LIST_SAVED,
	LIST_PID,
	LIST_UUID,
	_LIST_MAX,
};

const struct table_column list_columns[_LIST_MAX] = {
	[LIST_NAME] = { "NAME", .flexible = true },
	[LIST_ID] = { "ID", .right = true },
	[LIST_STATE] = { "STATE" },
	[LIST_MODE] = { "MODE", .droppable = true },
	[LIST_VCPUS] = { "VCPUS", .right = true },
	[LIST_SWAPPED] = { "SWAPPED", .right = true },
	[LIST_PRESSURE] = { "PRESSURE", .right = true, .droppable = true },
	[LIST_SAVED] = { "SAVED", .right = true, .droppable = true },
	[LIST_PID] = { "PID", .right = true, .droppable = true },
	[LIST_UUID] = { "UUID", .droppable = true },
};
const size_t n_list_columns = _LIST_MAX;

static int print_json(const struct vm_list *list)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < list->n; i++)
		if (json_append(array, json_vm(&list->vms[i])) < 0)
			return status_fail(STATUS_FAILED, "out of memory");
	return json_print(array, false);
}

/* Libvirt's id of the VM, or the id from another manager, or "". */
static const char *id_text(char number[static ID_MAX], const struct vm *vm)
{
	if (vm->libvirt_id < 0)
		return vm->id ?: "";
	snprintf(number, ID_MAX, "%d", vm->libvirt_id);
	return number;
}

static void add_row(struct table *table, const struct vm *vm)
{
	char bytes[FORMAT_MAX], number[ID_MAX];
	const char *id = id_text(number, vm);

	table_add(table, vm_label(vm));
	table_add(table, id[0] ? id : "-");
	table_add_styled(table, style_of_state(vm->state), vm->state);
	cell_mode(table, vm);
	if (vm->watched)
		table_addf(table, "%zu", strv_length(vm->vcpu_states));
	else
		table_add(table, "-");
	table_add(table, vm_swapped_known(vm) ? format_bytes(bytes, vm->swapped_bytes) : "-");
	cell_pressure(table, vm);
	cell_saved(table, vm);
	if (vm->pid > 0)
		table_addf(table, "%u", vm->pid);
	else
		table_add(table, "-");
	table_add(table, vm->uuid);
}

/* Explains the "-" of counters that apf_host cannot count on this kernel. */
static void note_hooks(const struct host *host)
{
	char names[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < host->hooks.n && len < sizeof(names); i++) {
		_cleanup_free_ char *name = text_printable(host->hooks.all[i].name);

		if (!host->hooks.all[i].placed)
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? ", " : "", name ?: "");
	}
	if (len > 0)
		apfctl_note("apf_host cannot place some of its hooks on this kernel (%s): their "
			    "counters are shown as \"-\"; apfctl doctor shows the reason",
			    names);
}

/* True on a host of Proxmox or the like, which needs no libvirt. */
static bool has_other_manager(const struct vm_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->vms[i].manager && strcmp(list->vms[i].manager, "libvirt") != 0)
			return true;
	return false;
}

/* Explains an empty or unchanging table on standard error, not in the table. */
static void print_notes(const struct host *host, bool none, bool other_manager)
{
	_cleanup_free_ char *uri = text_printable(host->libvirt_uri);
	_cleanup_free_ char *error = text_lines(host->config_error ?: "");

	if (strcmp(host->host_module, NAME_ABSENT) == 0)
		apfctl_note("apf_host is not loaded: states are unknown and cannot be changed; "
			    "modprobe apf_host");
	note_hooks(host);
	if (strcmp(host->libvirt, NAME_CONNECTED) != 0 && !other_manager)
		apfctl_note("apfd has no connection to libvirt (%s): VMs may be missing",
			    uri ?: "");
	else if (none)
		apfctl_note("no VM is running");
	if (host->config_error && host->config_error[0] != '\0')
		apfctl_note("the configuration is wrong; the last good one stays in effect:%s",
			    error ?: "");
	if (host->dry_run)
		apfctl_note("apfd only reports its decisions and changes nothing (DryRun=yes)");
}

#define BY(name, compare_expression)                  \
	static int name(const void *a, const void *b) \
	{                                             \
		const struct vm *vm_a = a, *vm_b = b; \
		return compare_expression;            \
	}
BY(by_vcpus, COMPARE(strv_length(vm_a->vcpu_states), strv_length(vm_b->vcpu_states)))
BY(by_pid, COMPARE(vm_a->pid, vm_b->pid))
BY(by_uuid, strcmp(vm_a->uuid, vm_b->uuid))

/* Numbers in the order of numbers, also inside of texts; VMs without an id are first. */
static int by_id(const void *a, const void *b)
{
	char text_a[ID_MAX], text_b[ID_MAX];

	return strverscmp(id_text(text_a, a), id_text(text_b, b));
}

static int compare_vms(const void *a, const void *b, void *userdata)
{
	const struct {
		int (*compare)(const void *a, const void *b);
		bool falling;
	} orders[ELEMENTSOF(list_columns)] = {
		[LIST_NAME] = { top_orders[TOP_NAME].compare, false },
		[LIST_ID] = { by_id, false },
		[LIST_STATE] = { top_orders[TOP_STATE].compare, false },
		[LIST_MODE] = { top_orders[TOP_MODE].compare, false },
		[LIST_VCPUS] = { by_vcpus, true },
		[LIST_SWAPPED] = { top_orders[TOP_SWAPPED].compare, true },
		[LIST_PRESSURE] = { top_orders[TOP_PRESSURE].compare, true },
		[LIST_SAVED] = { top_orders[TOP_SAVED].compare, true },
		[LIST_PID] = { by_pid, false },
		[LIST_UUID] = { by_uuid, false },
	};
	const struct ordering *ordering = userdata;
	int order = orders[ordering->column].compare(a, b);

	if (order == 0)
		return top_orders[TOP_NAME].compare(a, b);
	return orders[ordering->column].falling != ordering->reversed ? -order : order;
}

/* Removes the VMs whose state --state does not name. */
static void keep_states(struct vm_list *list, uint64_t states)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct vm *vm = &list->vms[i];
		bool keep = false;

		for (size_t k = 0; k < n_state_names; k++)
			keep |= (states & UINT64_C(1) << k) &&
				strcmp(vm->state, state_names[k]) == 0;
		if (keep)
			list->vms[n++] = *vm;
		else
			vm_clear(vm);
	}
	list->n = n;
}

/* Removes the VMs that the arguments do not name. */
static void keep_targets(struct vm_list *list, const struct targets *targets)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct vm *vm = &list->vms[i];
		bool keep = false;

		for (size_t k = 0; k < targets->n && !keep; k++)
			keep = strcmp(targets->all[k].path, vm->path) == 0;
		if (keep)
			list->vms[n++] = *vm;
		else
			vm_clear(vm);
	}
	list->n = n;
}

static int print_table(struct apfctl *ctl, const struct vm_list *list)
{
	_cleanup_(table_freep) struct table *table =
		table_new(list_columns, ELEMENTSOF(list_columns));

	if (!table)
		return status_fail(STATUS_FAILED, "out of memory");
	if (ctl->no_legend)
		table_hide_header(table);
	for (size_t i = 0; i < list->n; i++)
		add_row(table, &list->vms[i]);
	if (table_print(table, stdout, &ctl->term, list->n) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

int verb_list(struct apfctl *ctl)
{
	_cleanup_(targets_clear) struct targets targets = {};
	_cleanup_(vm_list_clear) struct vm_list list = {};
	_cleanup_(host_clear) struct host host = {};
	struct ordering ordering = { LIST_NAME, false };
	int status, found = STATUS_OK;
	bool none, other_manager;

	if (ctl->stored)
		return list_stored(ctl);
	status = sort_read(ctl, list_columns, ELEMENTSOF(list_columns), &ordering);
	if (status == STATUS_OK)
		status = bus_read_host(&ctl->client, &host);
	if (status != STATUS_OK)
		return status;
	if (ctl->n_args > 0) {
		found = targets_find(ctl, ctl->n_args, &targets);
		if (targets.n == 0)
			return found;
	}
	status = bus_read_vms(&ctl->client, &list);
	if (status != STATUS_OK)
		return status;
	none = list.n == 0;
	other_manager = has_other_manager(&list);
	if (ctl->n_args > 0)
		keep_targets(&list, &targets);
	if (ctl->states)
		keep_states(&list, ctl->states);
	if (list.n > 0)
		qsort_r(list.vms, list.n, sizeof(*list.vms), compare_vms, &ordering);

	if (ctl->json)
		return apfctl_worst(found, print_json(&list));
	status = print_table(ctl, &list);
	if (status != STATUS_OK)
		return status;
	fflush(stdout);
	if (!ctl->no_legend)
		print_notes(&host, none, other_manager);
	return found;
}
