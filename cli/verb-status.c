// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "cell.h"
#include "field.h"
#include "finding.h"
#include "format.h"
#include "json.h"
#include "strv.h"
#include "table.h"
#include "vcpu-list.h"
#include "verb.h"

/* Columns of one bar; two of them and their figures fit into 80 columns. */
#define BAR_COLUMNS 18

static const struct table_column vcpu_columns[] = {
	{ "VCPU", .right = true },
	{ "STATE" },
	{ "GUEST APF" },
	{ "WAITING", .right = true },
	{ "TOLD", .right = true },
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
		field_print(ctl, "Watched", STYLE_WARN, "no");
		return;
	}
	field_printf(ctl, "Watched", "since %s (%s)", format_time(date, vm->since_usec),
		     format_age(age, vm->since_usec));
}

/* What apf_host counted; nothing of it is known while the VM is not watched. */
static void print_figures(const struct apfctl *ctl, const struct vm *vm)
{
	uint64_t swapins = counters_swapins(vm->counters);
	char a[FORMAT_MAX], b[FORMAT_MAX];

	field_printf(ctl, "Waiting for", "%u pages", vm->outstanding_pages);
	field_printf(ctl, "Swap-ins", "%s/s asynchronous, %s/s synchronous",
		     format_rate(a, vm->async_per_sec), format_rate(b, vm->sync_per_sec));
	if (swapins > 0)
		field_printf(
			ctl, "In total", "%" PRIu64 " swap-ins, %s of them asynchronous", swapins,
			format_share(a, (double)vm->counters[COUNTER_READY] / (double)swapins));
	if (vm->p95_usec > 0)
		field_printf(ctl, "Latency", "p50 %s, p95 %s", format_usec(a, vm->p50_usec),
			     format_usec(b, vm->p95_usec));
	field_printf(ctl, "Stall ratio", "%s, %s in total", format_share(a, vm->stall_ratio),
		     format_nsec(b, vm->counters[COUNTER_SYNC_STALL_NSEC]));
}

static void print_pressure(const struct apfctl *ctl, const struct vm *vm)
{
	static const struct {
		enum pressure_figure figure;
		const char *text;
	} rates[] = {
		{ PRESSURE_SWAP_IN_RATE, "pages swapped in" },
		{ PRESSURE_REFAULT_RATE, "refaults" },
		{ PRESSURE_MAJOR_FAULT_RATE, "major faults" },
	};
	const struct pressure *p = &vm->pressure;
	char a[FORMAT_MAX], b[FORMAT_MAX];

	if (p->known[PRESSURE_MEMORY_BYTES] && p->known[PRESSURE_SWAP_BYTES])
		field_printf(ctl, "Memory", "%s, and %s on swap",
			     format_bytes(a, (uint64_t)p->figures[PRESSURE_MEMORY_BYTES]),
			     format_bytes(b, (uint64_t)p->figures[PRESSURE_SWAP_BYTES]));
	if (p->known[PRESSURE_SOME_AVG10] && p->known[PRESSURE_FULL_AVG10])
		field_printf(ctl, "Pressure", "some %s, full %s (mean of 10 s)",
			     format_share(a, p->figures[PRESSURE_SOME_AVG10] / 100),
			     format_share(b, p->figures[PRESSURE_FULL_AVG10] / 100));
	if (p->known[PRESSURE_TREND])
		field_printf(ctl, "Trend", "%+.4f/s", p->figures[PRESSURE_TREND]);
	for (size_t i = 0; i < ELEMENTSOF(rates); i++)
		if (p->known[rates[i].figure])
			field_printf(ctl, "Rate", "%s/s %s",
				     format_rate(a, p->figures[rates[i].figure]), rates[i].text);
}

static void print_swap(const struct apfctl *ctl, const struct host *host)
{
	for (size_t i = 0; i < host->swap.n; i++) {
		const struct swap_device *device = &host->swap.all[i];
		char used[FORMAT_MAX], size[FORMAT_MAX], latency[FORMAT_MAX];

		field_printf(ctl, "Host swap", "%s (%s), %s of %s used%s%s%s", device->path,
			     device->kind, format_bytes(used, device->used_bytes),
			     format_bytes(size, device->size_bytes),
			     device->read_latency_usec > 0 ? ", reads take " : "",
			     device->read_latency_usec > 0
				     ? format_usec(latency, device->read_latency_usec)
				     : "",
			     device->synchronous ? ", in the caller: nothing to gain" : "");
	}
}

