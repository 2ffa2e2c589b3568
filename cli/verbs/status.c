// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "cell.h"
#include "field.h"
#include "finding.h"
#include "format.h"
#include "histogram-table.h"
#include "json.h"
#include "names.h"
#include "select.h"
#include "status-host.h"
#include "strv.h"
#include "table.h"
#include "vcpu-list.h"
#include "verb.h"
#include "vm-memory-fields.h"

/* Width of one bar; two bars and their figures fit into 80 columns. */
#define BAR_COLUMNS 18

static const struct table_column vcpu_columns[] = {
	{ "VCPU", .right = true },
	{ "STATE" },
	{ "GUEST APF" },
	{ "WAITING", .right = true },
	{ "NOTIFIED", .right = true },
	{ "HALTED", .right = true },
	{ "READY", .right = true },
	{ "AVG", .right = true },
	{ "SYNC", .right = true },
	{ "AVG", .right = true },
	{ "REFUSED", .right = true, .droppable = true },
	{ "PAUSED", .right = true, .droppable = true },
	{ "DROPPED", .right = true, .droppable = true },
	{ "REPEATED", .right = true, .droppable = true },
	{ "MISSED", .right = true, .droppable = true },
	{ "BAD", .right = true, .droppable = true },
};

static const struct table_column guest_columns[] = {
	{ "VCPU", .right = true },
	{ "POOL", .right = true },
	{ "TAKEN", .right = true },
	{ "EXHAUSTED", .right = true },
	{ "ASLEEP", .right = true },
	{ "OLDEST", .right = true },
	{ "WAITS", .right = true },
	{ "WAKES", .right = true },
	{ "RESCUES", .right = true },
	{ "UNKNOWN", .right = true, .droppable = true },
	{ "EARLY", .right = true, .droppable = true },
	{ "SEEN", .right = true, .droppable = true },
};

static void print_since(const struct apfctl *ctl, const struct vm *vm)
{
	char date[FORMAT_MAX], age[FORMAT_MAX];

	if (!vm->watched) {
		field_print(&ctl->term, "Watched", STYLE_WARN, "no");
		return;
	}
	field_printf(&ctl->term, "Watched", "since %s (%s)", format_time(date, vm->since_usec),
		     format_age(age, vm->since_usec));
}

/* Names the figures that are shown as "-". */
static void print_not_counted(const struct apfctl *ctl, const struct vm *vm)
{
	char text[512] = "";
	size_t len = 0;

	if (!vm->not_counted || !vm->not_counted[0])
		return;
	for (char **name = vm->not_counted; *name && len < sizeof(text); name++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
					*name);
	field_print(&ctl->term, "Not counted", STYLE_WARN, text);
}

/* The figures of apf_host; unknown while the VM is not watched. */
static void print_figures(const struct apfctl *ctl, const struct vm *vm)
{
	const struct counters *c = &vm->counters;
	uint64_t swapins = counters_swapins(c);
	char a[FORMAT_MAX], b[FORMAT_MAX];

	if (vm->outstanding.known)
		field_printf(&ctl->term, "Waiting for", "%u pages", vm->outstanding.pages);
	else
		field_print(&ctl->term, "Waiting for", STYLE_NONE, "-");
	field_printf(&ctl->term, "Swap-ins", "%s/s asynchronous, %s/s synchronous",
		     format_rate(a, vm->async_per_sec), format_rate(b, vm->sync_per_sec));
	if (counters_swapins_known(c) && swapins > 0)
		field_printf(&ctl->term, "In total",
			     "%" PRIu64 " swap-ins, %s of them asynchronous", swapins,
			     format_share(a, (double)c->value[COUNTER_READY] / (double)swapins));
	if (vm->p95_usec > 0)
		field_printf(&ctl->term, "Latency", "p50 %s, p95 %s", format_usec(a, vm->p50_usec),
			     format_usec(b, vm->p95_usec));
	field_printf(&ctl->term, "Stall ratio", "%s, %s in total", format_share(a, vm->stall_ratio),
		     counter_known(c, COUNTER_SYNC_STALL_NSEC)
			     ? format_nsec(b, c->value[COUNTER_SYNC_STALL_NSEC])
			     : "-");
	if (isnan(vm->saved_ratio))
		field_print(&ctl->term, "Saved", STYLE_NONE, "-");
	else
		field_printf(&ctl->term, "Saved", "%s of a vCPU, %s since start",
			     format_vcpu_share(a, vm->saved_ratio), format_usec(b, vm->saved_usec));
	print_not_counted(ctl, vm);
}

