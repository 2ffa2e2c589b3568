// SPDX-License-Identifier: GPL-2.0
#include "openmetrics.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "format.h"
#include "strv.h"

#define NSEC_PER_SEC ((uint64_t)1000000000)
#define USEC_PER_SEC ((uint64_t)1000000)

/*
 * Upper bounds of the latency histogram that are told, as powers of two of a
 * microsecond: 16 us to 16.8 s. Below is no swap device, above is a hang, and
 * each bound is one more time series for each VM.
 */
enum { BOUND_FIRST = 4, BOUND_LAST = 24 };

enum type { GAUGE, COUNTER, HISTOGRAM };

static const char *const type_names[] = { "gauge", "counter", "histogram" };

/* What a row is told of; a row of both has two families, apf_X and apf_vcpu_X. */
enum scope { OF_HOST = 1, OF_VM = 2, OF_VCPU = 4 };

/**
 * struct subject - a VM or a vCPU: what both have
 * @labels: who it is, ready to print
 * @vcpu: NULL if it is the VM
 */
struct subject {
	char *labels;
	const struct vm *vm;
	const struct vcpu *vcpu;
	const char *state;
	const uint64_t *counters;
	const struct histogram *async;
	const struct histogram *sync;
	const struct guest_report *guest;
	uint32_t outstanding_pages;
};

/**
 * struct family - a row of the table
 * @name: behind "apf_" or "apf_vcpu_"; of a counter without "_total"
 * @unit: last word of the name, NULL if it has none
 * @print: its samples for one subject
 * @arg: for @print: which counter, which figure
 */
struct out;
struct family {
	const char *name;
	enum type type;
	const char *unit;
	unsigned int scopes;
	void (*print)(const struct out *o, const struct family *f, const struct subject *s);
	unsigned int arg;
	const char *help;
};

struct out {
	FILE *file;
	const struct openmetrics *data;
	enum openmetrics_format format;
	enum scope scope;
};

/*
 * The beginning of a line up to its value: name, suffix, labels of the subject (NULL
 * if it is the host) and one more, @extra, whole and escaped, or NULL.
 */
static void print_head(const struct out *o, const struct family *f, const char *suffix,
		       const struct subject *s, const char *extra)
{
	const char *labels = s ? s->labels : "";
	bool any = labels[0] || extra;

	fputs(o->scope == OF_VCPU ? "apf_vcpu_" : "apf_", o->file);
	fputs(f->name, o->file);
	fputs(f->type == COUNTER ? "_total" : suffix, o->file);
	if (any)
		fputc('{', o->file);
	fputs(labels, o->file);
	if (labels[0] && extra)
		fputc(',', o->file);
	if (extra)
		fputs(extra, o->file);
	fputs(any ? "} " : " ", o->file);
}

static void print_count(const struct out *o, const struct family *f, const struct subject *s,
			const char *extra, uint64_t value)
{
	print_head(o, f, "", s, extra);
	fprintf(o->file, "%" PRIu64 "\n", value);
}

/* Seconds with all their digits: a double would lose some after a hundred days. */
static void print_fraction(const struct out *o, uint64_t value, uint64_t per_sec, int digits)
{
	fprintf(o->file, "%" PRIu64 ".%0*" PRIu64 "\n", value / per_sec, digits, value % per_sec);
}

/* Writes a label's value as both formats want it. */
static void print_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", file);
		else if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else
			fputc(*text, file);
	}
}

/* name="value", escaped; to be freed. */
static char *label_new(const char *name, const char *value)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	fprintf(file, "%s=\"", name);
	print_escaped(file, value);
	fputc('"', file);
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- the host ---- */

static void print_up(const struct out *o, const struct family *f, const struct subject *s)
{
	print_count(o, f, s, NULL, o->data->host != NULL);
}

static void print_build(const struct out *o, const struct family *f, const struct subject *s)
{
	_cleanup_free_ char *version = label_new("version", o->data->host->version);
	_cleanup_free_ char *module =
		label_new("host_module_version", o->data->host->host_module_version);
	_cleanup_free_ char *both = NULL;

	if (version && module && asprintf(&both, "%s,%s", version, module) >= 0)
		print_count(o, f, s, both, 1);
}

