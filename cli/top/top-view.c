// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cell.h"
#include "format.h"
#include "host-summary.h"
#include "json.h"
#include "table.h"
#include "top.h"

const struct table_column top_columns[_TOP_MAX] = {
	[TOP_NAME] = { "NAME", .flexible = true },
	[TOP_STATE] = { "STATE" },
	[TOP_MODE] = { "MODE", .droppable = 4 },
	[TOP_SWAPPED] = { "SWAPPED", .right = true, .droppable = 2 },
	[TOP_OUT] = { "OUT/S", .right = true, .droppable = 6 },
	[TOP_ASYNC] = { "ASYNC/S", .right = true, .droppable = 1 },
	[TOP_SYNC] = { "SYNC/S", .right = true, .droppable = 1 },
	[TOP_P50] = { "P50", .right = true, .droppable = 5 },
	[TOP_P95] = { "P95", .right = true, .droppable = 3 },
	[TOP_STALLED] = { "STALLED", .right = true },
	[TOP_PEAK] = { "PEAK", .right = true, .droppable = 6 },
	[TOP_SAVED] = { "SAVED", .right = true, .droppable = 4 },
	[TOP_PRESSURE] = { "PRESSURE", .right = true, .droppable = 4 },
	[TOP_GUEST] = { "GUEST", .droppable = 1 },
};

const struct table_column top_vcpu_columns[_TOP_VCPU_MAX] = {
	[TOP_VCPU_INDEX] = { "VCPU", .right = true },
	[TOP_VCPU_STATE] = { "STATE" },
	[TOP_VCPU_APF] = { "GUEST APF", .droppable = 3 },
	[TOP_VCPU_WAITING] = { "WAITING", .right = true, .droppable = 2 },
	[TOP_VCPU_ASYNC] = { "ASYNC/S", .right = true, .droppable = 1 },
	[TOP_VCPU_SYNC] = { "SYNC/S", .right = true, .droppable = 1 },
	[TOP_VCPU_STALLED] = { "STALLED", .right = true },
	[TOP_VCPU_SAVED] = { "SAVED", .right = true, .droppable = 4 },
	[TOP_VCPU_READY] = { "READY", .right = true, .droppable = 2 },
	[TOP_VCPU_SYNC_TOTAL] = { "SYNC", .right = true, .droppable = 2 },
};

/* The guest module's report in one word; only the most serious alarm is shown. */
static void add_guest(struct table *table, const struct vm *vm)
{
	const uint32_t *figures = vm->guest.figures;
	char text[FORMAT_MAX], alarm[FORMAT_MAX + 8];

	if (!vm->guest.present) {
		table_add(table, "-");
		return;
	}
	if (figures[GUEST_POOL_IN_USE] > 0)
		snprintf(alarm, sizeof(alarm), "POOL %u", figures[GUEST_POOL_IN_USE]);
	else if (guest_waiter_is_old(&vm->guest))
		snprintf(alarm, sizeof(alarm), "WAIT %s",
			 format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL));
	else
		alarm[0] = '\0';
	if (alarm[0] != '\0')
		table_add_styled(table, STYLE_WARN, alarm);
	else
		table_add_styled(table, STYLE_GOOD, "ok");
}

struct table *top_vm_table(const struct vm_list *vms)
{
	struct table *table = table_new(top_columns, _TOP_MAX);

	for (size_t i = 0; table && i < vms->n; i++) {
		const struct vm *vm = &vms->vms[i];
		char text[FORMAT_MAX];

		table_add(table, vm_label(vm));
		table_add_styled(table, style_of_state(vm->state), vm->state);
		cell_mode(table, vm);
		table_add(table,
			  vm_swapped_known(vm) ? format_bytes(text, vm->swapped_bytes) : "-");
		table_add(table, vm->pressure.known[PRESSURE_SWAPOUT_BYTES]
					 ? format_bytes(text, (uint64_t)vm->pressure.figures
								      [PRESSURE_SWAPOUT_BYTES])
					 : "-");
		if (vm->watched) {
			table_add(table, format_rate(text, vm->async_per_sec));
			table_add(table, format_rate(text, vm->sync_per_sec));
			/* 0 before the first swap-in, and if latencies are not counted. */
			table_add(table, vm->p95_usec > 0 ? format_usec(text, vm->p50_usec) : "-");
			table_add(table, vm->p95_usec > 0 ? format_usec(text, vm->p95_usec) : "-");
			table_add(table, format_share(text, vm->stall_ratio));
			table_add(table, format_share(text, vm->peak_stall_ratio));
		} else {
			for (unsigned int n = TOP_ASYNC; n <= TOP_PEAK; n++)
				table_add(table, "-");
		}
		cell_saved(table, vm);
		cell_pressure(table, vm);
		add_guest(table, vm);
	}
	return table;
}

struct table *top_vcpu_table(const struct top_vcpu *rows, size_t n)
{
	struct table *table = table_new(top_vcpu_columns, _TOP_VCPU_MAX);

	for (size_t i = 0; table && i < n; i++) {
		const struct vcpu *vcpu = rows[i].vcpu;
		char text[FORMAT_MAX];

		table_addf(table, "%u", vcpu->index);
		cell_vcpu_state(table, vcpu);
		table_add(table, vcpu->guest_apf);
		cell_outstanding(table, &vcpu->outstanding);
		table_add(table, format_rate(text, rows[i].async_per_sec));
		table_add(table, format_rate(text, rows[i].sync_per_sec));
		table_add(table, format_share(text, rows[i].stalled));
		table_add(table, format_share(text, rows[i].saved));
		cell_counter(table, &vcpu->counters, COUNTER_READY);
		cell_counter(table, &vcpu->counters, COUNTER_SYNC_STALLS);
	}
	return table;
}

static void print_title(const struct apfctl *ctl, FILE *file, const struct top_sample *sample)
{
	char line[HOST_SUMMARY_MAX];
	time_t now_sec = (time_t)(sample->now_usec / 1000000);
	struct tm tm = {};
	char date[64];

	localtime_r(&now_sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(file, "%s  %zu VM%s\n", date, sample->vms.n, sample->vms.n == 1 ? "" : "s");
	if (host_summary(line, &sample->host)[0] != '\0') {
		_cleanup_free_ char *printable = text_printable(line);
		enum style style = host_summary_style(&sample->host);

		fprintf(file, "%s%s%s\n", term_style(&ctl->term, style), printable ?: "",
			term_style_end(&ctl->term, style));
	}
}

int top_print_table(struct apfctl *ctl, const struct top_sample *sample)
{
	_cleanup_(table_freep) struct table *table = top_vm_table(&sample->vms);

	if (!table)
		return status_fail(STATUS_FAILED, "out of memory");
	print_title(ctl, stdout, sample);
	if (table_print(table, stdout, &ctl->term, sample->vms.n) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	putchar('\n');
	return STATUS_OK;
}

int top_print_json(struct apfctl *ctl, const struct top_sample *sample)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!object || !array || json_add_uint(object, "now_usec", sample->now_usec) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < sample->vms.n; i++)
		if (json_append(array, json_vm(&sample->vms.vms[i])) < 0)
			return status_fail(STATUS_FAILED, "out of memory");
	if (json_add(object, "vms", TAKE_PTR(array)) < 0 ||
	    json_add(object, "host", json_host(&sample->host)) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return json_print(object, true);
}