static void print_swapped(const struct apfctl *ctl, const struct vm *vm)
{
	char text[FORMAT_MAX];

	if (vm_swapped_known(vm))
		field_print(&ctl->term, "Swapped", STYLE_NONE,
			    format_bytes(text, vm->swapped_bytes));
	else if (vm->pid == 0)
		field_print(&ctl->term, "Swapped", STYLE_NONE, "not known");
	else
		field_printf(&ctl->term, "Swapped", "not known: the VM has shared memory, and %s",
			     vm->cgroup && vm->cgroup[0] != '\0' ? "shares its cgroup with another VM"
								 : "no cgroup accounts it");
}

static void print_pressure(const struct apfctl *ctl, const struct vm *vm)
{
	static const struct {
		enum pressure_figure figure;
		const char *text;
	} rates[] = {
		{ PRESSURE_SWAPIN_RATE, "pages swapped in" },
		{ PRESSURE_REFAULT_RATE, "refaults" },
		{ PRESSURE_MAJOR_FAULT_RATE, "major faults" },
	};
	const struct pressure *p = &vm->pressure;
	char a[FORMAT_MAX], b[FORMAT_MAX];

	if (p->known[PRESSURE_MEMORY_BYTES] && p->known[PRESSURE_SWAP_BYTES])
		field_printf(&ctl->term, "Memory", "%s, and %s on swap",
			     format_bytes(a, (uint64_t)p->figures[PRESSURE_MEMORY_BYTES]),
			     format_bytes(b, (uint64_t)p->figures[PRESSURE_SWAP_BYTES]));
	if (p->known[PRESSURE_SOME_AVG10] && p->known[PRESSURE_FULL_AVG10])
		field_printf(&ctl->term, "Pressure", "some %s, full %s (mean of 10 s)",
			     format_share(a, p->figures[PRESSURE_SOME_AVG10] / 100),
			     format_share(b, p->figures[PRESSURE_FULL_AVG10] / 100));
	if (p->known[PRESSURE_TREND])
		field_printf(&ctl->term, "Trend", "%+.4f/s", p->figures[PRESSURE_TREND]);
	for (size_t i = 0; i < ELEMENTSOF(rates); i++)
		if (p->known[rates[i].figure])
			field_printf(&ctl->term, "Rate", "%s/s %s",
				     format_rate(a, p->figures[rates[i].figure]), rates[i].text);
}

static void print_guest(const struct apfctl *ctl, const struct vm *vm)
{
	_cleanup_free_ char *paused = vcpu_list_format(&vm->paused_vcpus);
	const uint32_t *figures = vm->guest.figures;
	char text[FORMAT_MAX], t[6][GUEST_TEXT_MAX], vcpus[256];

	if (vm->paused_vcpus.n > 0) {
		snprintf(vcpus, sizeof(vcpus), "vCPU %s", paused ?: "?");
		field_print(&ctl->term, "Paused", STYLE_WARN, vcpus);
	}
	field_print(&ctl->term, "Guest module", STYLE_NONE, vm->guest_module);
	if (!vm->guest.present)
		return;
	field_printf(&ctl->term, "Guest pool", "%s of %s nodes in use; taken: %s, exhausted: %s",
		     guest_text(&vm->guest, GUEST_POOL_IN_USE, t[0]),
		     guest_text(&vm->guest, GUEST_POOL_SIZE, t[1]),
		     guest_text(&vm->guest, GUEST_POOL_TAKEN, t[2]),
		     guest_text(&vm->guest, GUEST_POOL_EXHAUSTED, t[3]));
	if (figures[GUEST_SLEEPERS] > 0)
		field_printf(&ctl->term, "Guest tasks", "%u asleep, the oldest for %s",
			     figures[GUEST_SLEEPERS],
			     format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL));
	else
		field_print(&ctl->term, "Guest tasks", STYLE_NONE, "none asleep");
	field_printf(&ctl->term, "Guest total",
		     "waits: %s, wakes: %s, rescues: %s, unknown tokens: %s, early wakes: %s, "
		     "lost interrupts: %s",
		     guest_text(&vm->guest, GUEST_WAITS, t[0]),
		     guest_text(&vm->guest, GUEST_WAKES, t[1]),
		     guest_text(&vm->guest, GUEST_RESCUES, t[2]),
		     guest_text(&vm->guest, GUEST_UNKNOWN_TOKENS, t[3]),
		     guest_text(&vm->guest, GUEST_EARLY_WAKES, t[4]),
		     guest_text(&vm->guest, GUEST_STUCK, t[5]));
}