static void print_module_up(const struct out *o, const struct family *f, const struct subject *s)
{
	print_count(o, f, s, NULL, strcmp(o->data->host->host_module, "present") == 0);
}

static void print_libvirt_up(const struct out *o, const struct family *f, const struct subject *s)
{
	print_count(o, f, s, NULL, strcmp(o->data->host->libvirt, "connected") == 0);
}

static void print_nested_guard(const struct out *o, const struct family *f, const struct subject *s)
{
	print_count(o, f, s, NULL, o->data->host->nested_guard);
}

static void print_vms(const struct out *o, const struct family *f, const struct subject *s)
{
	print_count(o, f, s, NULL, o->data->vms->n);
}

static void print_vms_dropped(const struct out *o, const struct family *f, const struct subject *s)
{
	print_count(o, f, s, NULL, o->data->vms->n - o->data->n_vms_shown);
}

static void print_collect(const struct out *o, const struct family *f, const struct subject *s)
{
	if (o->data->collect_usec == 0)
		return;
	print_head(o, f, "", s, NULL);
	print_fraction(o, o->data->collect_usec, USEC_PER_SEC, 6);
}

/* One series for each value, 1 for the one that holds: a graph can then count them. */
static void print_set(const struct out *o, const struct family *f, const struct subject *s,
		      const char *label, const char *const *values, const char *value)
{
	for (size_t i = 0; values[i]; i++) {
		char extra[64];

		snprintf(extra, sizeof(extra), "%s=\"%s\"", label, values[i]);
		print_count(o, f, s, extra, strcmp(values[i], value) == 0);
	}
}

static void print_nowait(const struct out *o, const struct family *f, const struct subject *s)
{
	static const char *const values[] = { "not-needed",  "off",	"active",
					      "unavailable", "unknown", NULL };

	print_set(o, f, s, "state", values, o->data->host->nowait_swapin);
}

static void print_config_error(const struct out *o, const struct family *f, const struct subject *s)
{
	if (o->data->host->config_error)
		print_count(o, f, s, NULL, o->data->host->config_error[0] != '\0');
}

static void print_dry_run(const struct out *o, const struct family *f, const struct subject *s)
{
	/* An apfd that has no configuration has no such mode either. */
	if (o->data->host->config_error)
		print_count(o, f, s, NULL, o->data->host->dry_run);
}

enum swap_figure { SWAP_SIZE, SWAP_USED, SWAP_READS, SWAP_LATENCY, SWAP_SYNCHRONOUS };

static void print_swap(const struct out *o, const struct family *f, const struct subject *s)
{
	const struct swap_devices *swap = &o->data->host->swap;

	for (size_t i = 0; i < swap->n; i++) {
		const struct swap_device *d = &swap->all[i];
		const uint64_t values[] = {
			[SWAP_SIZE] = d->size_bytes,
			[SWAP_USED] = d->used_bytes,
			[SWAP_READS] = d->reads,
			[SWAP_SYNCHRONOUS] = d->synchronous,
		};
		_cleanup_free_ char *device = label_new("device", d->path);
		_cleanup_free_ char *kind = label_new("kind", d->kind);
		_cleanup_free_ char *both = NULL;

		if (!device || !kind || asprintf(&both, "%s,%s", device, kind) < 0)
			return;
		if (f->arg != SWAP_LATENCY) {
			print_count(o, f, s, both, values[f->arg]);
		} else if (d->reads > 0) {
			print_head(o, f, "", s, both);
			print_fraction(o, d->read_latency_usec, USEC_PER_SEC, 6);
		}
	}
}

/* ---- a VM, a vCPU ---- */

static void print_watched(const struct out *o, const struct family *f, const struct subject *s)
{
	print_count(o, f, s, NULL, s->vm->watched);
}

static void print_watch_start(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->vm->watched)
		return;
	print_head(o, f, "", s, NULL);
	print_fraction(o, s->vm->since_usec, USEC_PER_SEC, 6);
}

static void print_vcpus(const struct out *o, const struct family *f, const struct subject *s)
{
	if (s->vm->watched)
		print_count(o, f, s, NULL, strv_length(s->vm->vcpu_states));
}

