// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "bus.h"
#include "cell.h"
#include "format.h"
#include "json.h"
#include "strv.h"
#include "table.h"
#include "verb.h"

static const struct table_column columns[] = {
	{ "NAME", .flexible = true },
	{ "ID", .right = true },
	{ "STATE" },
	{ "MODE", .droppable = true },
	{ "VCPUS", .right = true },
	{ "SWAPPED", .right = true },
	{ "PRESSURE", .right = true, .droppable = true },
	{ "PID", .right = true, .droppable = true },
	{ "UUID", .droppable = true },
};

static int print_json(const struct vm_list *list)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	for (size_t i = 0; array && i < list->n; i++)
		if (json_append(array, json_vm(&list->vms[i])) < 0)
			return apfctl_fail(APFCTL_FAILED, "out of memory");
	return json_print(array, false);
}

static void add_row(struct table *table, const struct vm *vm)
{
	char bytes[FORMAT_MAX];

	table_add(table, vm_label(vm));
	if (vm->libvirt_id >= 0)
		table_addf(table, "%d", vm->libvirt_id);
	else
		table_add(table, "-");
	table_add_styled(table, style_of_state(vm->state), vm->state);
	cell_mode(table, vm);
	if (vm->watched)
		table_addf(table, "%zu", strv_length(vm->vcpu_states));
	else
		table_add(table, "-");
	table_add(table, vm_knows_swapped(vm) ? format_bytes(bytes, vm->swapped_bytes) : "-");
	cell_pressure(table, vm);
	if (vm->pid > 0)
		table_addf(table, "%u", vm->pid);
	else
		table_add(table, "-");
	table_add(table, vm->uuid);
}

/* An empty or still table has a reason; beside the table, not in it. */
static void print_notes(const struct host *host, const struct vm_list *list)
{
	_cleanup_free_ char *uri = text_printable(host->libvirt_uri);
	_cleanup_free_ char *error = text_lines(host->config_error ?: "");

	if (strcmp(host->host_module, "absent") == 0)
		apfctl_note("apf_host is not loaded: states are unknown and cannot be changed; "
			    "modprobe apf_host");
	if (strcmp(host->libvirt, "connected") != 0)
		apfctl_note("apfd has no connection to libvirt (%s): VMs may be missing",
			    uri ?: "");
	else if (list->n == 0)
		apfctl_note("no VM is running");
	if (host->config_error && host->config_error[0] != '\0')
		apfctl_note("the configuration is wrong, the last good one holds:%s", error ?: "");
	if (host->dry_run)
		apfctl_note("apfd only says what it would do (DryRun=yes)");
}

int verb_list(struct apfctl *ctl)
{
	_cleanup_(table_freep) struct table *table = NULL;
	_cleanup_(vm_list_clear) struct vm_list list = {};
	_cleanup_(host_clear) struct host host = {};
	int status;

	status = bus_read_host(ctl, &host);
	if (status == APFCTL_OK)
		status = bus_read_vms(ctl, &list);
	if (status != APFCTL_OK)
		return status;

	if (ctl->json)
		return print_json(&list);

	table = table_new(columns, ELEMENTSOF(columns));
	if (!table)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	for (size_t i = 0; i < list.n; i++)
		add_row(table, &list.vms[i]);
	if (table_print(table, stdout, &ctl->term, list.n) < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	fflush(stdout);
	print_notes(&host, &list);
	return APFCTL_OK;
}