static void print_summary(const struct apfctl *ctl, const struct host *host, const struct vm *vm)
{

	field_print(&ctl->term, "VM", STYLE_HEADER, vm_label(vm));
	field_print(&ctl->term, "UUID", STYLE_NONE, vm->uuid);
	if (vm->libvirt_id >= 0)
		field_printf(&ctl->term, "libvirt id", "%d", vm->libvirt_id);
	if (vm->pid > 0)
		field_printf(&ctl->term, "PID", "%u", vm->pid);
	if (vm->manager)
		field_print(&ctl->term, "Manager", STYLE_NONE, vm->manager);
	if (vm->id && vm->id[0] != '\0')
		field_print(&ctl->term, "ID", STYLE_NONE, vm->id);
	if (vm->vmm && vm->vmm[0] != '\0')
		field_print(&ctl->term, "VMM", STYLE_NONE, vm->vmm);
	if (vm->executable && vm->executable[0] != '\0')
		field_print(&ctl->term, "Executable", STYLE_NONE, vm->executable);
	if (vm->cgroup)
		field_print(&ctl->term, "Cgroup", STYLE_NONE,
			    vm->cgroup[0] != '\0' ? vm->cgroup : "none");
	field_print(&ctl->term, "State", style_of_state(vm->state), vm->state);
	field_print_mode(&ctl->term, vm);
	print_since(ctl, vm);
	print_swapped(ctl, vm);
	print_pressure(ctl, vm);
	vm_print_memory(&ctl->term, vm);
	/* Off is what most hosts have; "status" of the host and "why" say it. */
	if (vm->auto_recall.state && strcmp(vm->auto_recall.state, NAME_OFF) != 0)
		field_print_auto_recall(&ctl->term, &vm->auto_recall);
	if (vm->watched) {
		print_figures(ctl, vm);
		vm_print_peaks(&ctl->term, vm);
	}
	print_guest(ctl, vm);
	field_printf(&ctl->term, "Host", "apf_host %s%s%s, no-wait swap-in %s, nested guard %s",
		     host->host_module, host->host_module_version[0] ? " " : "",
		     host->host_module_version, host->nowait_swapin,
		     host->nested_guard ? "on" : "off");
	status_print_host(ctl, host);
}

static void add_average(struct table *table, const struct counters *c, enum counter sum_nsec,
			enum counter count)
{
	char text[FORMAT_MAX];

	if (counter_known(c, sum_nsec) && c->value[count] > 0)
		table_add(table, format_nsec(text, c->value[sum_nsec] / c->value[count]));
	else
		table_add(table, "-");
}

static int print_vcpus(const struct apfctl *ctl, const struct vcpu_array *vcpus)
{
	_cleanup_(table_freep) struct table *table =
		table_new(vcpu_columns, ELEMENTSOF(vcpu_columns));

	if (!table)
		return -1;
	for (size_t i = 0; i < vcpus->n; i++) {
		const struct vcpu *vcpu = &vcpus->vcpus[i];
		const struct counters *c = &vcpu->counters;

		table_addf(table, "%u", vcpu->index);
		cell_vcpu_state(table, vcpu);
		table_add(table, vcpu->guest_apf);
		cell_outstanding(table, &vcpu->outstanding);
		cell_counter(table, c, COUNTER_DELIVERED);
		cell_counter(table, c, COUNTER_HALTED);
		cell_counter(table, c, COUNTER_READY);
		add_average(table, c, COUNTER_ASYNC_NSEC, COUNTER_READY);
		cell_counter(table, c, COUNTER_SYNC_STALLS);
		add_average(table, c, COUNTER_SYNC_STALL_NSEC, COUNTER_SYNC_STALLS);
		cell_counter(table, c, COUNTER_REFUSED);
		cell_counter(table, c, COUNTER_REFUSED_PAUSED);
		cell_counter(table, c, COUNTER_DROPPED);
		cell_counter(table, c, COUNTER_REPEATED);
		cell_counter(table, c, COUNTER_PROBE_MISSES);
		cell_counter(table, c, COUNTER_BAD_REPORTS);
	}
	putchar('\n');
	return table_print(table, stdout, &ctl->term, vcpus->n);
}