static void print_swapped(const struct out *o, const struct family *f, const struct subject *s)
{
	if (vm_knows_swapped(s->vm))
		print_count(o, f, s, NULL, s->vm->swapped_bytes);
}

static void print_gate_state(const struct out *o, const struct family *f, const struct subject *s)
{
	static const char *const of_vm[] = { "off", "pv", "on", "mixed", "unknown", NULL };
	static const char *const of_vcpu[] = { "off", "pv", "on", NULL };

	print_set(o, f, s, "state", s->vcpu ? of_vcpu : of_vm, s->state);
}

static void print_outstanding(const struct out *o, const struct family *f, const struct subject *s)
{
	if (s->vm->watched)
		print_count(o, f, s, NULL, s->outstanding_pages);
}

/* Counters are unknown, not 0, while the VM is not watched. */
static void print_counter(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->vm->watched)
		return;
	if (!counter_names[f->arg].nsec) {
		print_count(o, f, s, NULL, s->counters[f->arg]);
		return;
	}
	print_head(o, f, "", s, NULL);
	print_fraction(o, s->counters[f->arg], NSEC_PER_SEC, 9);
}

static void print_swapins(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->vm->watched)
		return;
	print_count(o, f, s, "kind=\"async\"", s->counters[COUNTER_READY]);
	print_count(o, f, s, "kind=\"sync\"", s->counters[COUNTER_SYNC_STALLS]);
}

static void print_histogram(const struct out *o, const struct family *f, const struct subject *s,
			    const char *kind, const struct histogram *h, uint64_t sum_nsec)
{
	uint64_t count = 0;
	char extra[64];
	unsigned int i = 0;

	for (unsigned int bound = BOUND_FIRST; bound <= BOUND_LAST; bound++) {
		uint64_t usec = (uint64_t)1 << bound;

		/* Bucket i ends where 2^i us begin. The last has no end. */
		for (; i <= bound && i + 1 < h->n; i++)
			count += h->bucket[i];
		snprintf(extra, sizeof(extra), "%s,le=\"%" PRIu64 ".%06" PRIu64 "\"", kind,
			 usec / USEC_PER_SEC, usec % USEC_PER_SEC);
		print_head(o, f, "_bucket", s, extra);
		fprintf(o->file, "%" PRIu64 "\n", count);
	}
	for (; i < h->n; i++)
		count += h->bucket[i];
	snprintf(extra, sizeof(extra), "%s,le=\"+Inf\"", kind);
	print_head(o, f, "_bucket", s, extra);
	fprintf(o->file, "%" PRIu64 "\n", count);
	print_head(o, f, "_sum", s, kind);
	print_fraction(o, sum_nsec, NSEC_PER_SEC, 9);
	print_head(o, f, "_count", s, kind);
	fprintf(o->file, "%" PRIu64 "\n", count);
}

static void print_latency(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->vm->watched)
		return;
	print_histogram(o, f, s, "kind=\"async\"", s->async, s->counters[COUNTER_ASYNC_NSEC]);
	print_histogram(o, f, s, "kind=\"sync\"", s->sync, s->counters[COUNTER_SYNC_STALL_NSEC]);
}

static void print_paused(const struct out *o, const struct family *f, const struct subject *s)
{
	if (s->vm->watched)
		print_count(o, f, s, NULL, s->vcpu ? s->vcpu->paused : s->vm->paused_vcpus.n);
}

static void print_guest_up(const struct out *o, const struct family *f, const struct subject *s)
{
	if (strcmp(s->vm->guest_module, "unknown") != 0)
		print_count(o, f, s, NULL, strcmp(s->vm->guest_module, "present") == 0);
}

static void print_guest(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->guest->present)
		return;
	if (f->arg != GUEST_OLDEST_SLEEPER_MSEC) {
		print_count(o, f, s, NULL, s->guest->figures[f->arg]);
		return;
	}
	print_head(o, f, "", s, NULL);
	print_fraction(o, s->guest->figures[f->arg], 1000, 3);
}