static void print_guest(const struct apfctl *ctl, const struct vm *vm)
{
	_cleanup_free_ char *paused = vcpu_list_format(&vm->paused_vcpus);
	const uint32_t *figures = vm->guest.figures;
	char text[FORMAT_MAX], vcpus[256];

	if (vm->paused_vcpus.n > 0) {
		snprintf(vcpus, sizeof(vcpus), "vCPU %s", paused ?: "?");
		field_print(ctl, "Paused", STYLE_WARN, vcpus);
	}
	field_print(ctl, "Guest module", STYLE_NONE, vm->guest_module);
	if (!vm->guest.present)
		return;
	field_printf(ctl, "Guest pool", "%u of %u nodes in use; taken: %u, exhausted: %u",
		     figures[GUEST_POOL_IN_USE], figures[GUEST_POOL_SIZE],
		     figures[GUEST_POOL_TAKEN], figures[GUEST_POOL_EXHAUSTED]);
	if (figures[GUEST_SLEEPERS] > 0)
		field_printf(ctl, "Guest tasks", "%u asleep, the oldest for %s",
			     figures[GUEST_SLEEPERS],
			     format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL));
	else
		field_print(ctl, "Guest tasks", STYLE_NONE, "none asleep");
	field_printf(ctl, "Guest total",
		     "waits: %u, wakes: %u, rescues: %u, unknown tokens: %u, early wakes: %u",
		     figures[GUEST_WAITS], figures[GUEST_WAKES], figures[GUEST_RESCUES],
		     figures[GUEST_UNKNOWN_TOKENS], figures[GUEST_EARLY_WAKES]);
}

static void print_config_error(const struct apfctl *ctl, const char *error)
{
	for (; *error; error += error[0] == '\n') {
		size_t len = strcspn(error, "\n");
		_cleanup_free_ char *line = strndup(error, len);

		if (len > 0)
			field_print(ctl, "Config error", STYLE_WARN, line ?: "");
		error += len;
	}
}

static void print_summary(const struct apfctl *ctl, const struct host *host, const struct vm *vm)
{
	char a[FORMAT_MAX];

	field_print(ctl, "VM", STYLE_HEADER, vm_label(vm));
	field_print(ctl, "UUID", STYLE_NONE, vm->uuid);
	if (vm->libvirt_id >= 0)
		field_printf(ctl, "libvirt id", "%d", vm->libvirt_id);
	if (vm->pid > 0)
		field_printf(ctl, "PID", "%u", vm->pid);
	if (vm->manager)
		field_print(ctl, "Manager", STYLE_NONE, vm->manager);
	if (vm->executable && vm->executable[0] != '\0')
		field_print(ctl, "Executable", STYLE_NONE, vm->executable);
	if (vm->cgroup)
		field_print(ctl, "Cgroup", STYLE_NONE, vm->cgroup[0] != '\0' ? vm->cgroup : "none");
	field_print(ctl, "State", style_of_state(vm->state), vm->state);
	field_print_mode(ctl, vm);
	print_since(ctl, vm);
	field_print(ctl, "Swapped", STYLE_NONE,
		    vm_knows_swapped(vm) ? format_bytes(a, vm->swapped_bytes) : "not known");
	print_pressure(ctl, vm);
	if (vm->watched)
		print_figures(ctl, vm);
	print_guest(ctl, vm);
	field_printf(ctl, "Host", "apf_host %s%s%s, no-wait swap-in %s, nested guard %s",
		     host->host_module, host->host_module_version[0] ? " " : "",
		     host->host_module_version, host->nowait_swapin,
		     host->nested_guard ? "on" : "off");
	print_swap(ctl, host);
	if (host->config_error && host->config_error[0] != '\0')
		print_config_error(ctl, host->config_error);
	if (host->dry_run)
		field_print(ctl, "Dry run", STYLE_WARN, "apfd only says what it would do");
}

static void add_average(struct table *table, uint64_t sum_nsec, uint64_t count)
{
	char text[FORMAT_MAX];

	table_add(table, count > 0 ? format_nsec(text, sum_nsec / count) : "-");
}