/* The guest module's figures, for the vCPUs that have a report. */
static int print_reports(const struct apfctl *ctl, const struct vcpu_array *vcpus)
{
	static const enum guest_figure totals[] = { GUEST_WAITS, GUEST_WAKES, GUEST_RESCUES,
						    GUEST_UNKNOWN_TOKENS, GUEST_EARLY_WAKES };
	_cleanup_(table_freep) struct table *table =
		table_new(guest_columns, ELEMENTSOF(guest_columns));
	size_t n = 0;

	if (!table)
		return -1;
	for (size_t i = 0; i < vcpus->n; i++) {
		const struct guest_report *report = &vcpus->vcpus[i].guest;
		const uint32_t *figures = report->figures;
		char text[FORMAT_MAX], a[GUEST_TEXT_MAX], b[GUEST_TEXT_MAX];

		if (!report->present)
			continue;
		n++;
		table_addf(table, "%u", vcpus->vcpus[i].index);
		table_addf(table, "%s/%s", guest_text(report, GUEST_POOL_IN_USE, a),
			   guest_text(report, GUEST_POOL_SIZE, b));
		table_add(table, guest_text(report, GUEST_POOL_TAKEN, a));
		table_add(table, guest_text(report, GUEST_POOL_EXHAUSTED, a));
		table_add(table, guest_text(report, GUEST_SLEEPERS, a));
		table_add(table,
			  figures[GUEST_SLEEPERS] > 0
				  ? format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL)
				  : "-");
		for (size_t k = 0; k < ELEMENTSOF(totals); k++)
			table_add(table, guest_text(report, totals[k], a));
		table_addf(table, "%s ago", format_usec(text, figures[GUEST_AGE_MSEC] * 1000ULL));
	}
	if (n == 0)
		return 0;
	putchar('\n');
	return table_print(table, stdout, &ctl->term, n);
}

static int print_histogram(const struct apfctl *ctl, const struct vm *vm)
{
	_cleanup_(table_freep) struct table *table = NULL;
	int n;

	n = histogram_table(&vm->async, &vm->sync, BAR_COLUMNS, &table);
	if (n <= 0)
		return n;
	putchar('\n');
	return table_print(table, stdout, &ctl->term, (size_t)n);
}

/**
 * struct statuses - a running "status" of VMs
 * @array: JSON of all VMs; NULL if the output is text or one object
 * @n_printed: VMs printed so far
 */
struct statuses {
	struct apfctl *ctl;
	const struct host *host;
	struct json_object *array;
	size_t n_printed;
};

static int print_text(const struct statuses *statuses, const struct vm *vm,
		      const struct vcpu_array *vcpus, const struct finding *findings,
		      size_t n_findings)
{
	const struct apfctl *ctl = statuses->ctl;

	print_summary(ctl, statuses->host, vm);
	for (size_t i = 0; i < n_findings; i++)
		field_print(&ctl->term, "Note", STYLE_WARN, findings[i].text);
	if (vcpus && (print_vcpus(ctl, vcpus) < 0 || print_reports(ctl, vcpus) < 0))
		return status_fail(STATUS_FAILED, "out of memory");
	if (print_histogram(ctl, vm) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

static int print_json(const struct statuses *statuses, const struct vm *vm,
		      const struct vcpu_array *vcpus, const struct finding *findings,
		      size_t n_findings)
{
	_cleanup_(json_putp) struct json_object *object =
		json_status(statuses->host, vm, vcpus, findings, n_findings);

	if (!statuses->array)
		return json_print(object, false);
	if (!object || json_append(statuses->array, TAKE_PTR(object)) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

static int show_target(const struct target *target, void *userdata)
{
	_cleanup_(vcpu_array_clear) struct vcpu_array vcpus = {};
	_cleanup_(vm_clear) struct vm vm = {};
	struct statuses *statuses = userdata;
	struct client *client = &statuses->ctl->client;
	struct finding findings[FINDINGS_MAX];
	const struct vcpu_array *known = &vcpus;
	bool have_vcpus = false;
	size_t n_findings;
	int status;

	status = bus_read_vm(client, target->name, target->path, &vm);
	if (status == STATUS_OK)
		status = bus_read_vcpus(client, target->name, target->path, &vcpus, &have_vcpus);
	if (status != STATUS_OK)
		return status;
	if (!have_vcpus)
		known = NULL;
	n_findings = findings_derive(statuses->host, &vm, known, findings);
	if (statuses->ctl->json)
		return print_json(statuses, &vm, known, findings, n_findings);
	if (statuses->n_printed++ > 0)
		putchar('\n');
	return print_text(statuses, &vm, known, findings, n_findings);
}

int verb_status(struct apfctl *ctl)
{
	_cleanup_(targets_clear) struct targets targets = {};
	_cleanup_(host_clear) struct host host = {};
	struct statuses statuses = { .ctl = ctl, .host = &host };
	int status, found;

	if (ctl->n_args == 0 && !ctl->all)
		return status_show_host(ctl);
	found = targets_find(ctl, ctl->n_args, &targets);
	if (targets.n > 0) {
		status = bus_read_host(&ctl->client, &host);
		if (status != STATUS_OK)
			return status;
	}
	return targets_show(ctl, &targets, found, show_target, &statuses, &statuses.array);
}