static void print_mode(const struct out *o, const struct family *f, const struct subject *s)
{
	static const char *const values[] = { "auto", "on", "pv", "off", NULL };

	if (s->vm->mode)
		print_set(o, f, s, "mode", values, s->vm->mode);
}

/* Bytes, rates, shares; apfd says percent where Prometheus wants parts of one. */
static void print_pressure(const struct out *o, const struct family *f, const struct subject *s)
{
	double value = s->vm->pressure.figures[f->arg];

	if (!s->vm->pressure.known[f->arg])
		return;
	if (f->arg == PRESSURE_SOME_AVG10 || f->arg == PRESSURE_FULL_AVG10)
		value /= 100;
	print_head(o, f, "", s, NULL);
	fprintf(o->file, "%.15g\n", value);
}

#define OF_BOTH (OF_VM | OF_VCPU)

/* clang-format off */
static const struct family families[] = {
	{ "up", GAUGE, NULL, OF_HOST, print_up, 0,
	  "Whether apfd answered." },
	{ "build_info", GAUGE, NULL, OF_HOST, print_build, 0,
	  "Versions of apfd and of apf_host, empty while that is absent." },
	{ "host_module_up", GAUGE, NULL, OF_HOST, print_module_up, 0,
	  "Whether apf_host is loaded." },
	{ "libvirt_up", GAUGE, NULL, OF_HOST, print_libvirt_up, 0,
	  "Whether apfd is connected to libvirt." },
	{ "nested_guard", GAUGE, NULL, OF_HOST, print_nested_guard, 0,
	  "Whether no asynchronous page fault is started while a vCPU runs a nested guest." },
	{ "nowait_swapin", GAUGE, NULL, OF_HOST, print_nowait, 0,
	  "State of no-wait swap-in." },
	{ "vms", GAUGE, NULL, OF_HOST, print_vms, 0,
	  "Running VMs." },
	{ "vms_dropped", GAUGE, NULL, OF_HOST, print_vms_dropped, 0,
	  "VMs that nothing is told of here, because there are more than wanted." },
	{ "config_error", GAUGE, NULL, OF_HOST, print_config_error, 0,
	  "Whether the configuration was wrong when it was read last." },
	{ "dry_run", GAUGE, NULL, OF_HOST, print_dry_run, 0,
	  "Whether apfd only says what it would do." },
	{ "swap_size_bytes", GAUGE, "bytes", OF_HOST, print_swap, SWAP_SIZE,
	  "Size of a swap device." },
	{ "swap_used_bytes", GAUGE, "bytes", OF_HOST, print_swap, SWAP_USED,
	  "Bytes of a swap device that are in use." },
	{ "swap_reads", COUNTER, NULL, OF_HOST, print_swap, SWAP_READS,
	  "Reads a swap device has completed." },
	{ "swap_read_latency_seconds", GAUGE, "seconds", OF_HOST, print_swap, SWAP_LATENCY,
	  "Mean time of a read in the last interval that had any." },
	{ "swap_synchronous", GAUGE, NULL, OF_HOST, print_swap, SWAP_SYNCHRONOUS,
	  "Whether reads complete in the caller, so that nothing can be asynchronous." },
	{ "collect_seconds", GAUGE, "seconds", OF_HOST, print_collect, 0,
	  "Time it took to ask apfd for these figures." },

	{ "watched", GAUGE, NULL, OF_VM, print_watched, 0,
	  "Whether apf_host watches the VM; if not, most figures are missing." },
	{ "watch_start_time_seconds", GAUGE, "seconds", OF_VM, print_watch_start, 0,
	  "When apf_host began to watch, since the epoch; counters began at 0 then." },
	{ "vcpus", GAUGE, NULL, OF_VM, print_vcpus, 0,
	  "vCPUs of the VM." },
	{ "swapped_bytes", GAUGE, "bytes", OF_VM, print_swapped, 0,
	  "Bytes of the VM's process on the host's swap." },
	{ "gate_state", GAUGE, NULL, OF_BOTH, print_gate_state, 0,
	  "1 for the state of the gate, 0 for the others." },
	{ "outstanding_pages", GAUGE, "pages", OF_BOTH, print_outstanding, 0,
	  "Pages being swapped in asynchronously." },
	{ "swapins", COUNTER, NULL, OF_BOTH, print_swapins, 0,
	  "Swap-ins done, asynchronous ones and those that stopped a vCPU." },
	{ "stall_seconds", COUNTER, "seconds", OF_BOTH, print_counter, COUNTER_SYNC_STALL_NSEC,
	  "Time vCPUs stood still in synchronous swap-ins." },
	{ "async_wait_seconds", COUNTER, "seconds", OF_BOTH, print_counter, COUNTER_ASYNC_NSEC,
	  "Time from \"page not present\" to \"page ready\", sum of all pages." },
	{ "swapin_latency_seconds", HISTOGRAM, "seconds", OF_BOTH, print_latency, 0,
	  "Latency of swap-ins." },
	{ "faults_asked", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_ASKED,
	  "Faults that would sleep and for which KVM asked whether they may be asynchronous." },
	{ "faults_refused", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REFUSED,
	  "Faults to which KVM said yes and the gate said no." },
	{ "faults_refused_nested", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REFUSED_NESTED,
	  "Of those refused, because a nested guest was running." },
	{ "faults_refused_paused", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REFUSED_PAUSED,
	  "Of those refused, because the guest reported an emergency node in use." },
	{ "not_present", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_NOT_PRESENT,
	  "Asynchronous page faults started." },
	{ "delivered", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_DELIVERED,
	  "Of the asynchronous page faults, told to the guest." },
	{ "halted", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_HALTED,
	  "Of the asynchronous page faults, those for which KVM halted the vCPU." },
	{ "ready_unknown", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_READY_UNKNOWN,
	  "Pages that became ready and whose beginning was not seen." },
	{ "ready_broadcasts", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_READY_ALL,
	  "\"Page ready\" to all sleepers at once." },
	{ "dropped", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_DROPPED,
	  "Outstanding pages that KVM forgot, because the guest switched off or was reset." },
	{ "repeated", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REPEATED,
	  "Faults on a page that was outstanding already." },
	{ "nowait_reads", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_NOWAIT,
	  "Swap reads started without waiting by no-wait swap-in." },
	{ "probe_misses", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_PROBE_MISSES,
	  "Events that could not be classified or timed." },
	{ "bad_reports", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_BAD_REPORTS,
	  "Reports of the guest that made no sense." },

	{ "mode", GAUGE, NULL, OF_VM, print_mode, 0,
	  "1 for the mode that is asked for, 0 for the others." },
	{ "memory_bytes", GAUGE, "bytes", OF_VM, print_pressure, PRESSURE_MEMORY_BYTES,
	  "Memory of the VM's control group." },
	{ "memory_swap_bytes", GAUGE, "bytes", OF_VM, print_pressure, PRESSURE_SWAP_BYTES,
	  "Swap of the VM's control group." },
	{ "memory_swapin_pages_per_second", GAUGE, NULL, OF_VM, print_pressure,
	  PRESSURE_SWAP_IN_RATE,
	  "Pages swapped in for the VM, as apfd's policy sees it." },
	{ "memory_refaults_per_second", GAUGE, NULL, OF_VM, print_pressure, PRESSURE_REFAULT_RATE,
	  "Pages that came back soon after they were taken." },
	{ "memory_major_faults_per_second", GAUGE, NULL, OF_VM, print_pressure,
	  PRESSURE_MAJOR_FAULT_RATE,
	  "Major faults of the VM." },
	{ "memory_pressure_some_ratio", GAUGE, "ratio", OF_VM, print_pressure, PRESSURE_SOME_AVG10,
	  "Share of the last ten seconds in which some task of the VM waited for memory." },
	{ "memory_pressure_full_ratio", GAUGE, "ratio", OF_VM, print_pressure, PRESSURE_FULL_AVG10,
	  "Share of the last ten seconds in which all tasks of the VM waited for memory." },
	{ "stall_ratio", GAUGE, "ratio", OF_VM, print_pressure, PRESSURE_STALL_RATIO,
	  "Share of vCPU time spent in synchronous swap-ins, as apfd's policy sees it." },
	{ "memory_pressure_trend", GAUGE, NULL, OF_VM, print_pressure, PRESSURE_TREND,
	  "Change of the waiting, share of time per second." },

	{ "paused_vcpus", GAUGE, NULL, OF_VM, print_paused, 0,
	  "vCPUs whose gate is closed because the guest has emergency nodes in use." },
	{ "paused", GAUGE, NULL, OF_VCPU, print_paused, 0,
	  "Whether the gate is closed because the guest has emergency nodes in use." },
	{ "guest_module_up", GAUGE, NULL, OF_VM, print_guest_up, 0,
	  "Whether apf_guest reports from the guest. What it reports is the guest's word." },
	{ "guest_pool_nodes", GAUGE, NULL, OF_BOTH, print_guest, GUEST_POOL_SIZE,
	  "Emergency nodes the guest has." },
	{ "guest_pool_used_nodes", GAUGE, NULL, OF_BOTH, print_guest, GUEST_POOL_IN_USE,
	  "Emergency nodes in use now." },
	{ "guest_pool_taken", COUNTER, NULL, OF_BOTH, print_guest, GUEST_POOL_TAKEN,
	  "Emergency nodes put to use." },
	{ "guest_pool_exhausted", COUNTER, NULL, OF_BOTH, print_guest, GUEST_POOL_EXHAUSTED,
	  "Times no emergency node was left and all sleepers were woken." },
	{ "guest_sleepers", GAUGE, NULL, OF_BOTH, print_guest, GUEST_SLEEPERS,
	  "Tasks of the guest that wait for a page." },
	{ "guest_oldest_sleeper_seconds", GAUGE, "seconds", OF_BOTH, print_guest,
	  GUEST_OLDEST_SLEEPER_MSEC,
	  "How long the task that waits longest has waited." },
	{ "guest_waits", COUNTER, NULL, OF_BOTH, print_guest, GUEST_WAITS,
	  "Tasks of the guest that began to wait for a page." },
	{ "guest_wakes", COUNTER, NULL, OF_BOTH, print_guest, GUEST_WAKES,
	  "Tasks of the guest that were woken." },
	{ "guest_early_wakes", COUNTER, NULL, OF_BOTH, print_guest, GUEST_EARLY_WAKES,
	  "\"Page ready\" that came before the task slept." },
	{ "guest_rescues", COUNTER, NULL, OF_BOTH, print_guest, GUEST_RESCUES,
	  "Tasks woken because \"page ready\" did not come in time." },
	{ "guest_unknown_tokens", COUNTER, NULL, OF_BOTH, print_guest, GUEST_UNKNOWN_TOKENS,
	  "\"Page ready\" for a page nobody waits for." },
};
/* clang-format on */