static int print_vcpus(const struct apfctl *ctl, const struct vcpu_array *vcpus)
{
	_cleanup_(table_freep) struct table *table =
		table_new(vcpu_columns, ELEMENTSOF(vcpu_columns));

	if (!table)
		return -1;
	for (size_t i = 0; i < vcpus->n; i++) {
		const struct vcpu *vcpu = &vcpus->vcpus[i];
		const uint64_t *c = vcpu->counters;

		table_addf(table, "%u", vcpu->index);
		cell_vcpu_state(table, vcpu);
		table_add(table, vcpu->guest_apf);
		table_addf(table, "%u", vcpu->outstanding_pages);
		table_addf(table, "%" PRIu64, c[COUNTER_DELIVERED]);
		table_addf(table, "%" PRIu64, c[COUNTER_HALTED]);
		table_addf(table, "%" PRIu64, c[COUNTER_READY]);
		add_average(table, c[COUNTER_ASYNC_NSEC], c[COUNTER_READY]);
		table_addf(table, "%" PRIu64, c[COUNTER_SYNC_STALLS]);
		add_average(table, c[COUNTER_SYNC_STALL_NSEC], c[COUNTER_SYNC_STALLS]);
		table_addf(table, "%" PRIu64, c[COUNTER_REFUSED]);
		table_addf(table, "%" PRIu64, c[COUNTER_REFUSED_PAUSED]);
		table_addf(table, "%" PRIu64, c[COUNTER_DROPPED]);
		table_addf(table, "%" PRIu64, c[COUNTER_REPEATED]);
		table_addf(table, "%" PRIu64, c[COUNTER_PROBE_MISSES]);
		table_addf(table, "%" PRIu64, c[COUNTER_BAD_REPORTS]);
	}
	putchar('\n');
	return table_print(table, stdout, &ctl->term, vcpus->n);
}

/* The guest's own figures, of the vCPUs it reports about. */
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
		const uint32_t *figures = vcpus->vcpus[i].guest.figures;
		char text[FORMAT_MAX];

		if (!vcpus->vcpus[i].guest.present)
			continue;
		n++;
		table_addf(table, "%u", vcpus->vcpus[i].index);
		table_addf(table, "%u/%u", figures[GUEST_POOL_IN_USE], figures[GUEST_POOL_SIZE]);
		table_addf(table, "%u", figures[GUEST_POOL_TAKEN]);
		table_addf(table, "%u", figures[GUEST_POOL_EXHAUSTED]);
		table_addf(table, "%u", figures[GUEST_SLEEPERS]);
		table_add(table,
			  figures[GUEST_SLEEPERS] > 0
				  ? format_usec(text, figures[GUEST_OLDEST_SLEEPER_MSEC] * 1000ULL)
				  : "-");
		for (size_t k = 0; k < ELEMENTSOF(totals); k++)
			table_addf(table, "%u", figures[totals[k]]);
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

int verb_status(struct apfctl *ctl)
{
	_cleanup_(vcpu_array_clear) struct vcpu_array vcpus = {};
	_cleanup_(host_clear) struct host host = {};
	_cleanup_(vm_clear) struct vm vm = {};
	_cleanup_free_ char *path = NULL;
	struct finding findings[FINDINGS_MAX];
	bool have_vcpus = false;
	size_t n_findings;
	int status;

	status = bus_find_vm(ctl, ctl->args[0], &path);
	if (status == APFCTL_OK)
		status = bus_read_host(ctl, &host);
	if (status == APFCTL_OK)
		status = bus_read_vm(ctl, ctl->args[0], path, &vm);
	if (status == APFCTL_OK)
		status = bus_read_vcpus(ctl, ctl->args[0], path, &vcpus, &have_vcpus);
	if (status != APFCTL_OK)
		return status;

	n_findings = findings_derive(&host, &vm, have_vcpus ? &vcpus : NULL, findings);
	if (ctl->json) {
		_cleanup_(json_putp) struct json_object *object =
			json_status(&host, &vm, have_vcpus ? &vcpus : NULL, findings, n_findings);

		return json_print(object, false);
	}

	print_summary(ctl, &host, &vm);
	for (size_t i = 0; i < n_findings; i++)
		field_print(ctl, "Note", STYLE_WARN, findings[i].text);
	if (have_vcpus && (print_vcpus(ctl, &vcpus) < 0 || print_reports(ctl, &vcpus) < 0))
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	if (print_histogram(ctl, &vm) < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	return APFCTL_OK;
}