static void print_family_head(const struct out *o, const struct family *f)
{
	const char *prefix = o->scope == OF_VCPU ? "apf_vcpu_" : "apf_";
	/* In OpenMetrics the family is named without, in the older format with it. */
	const char *suffix = f->type == COUNTER && o->format == PROMETHEUS_TEXT ? "_total" : "";

	fprintf(o->file, "# TYPE %s%s%s %s\n", prefix, f->name, suffix, type_names[f->type]);
	if (f->unit && o->format == OPENMETRICS_1_0)
		fprintf(o->file, "# UNIT %s%s %s\n", prefix, f->name, f->unit);
	fprintf(o->file, "# HELP %s%s%s ", prefix, f->name, suffix);
	/* The older format does not escape quotes here, OpenMetrics does. */
	if (o->format == OPENMETRICS_1_0)
		print_escaped(o->file, f->help);
	else
		fputs(f->help, o->file);
	if (o->scope == OF_VCPU)
		fputs(" One vCPU.", o->file);
	fputc('\n', o->file);
}

/* Name and UUID of @vm as labels; NULL without memory. */
static char *labels_new(const struct openmetrics *data, const struct vm *vm,
			const struct vcpu *vcpu)
{
	_cleanup_free_ char *cut = strndup(vm->name, OPENMETRICS_NAME_MAX);
	_cleanup_free_ char *printable = NULL, *name = NULL, *uuid = NULL;
	char *labels = NULL;
	size_t len;
	int r;

	if (!cut)
		return NULL;
	/* Not within a character. */
	len = strlen(cut);
	if (vm->name[len] != '\0') {
		while (len > 0 && ((unsigned char)vm->name[len] & 0xc0) == 0x80)
			len--;
		cut[len] = '\0';
	}
	if (data->printable) {
		printable = text_printable(cut);
		if (!printable)
			return NULL;
	}
	name = label_new("vm", printable ?: cut);
	uuid = label_new("uuid", vm->uuid);
	if (!name || !uuid)
		return NULL;
	if (vcpu)
		r = asprintf(&labels, "%s,%s,vcpu=\"%u\"", name, uuid, vcpu->index);
	else
		r = asprintf(&labels, "%s,%s", name, uuid);
	return r < 0 ? NULL : labels;
}

struct subjects {
	struct subject *list;
	size_t n;
};

static void subjects_clear(struct subjects *subjects)
{
	for (size_t i = 0; i < subjects->n; i++)
		free(subjects->list[i].labels);
	free(subjects->list);
}

static int vms_to_subjects(const struct openmetrics *data, struct subjects *ret)
{
	ret->list = calloc(data->n_vms_shown + 1, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < data->n_vms_shown; i++) {
		const struct vm *vm = &data->vms->vms[i];

		ret->list[ret->n++] = (struct subject){
			.labels = labels_new(data, vm, NULL),
			.vm = vm,
			.state = vm->state,
			.counters = vm->counters,
			.async = &vm->async,
			.sync = &vm->sync,
			.guest = &vm->guest,
			.outstanding_pages = vm->outstanding_pages,
		};
		if (!ret->list[i].labels)
			return -ENOMEM;
	}
	return 0;
}

static int vcpus_to_subjects(const struct openmetrics *data, struct subjects *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < data->n_vms_shown; i++)
		n += data->vcpus[i].n;
	ret->list = calloc(n + 1, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (size_t i = 0; i < data->n_vms_shown; i++) {
		const struct vm *vm = &data->vms->vms[i];

		for (size_t k = 0; k < data->vcpus[i].n; k++) {
			const struct vcpu *vcpu = &data->vcpus[i].vcpus[k];

			ret->list[ret->n++] = (struct subject){
				.labels = labels_new(data, vm, vcpu),
				.vm = vm,
				.vcpu = vcpu,
				.state = vcpu->state,
				.counters = vcpu->counters,
				.async = &vcpu->async,
				.sync = &vcpu->sync,
				.guest = &vcpu->guest,
				.outstanding_pages = vcpu->outstanding_pages,
			};
			if (!ret->list[ret->n - 1].labels)
				return -ENOMEM;
		}
	}
	return 0;
}

static void print_families(const struct out *o, const struct subjects *subjects)
{
	for (size_t i = 0; i < ELEMENTSOF(families); i++) {
		const struct family *f = &families[i];

		if (!(f->scopes & o->scope))
			continue;
		print_family_head(o, f);
		for (size_t k = 0; k < subjects->n; k++)
			f->print(o, f, &subjects->list[k]);
	}
}

static void print_host(struct out *o)
{
	o->scope = OF_HOST;
	for (size_t i = 0; i < ELEMENTSOF(families); i++) {
		const struct family *f = &families[i];

		if (!(f->scopes & OF_HOST) || (!o->data->host && f->print != print_up))
			continue;
		print_family_head(o, f);
		f->print(o, f, NULL);
	}
}

int openmetrics_print(FILE *file, const struct openmetrics *data, enum openmetrics_format format)
{
	_cleanup_(subjects_clear) struct subjects vms = {}, vcpus = {};
	struct out o = { .file = file, .data = data, .format = format };
	int r;

	if (data->host) {
		r = vms_to_subjects(data, &vms);
		if (r >= 0 && data->vcpus)
			r = vcpus_to_subjects(data, &vcpus);
		if (r < 0)
			return r;
	}
	print_host(&o);
	if (data->host) {
		o.scope = OF_VM;
		print_families(&o, &vms);
		if (data->vcpus) {
			o.scope = OF_VCPU;
			print_families(&o, &vcpus);
		}
	}
	if (format == OPENMETRICS_1_0)
		fputs("# EOF\n", file);
	return 0;
}
