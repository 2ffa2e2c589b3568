// SPDX-License-Identifier: GPL-2.0
/*
 * One table of all metrics, with a function for each kind of row. This file is longer than others
 * so that a row and its function stay in one place.
 */
#include "openmetrics.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "format.h"
#include "names.h"
#include "openmetrics-family.h"
#include "strv.h"

/*
 * Upper bounds of the exported latency histogram, as powers of two of a microsecond:
 * 16 us to 16.8 s. No swap device is faster, a longer wait is a hang, and each bound
 * costs one more time series for each VM.
 */
enum { BOUND_FIRST = 4, BOUND_LAST = 24 };

static const char *const type_names[] = { "gauge", "counter", "histogram" };

void family_print_head(const struct out *o, const struct family *f, const char *suffix,
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

void family_print_count(const struct out *o, const struct family *f, const struct subject *s,
			const char *extra, uint64_t value)
{
	family_print_head(o, f, "", s, extra);
	fprintf(o->file, "%" PRIu64 "\n", value);
}

void family_print_fraction(const struct out *o, uint64_t value, uint64_t per_sec, int digits)
{
	fprintf(o->file, "%" PRIu64 ".%0*" PRIu64 "\n", value / per_sec, digits, value % per_sec);
}

/* Writes the value of a label; both formats use the same escapes. */
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

/* Returns name="value", escaped and allocated. */
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
	family_print_count(o, f, s, NULL, o->data->host != NULL);
}

static void print_build(const struct out *o, const struct family *f, const struct subject *s)
{
	_cleanup_free_ char *version = label_new("version", o->data->host->version);
	_cleanup_free_ char *module =
		label_new("host_module_version", o->data->host->host_module_version);
	_cleanup_free_ char *both = NULL;

	if (version && module && asprintf(&both, "%s,%s", version, module) >= 0)
		family_print_count(o, f, s, both, 1);
}

static void print_module_up(const struct out *o, const struct family *f, const struct subject *s)
{
	family_print_count(o, f, s, NULL, strcmp(o->data->host->host_module, NAME_PRESENT) == 0);
}

static void print_libvirt_up(const struct out *o, const struct family *f, const struct subject *s)
{
	family_print_count(o, f, s, NULL, strcmp(o->data->host->libvirt, NAME_CONNECTED) == 0);
}

static void print_nested_guard(const struct out *o, const struct family *f, const struct subject *s)
{
	family_print_count(o, f, s, NULL, o->data->host->nested_guard);
}

static void print_vms(const struct out *o, const struct family *f, const struct subject *s)
{
	family_print_count(o, f, s, NULL, o->data->vms->n);
}

static void print_vms_dropped(const struct out *o, const struct family *f, const struct subject *s)
{
	family_print_count(o, f, s, NULL, o->data->vms->n - o->data->n_vms_shown);
}

static void print_collect(const struct out *o, const struct family *f, const struct subject *s)
{
	if (o->data->collect_usec == 0)
		return;
	family_print_head(o, f, "", s, NULL);
	family_print_fraction(o, o->data->collect_usec, USEC_PER_SEC, 6);
}

void family_print_set(const struct out *o, const struct family *f, const struct subject *s,
		      const char *label, const char *const *values, const char *value)
{
	for (size_t i = 0; values[i]; i++) {
		char extra[64];

		snprintf(extra, sizeof(extra), "%s=\"%s\"", label, values[i]);
		family_print_count(o, f, s, extra, strcmp(values[i], value) == 0);
	}
}

static void print_nowait(const struct out *o, const struct family *f, const struct subject *s)
{
	static const char *const values[] = { NAME_NOT_NEEDED,	NAME_OFF,     NAME_ACTIVE,
					      NAME_UNAVAILABLE, NAME_UNKNOWN, NULL };

	family_print_set(o, f, s, "state", values, o->data->host->nowait_swapin);
}

static void print_hooks(const struct out *o, const struct family *f, const struct subject *s)
{
	const struct host_hooks *hooks = &o->data->host->hooks;

	for (size_t i = 0; i < hooks->n; i++) {
		_cleanup_free_ char *hook = label_new("hook", hooks->all[i].name);

		if (hook)
			family_print_count(o, f, s, hook, hooks->all[i].placed);
	}
}

static void print_config_error(const struct out *o, const struct family *f, const struct subject *s)
{
	if (o->data->host->config_error)
		family_print_count(o, f, s, NULL, o->data->host->config_error[0] != '\0');
}

static void print_dry_run(const struct out *o, const struct family *f, const struct subject *s)
{
	/* An old apfd without configuration has no dry run either. */
	if (o->data->host->config_error)
		family_print_count(o, f, s, NULL, o->data->host->dry_run);
}

enum swap_figure {
	SWAP_SIZE,
	SWAP_USED,
	SWAP_READS,
	SWAP_READ_TIME,
	SWAP_LATENCY,
	SWAP_SYNCHRONOUS
};

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
		uint64_t usec;

		if (!device || !kind || asprintf(&both, "%s,%s", device, kind) < 0)
			return;
		if (f->arg != SWAP_LATENCY && f->arg != SWAP_READ_TIME) {
			family_print_count(o, f, s, both, values[f->arg]);
			continue;
		}
		usec = f->arg == SWAP_LATENCY ? d->read_latency_usec : d->read_usec;
		/* A file, or a device that was not read: there is no time of reads. */
		if (d->reads == 0 || usec == UINT64_MAX)
			continue;
		family_print_head(o, f, "", s, both);
		family_print_fraction(o, usec, USEC_PER_SEC, 6);
	}
}

/* ---- a VM, a vCPU ---- */

/* The name of @vm as a label, allocated; NULL if out of memory. */
static char *name_label_new(const struct openmetrics *data, const struct vm *vm)
{
	_cleanup_free_ char *cut = strndup(vm->name, OPENMETRICS_NAME_MAX);
	_cleanup_free_ char *printable = NULL;
	size_t len;

	if (!cut)
		return NULL;
	/* Do not cut within a UTF-8 character. */
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
	return label_new("vm", printable ?: cut);
}

/*
 * The only series with the name: the series of a renamed VM go on under its UUID, and a name
 * costs one series instead of all.
 */
static void print_vm_info(const struct out *o, const struct family *f, const struct subject *s)
{
	_cleanup_free_ char *name = name_label_new(o->data, s->vm);
	_cleanup_free_ char *manager = label_new("manager", s->vm->manager ?: "");
	_cleanup_free_ char *both = NULL;

	if (name && manager && asprintf(&both, "%s,%s", name, manager) >= 0)
		family_print_count(o, f, s, both, 1);
}

static void print_watched(const struct out *o, const struct family *f, const struct subject *s)
{
	family_print_count(o, f, s, NULL, s->vm->watched);
}

static void print_watch_start(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->vm->watched)
		return;
	family_print_head(o, f, "", s, NULL);
	family_print_fraction(o, s->vm->since_usec, USEC_PER_SEC, 6);
}

static void print_vcpus(const struct out *o, const struct family *f, const struct subject *s)
{
	if (s->vm->watched)
		family_print_count(o, f, s, NULL, strv_length(s->vm->vcpu_states));
}

static void print_swapped(const struct out *o, const struct family *f, const struct subject *s)
{
	if (vm_swapped_known(s->vm))
		family_print_count(o, f, s, NULL, s->vm->swapped_bytes);
}

static void print_gate_state(const struct out *o, const struct family *f, const struct subject *s)
{
	static const char *const of_vm[] = { NAME_OFF,	 NAME_PV,      NAME_ON,
					     NAME_MIXED, NAME_UNKNOWN, NULL };
	static const char *const of_vcpu[] = { NAME_OFF, NAME_PV, NAME_ON, NULL };

	family_print_set(o, f, s, "state", s->vcpu ? of_vcpu : of_vm, s->state);
}

static void print_outstanding(const struct out *o, const struct family *f, const struct subject *s)
{
	if (s->vm->watched && s->outstanding.known)
		family_print_count(o, f, s, NULL, s->outstanding.pages);
}

/* False while the VM is not watched, or if apf_host cannot count this on the host's kernel. */
static bool known(const struct subject *s, enum counter counter)
{
	return s->vm->watched && counter_known(s->counters, counter);
}

static void print_counter(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!known(s, (enum counter)f->arg))
		return;
	if (!counter_names[f->arg].nsec) {
		family_print_count(o, f, s, NULL, s->counters->value[f->arg]);
		return;
	}
	family_print_head(o, f, "", s, NULL);
	family_print_fraction(o, s->counters->value[f->arg], NSEC_PER_SEC, 9);
}

static void print_swapins(const struct out *o, const struct family *f, const struct subject *s)
{
	if (known(s, COUNTER_READY))
		family_print_count(o, f, s, "kind=\"async\"", s->counters->value[COUNTER_READY]);
	if (known(s, COUNTER_SYNC_STALLS))
		family_print_count(o, f, s, "kind=\"sync\"",
				   s->counters->value[COUNTER_SYNC_STALLS]);
}

static void print_histogram(const struct out *o, const struct family *f, const struct subject *s,
			    const char *kind, const struct histogram *h, uint64_t sum_nsec)
{
	uint64_t count = 0;
	char extra[64];
	unsigned int i = 0;

	for (unsigned int bound = BOUND_FIRST; bound <= BOUND_LAST; bound++) {
		uint64_t usec = (uint64_t)1 << bound;

		/* Bucket i has latencies below 2^i us. The last bucket has no upper bound. */
		for (; i <= bound && i + 1 < h->n; i++)
			count += h->bucket[i];
		snprintf(extra, sizeof(extra), "%s,le=\"%" PRIu64 ".%06" PRIu64 "\"", kind,
			 usec / USEC_PER_SEC, usec % USEC_PER_SEC);
		family_print_head(o, f, "_bucket", s, extra);
		fprintf(o->file, "%" PRIu64 "\n", count);
	}
	for (; i < h->n; i++)
		count += h->bucket[i];
	snprintf(extra, sizeof(extra), "%s,le=\"+Inf\"", kind);
	family_print_head(o, f, "_bucket", s, extra);
	fprintf(o->file, "%" PRIu64 "\n", count);
	family_print_head(o, f, "_sum", s, kind);
	family_print_fraction(o, sum_nsec, NSEC_PER_SEC, 9);
	family_print_head(o, f, "_count", s, kind);
	fprintf(o->file, "%" PRIu64 "\n", count);
}

static void print_latency(const struct out *o, const struct family *f, const struct subject *s)
{
	if (known(s, COUNTER_ASYNC_NSEC) && s->async->n > 0)
		print_histogram(o, f, s, "kind=\"async\"", s->async,
				s->counters->value[COUNTER_ASYNC_NSEC]);
	if (known(s, COUNTER_SYNC_STALL_NSEC) && s->sync->n > 0)
		print_histogram(o, f, s, "kind=\"sync\"", s->sync,
				s->counters->value[COUNTER_SYNC_STALL_NSEC]);
}

static void print_paused(const struct out *o, const struct family *f, const struct subject *s)
{
	if (s->vm->watched)
		family_print_count(o, f, s, NULL,
				   s->vcpu ? s->vcpu->paused : s->vm->paused_vcpus.n);
}

static void print_guest_apf(const struct out *o, const struct family *f, const struct subject *s)
{
	family_print_count(o, f, s, NULL, strcmp(s->vcpu->guest_apf, NAME_OFF) != 0);
}

static void print_guest_up(const struct out *o, const struct family *f, const struct subject *s)
{
	if (strcmp(s->vm->guest_module, NAME_UNKNOWN) != 0)
		family_print_count(o, f, s, NULL, strcmp(s->vm->guest_module, NAME_PRESENT) == 0);
}

static void print_guest(const struct out *o, const struct family *f, const struct subject *s)
{
	if (!s->guest->present || !guest_figure_known(s->guest, (enum guest_figure)f->arg))
		return;
	if (f->arg != GUEST_OLDEST_SLEEPER_MSEC) {
		family_print_count(o, f, s, NULL, s->guest->figures[f->arg]);
		return;
	}
	family_print_head(o, f, "", s, NULL);
	family_print_fraction(o, s->guest->figures[f->arg], 1000, 3);
}

static void print_mode(const struct out *o, const struct family *f, const struct subject *s)
{
	static const char *const values[] = { NAME_AUTO, NAME_ON, NAME_PV, NAME_OFF, NULL };

	if (s->vm->mode)
		family_print_set(o, f, s, "mode", values, s->vm->mode);
}

/* Prints bytes, rates and shares. apfd sends percent, Prometheus expects 0 to 1. */
static void print_pressure(const struct out *o, const struct family *f, const struct subject *s)
{
	double value = s->vm->pressure.figures[f->arg];

	if (!s->vm->pressure.known[f->arg])
		return;
	if (f->arg == PRESSURE_SOME_AVG10 || f->arg == PRESSURE_FULL_AVG10)
		value /= 100;
	family_print_head(o, f, "", s, NULL);
	fprintf(o->file, "%.15g\n", value);
}

#define OF_BOTH (OF_VM | OF_VCPU)

/* clang-format off */
static const struct family families[] = {
	{ "up", GAUGE, NULL, OF_HOST, print_up, 0,
	  "Whether apfd answered." },
	{ "build_info", GAUGE, NULL, OF_HOST, print_build, 0,
	  "Versions of apfd and of apf_host; the latter is empty while apf_host is absent." },
	{ "host_module_up", GAUGE, NULL, OF_HOST, print_module_up, 0,
	  "Whether apf_host is loaded." },
	{ "libvirt_up", GAUGE, NULL, OF_HOST, print_libvirt_up, 0,
	  "Whether apfd is connected to libvirt." },
	{ "nested_guard", GAUGE, NULL, OF_HOST, print_nested_guard, 0,
	  "Whether faults of a vCPU that runs a nested guest are always synchronous." },
	{ "nowait_swapin", GAUGE, NULL, OF_HOST, print_nowait, 0,
	  "State of no-wait swap-in." },
	{ "hook_placed", GAUGE, NULL, OF_HOST, print_hooks, 0,
	  "Whether apf_host can place a hook; without it, its counters are missing." },
	{ "vms", GAUGE, NULL, OF_HOST, print_vms, 0,
	  "Running VMs." },
	{ "vms_dropped", GAUGE, NULL, OF_HOST, print_vms_dropped, 0,
	  "VMs without metrics here, because the host has more VMs than the limit." },
	{ "config_error", GAUGE, NULL, OF_HOST, print_config_error, 0,
	  "Whether the configuration was wrong when it was read last." },
	{ "dry_run", GAUGE, NULL, OF_HOST, print_dry_run, 0,
	  "Whether apfd only reports its decisions and changes nothing." },
	{ "swap_size_bytes", GAUGE, "bytes", OF_HOST, print_swap, SWAP_SIZE,
	  "Size of a swap device." },
	{ "swap_used_bytes", GAUGE, "bytes", OF_HOST, print_swap, SWAP_USED,
	  "Bytes of a swap device that are in use." },
	{ "swap_reads", COUNTER, NULL, OF_HOST, print_swap, SWAP_READS,
	  "Reads a swap device has completed." },
	{ "swap_read_seconds", COUNTER, "seconds", OF_HOST, print_swap, SWAP_READ_TIME,
	  "Time that the reads of a swap device took, sum of all reads." },
	{ "swap_read_latency_seconds", GAUGE, "seconds", OF_HOST, print_swap, SWAP_LATENCY,
	  "Mean time of a read in the last interval that had reads.",
	  "apf_swap_read_seconds_total / apf_swap_reads_total" },
	{ "swap_synchronous", GAUGE, NULL, OF_HOST, print_swap, SWAP_SYNCHRONOUS,
	  "Whether reads of a swap device are synchronous, so that APF gains nothing." },
	{ "collect_duration_seconds", GAUGE, "seconds", OF_HOST, print_collect, 0,
	  "Time it took to read these figures from apfd." },
	{ "collect_seconds", GAUGE, "seconds", OF_HOST, print_collect, 0,
	  "Time it took to read these figures from apfd.",
	  "apf_collect_duration_seconds" },

	{ "vm_info", GAUGE, NULL, OF_VM, print_vm_info, 0,
	  "Name of the VM, and who manages it; all other figures of VMs have only the UUID." },
	{ "vm_watched", GAUGE, NULL, OF_VM, print_watched, 0,
	  "Whether apf_host watches the VM; if not, most figures are missing." },
	{ "watched", GAUGE, NULL, OF_VM, print_watched, 0,
	  "Whether apf_host watches the VM; if not, most figures are missing.",
	  "apf_vm_watched" },
	{ "watch_start_time_seconds", GAUGE, "seconds", OF_VM, print_watch_start, 0,
	  "When apf_host began to watch the VM, since the epoch; counters started at 0 then." },
	{ "vcpus", GAUGE, NULL, OF_VM, print_vcpus, 0,
	  "vCPUs of the VM." },
	{ "swapped_bytes", GAUGE, "bytes", OF_VM, print_swapped, 0,
	  "Bytes of the VM that are swapped out on the host." },
	{ "gate_state", GAUGE, NULL, OF_BOTH, print_gate_state, 0,
	  "1 for the state of the gate, 0 for the others." },
	{ "outstanding_pages", GAUGE, "pages", OF_BOTH, print_outstanding, 0,
	  "Pages being swapped in asynchronously." },
	{ "swapins", COUNTER, NULL, OF_BOTH, print_swapins, 0,
	  "Completed swap-ins, asynchronous and synchronous (those that stopped a vCPU)." },
	{ "stall_seconds", COUNTER, "seconds", OF_BOTH, print_counter, COUNTER_SYNC_STALL_NSEC,
	  "Time for which synchronous swap-ins stopped vCPUs." },
	{ "vm_saved_seconds", COUNTER, "seconds", OF_VM, print_counter, COUNTER_SAVED_NSEC,
	  "Time in which vCPUs ran although pages were outstanding; without APF they would stop." },
	{ "saved_seconds", COUNTER, "seconds", OF_VCPU, print_counter, COUNTER_SAVED_NSEC,
	  "Time in which the vCPU ran although pages were outstanding; without APF it would stop." },
	{ "async_wait_seconds", COUNTER, "seconds", OF_BOTH, print_counter, COUNTER_ASYNC_NSEC,
	  "Time from \"page not present\" to \"page ready\", sum of all pages." },
	{ "swapin_latency_seconds", HISTOGRAM, "seconds", OF_BOTH, print_latency, 0,
	  "Latency of swap-ins." },
	{ "faults_asked", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_ASKED,
	  "Faults that would sleep and for which KVM checked whether they may be asynchronous." },
	{ "faults_refused", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REFUSED,
	  "Faults that KVM allowed to be asynchronous and the gate refused." },
	{ "faults_refused_nested", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REFUSED_NESTED,
	  "Faults refused because a nested guest was running." },
	{ "faults_refused_paused", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REFUSED_PAUSED,
	  "Faults refused because the guest reported an emergency node in use." },
	{ "faults_started", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_NOT_PRESENT,
	  "Asynchronous page faults started." },
	{ "not_present", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_NOT_PRESENT,
	  "Asynchronous page faults started.",
	  "apf_faults_started_total" },
	{ "faults_delivered", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_DELIVERED,
	  "Asynchronous page faults of which the guest was notified." },
	{ "delivered", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_DELIVERED,
	  "Asynchronous page faults of which the guest was notified.",
	  "apf_faults_delivered_total" },
	{ "faults_halted", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_HALTED,
	  "Asynchronous page faults for which KVM halted the vCPU." },
	{ "halted", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_HALTED,
	  "Asynchronous page faults for which KVM halted the vCPU.",
	  "apf_faults_halted_total" },
	{ "pages_unmatched", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_READY_UNKNOWN,
	  "Pages that became ready, but the start of the fault was not seen." },
	{ "ready_unknown", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_READY_UNKNOWN,
	  "Pages that became ready, but the start of the fault was not seen.",
	  "apf_pages_unmatched_total" },
	{ "ready_broadcasts", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_READY_ALL,
	  "\"Page ready\" notifications for all sleeping tasks at once." },
	{ "pages_dropped", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_DROPPED,
	  "Outstanding pages that KVM dropped: the guest disabled APF, was reset, or had an SMI." },
	{ "dropped", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_DROPPED,
	  "Outstanding pages that KVM dropped: the guest disabled APF, was reset, or had an SMI.",
	  "apf_pages_dropped_total" },
	{ "faults_repeated", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REPEATED,
	  "Faults on a page that was already outstanding." },
	{ "repeated", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_REPEATED,
	  "Faults on a page that was already outstanding.",
	  "apf_faults_repeated_total" },
	{ "nowait_reads", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_NOWAIT,
	  "Swap reads that no-wait swap-in started without waiting." },
	{ "probe_misses", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_PROBE_MISSES,
	  "Events that could not be classified or timed." },
	{ "bad_reports", COUNTER, NULL, OF_BOTH, print_counter, COUNTER_BAD_REPORTS,
	  "Invalid reports of the guest." },

	{ "mode", GAUGE, NULL, OF_VM, print_mode, 0,
	  "1 for the mode that is set, 0 for the others." },
	{ "memory_bytes", GAUGE, "bytes", OF_VM, print_pressure, PRESSURE_MEMORY_BYTES,
	  "Memory of the VM's control group." },
	{ "memory_swap_bytes", GAUGE, "bytes", OF_VM, print_pressure, PRESSURE_SWAP_BYTES,
	  "Swap of the VM's control group." },
	{ "memory_swapin_pages_per_second", GAUGE, NULL, OF_VM, print_pressure,
	  PRESSURE_SWAPIN_RATE,
	  "Pages swapped in for the VM, as measured for apfd's policy.",
	  "apf_memory_swapped_in_bytes_total" },
	{ "memory_refaults_per_second", GAUGE, NULL, OF_VM, print_pressure, PRESSURE_REFAULT_RATE,
	  "Pages that were read back soon after they were reclaimed.",
	  "apf_memory_refault_pages_total" },
	{ "memory_major_faults_per_second", GAUGE, NULL, OF_VM, print_pressure,
	  PRESSURE_MAJOR_FAULT_RATE,
	  "Major faults of the VM.",
	  "apf_memory_major_faults_total" },
	{ "memory_pressure_some_ratio", GAUGE, "ratio", OF_VM, print_pressure, PRESSURE_SOME_AVG10,
	  "Share of the last ten seconds in which some task of the VM waited for memory.",
	  "apf_memory_stall_seconds_total" },
	{ "memory_pressure_full_ratio", GAUGE, "ratio", OF_VM, print_pressure, PRESSURE_FULL_AVG10,
	  "Share of the last ten seconds in which all tasks of the VM waited for memory.",
	  "apf_memory_stall_seconds_total" },
	{ "stall_ratio", GAUGE, "ratio", OF_VM, print_pressure, PRESSURE_STALL_RATIO,
	  "Share of vCPU time spent in synchronous swap-ins, as measured for apfd's policy.",
	  "apf_stall_seconds_total / apf_vcpus" },
	{ "memory_pressure_trend", GAUGE, NULL, OF_VM, print_pressure, PRESSURE_TREND,
	  "Change of the share of time spent waiting for memory, per second.",
	  "deriv() of a rate" },

	{ "paused_vcpus", GAUGE, NULL, OF_VM, print_paused, 0,
	  "vCPUs whose gate is closed because the guest has emergency nodes in use." },
	{ "gate_paused", GAUGE, NULL, OF_VCPU, print_paused, 0,
	  "Whether the gate is closed because the guest has emergency nodes in use." },
	{ "paused", GAUGE, NULL, OF_VCPU, print_paused, 0,
	  "Whether the gate is closed because the guest has emergency nodes in use.",
	  "apf_vcpu_gate_paused" },
	{ "guest_apf", GAUGE, NULL, OF_VCPU, print_guest_apf, 0,
	  "Whether the guest has enabled APF." },
	{ "guest_module_up", GAUGE, NULL, OF_VM, print_guest_up, 0,
	  "Whether apf_guest reports from the guest. Its figures are not verified by the host." },
	{ "guest_pool_nodes", GAUGE, NULL, OF_BOTH, print_guest, GUEST_POOL_SIZE,
	  "Emergency nodes of the guest." },
	{ "guest_pool_used_nodes", GAUGE, NULL, OF_BOTH, print_guest, GUEST_POOL_IN_USE,
	  "Emergency nodes in use now." },
	{ "guest_pool_taken", COUNTER, NULL, OF_BOTH, print_guest, GUEST_POOL_TAKEN,
	  "How often an emergency node was taken into use." },
	{ "guest_pool_exhausted", COUNTER, NULL, OF_BOTH, print_guest, GUEST_POOL_EXHAUSTED,
	  "How often no emergency node was free and all sleeping tasks were woken." },
	{ "guest_sleepers", GAUGE, NULL, OF_BOTH, print_guest, GUEST_SLEEPERS,
	  "Tasks of the guest that wait for a page." },
	{ "guest_oldest_sleeper_seconds", GAUGE, "seconds", OF_BOTH, print_guest,
	  GUEST_OLDEST_SLEEPER_MSEC,
	  "How long the oldest waiting task has waited." },
	{ "guest_waits", COUNTER, NULL, OF_BOTH, print_guest, GUEST_WAITS,
	  "Tasks of the guest that started to wait for a page." },
	{ "guest_wakes", COUNTER, NULL, OF_BOTH, print_guest, GUEST_WAKES,
	  "Tasks of the guest that were woken by \"page ready\"." },
	{ "guest_early_wakes", COUNTER, NULL, OF_BOTH, print_guest, GUEST_EARLY_WAKES,
	  "\"Page ready\" notifications that came before the task slept." },
	{ "guest_rescues", COUNTER, NULL, OF_BOTH, print_guest, GUEST_RESCUES,
	  "Tasks woken because \"page ready\" did not come in time." },
	{ "guest_unknown_tokens", COUNTER, NULL, OF_BOTH, print_guest, GUEST_UNKNOWN_TOKENS,
	  "\"Page ready\" notifications for a page for which no task waits." },
	{ "guest_interrupts_lost", COUNTER, NULL, OF_BOTH, print_guest, GUEST_STUCK,
	  "Lost \"page ready\" interrupts whose events the guest handled later." },
	{ "guest_stuck", COUNTER, NULL, OF_BOTH, print_guest, GUEST_STUCK,
	  "Lost \"page ready\" interrupts whose events the guest handled later.",
	  "apf_guest_interrupts_lost_total" },
};
/* clang-format on */

static void print_family_head(const struct out *o, const struct family *f)
{
	const char *prefix = o->scope == OF_VCPU ? "apf_vcpu_" : "apf_";
	/* The name of a counter's family has no "_total" in OpenMetrics, but in the older format.
	 */
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
	if (f->instead)
		fprintf(o->file, " Deprecated: use %s.", f->instead);
	fputc('\n', o->file);
}

/* The labels of @vm or @vcpu, allocated; NULL if out of memory. */
static char *labels_new(const struct vm *vm, const struct vcpu *vcpu)
{
	_cleanup_free_ char *uuid = label_new("uuid", vm->uuid);
	char *labels = NULL;

	if (!uuid || !vcpu)
		return TAKE_PTR(uuid);
	return asprintf(&labels, "%s,vcpu=\"%u\"", uuid, vcpu->index) < 0 ? NULL : labels;
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
			.labels = labels_new(vm, NULL),
			.vm = vm,
			.state = vm->state,
			.counters = &vm->counters,
			.async = &vm->async,
			.sync = &vm->sync,
			.guest = &vm->guest,
			.outstanding = vm->outstanding,
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
				.labels = labels_new(vm, vcpu),
				.vm = vm,
				.vcpu = vcpu,
				.state = vcpu->state,
				.counters = &vcpu->counters,
				.async = &vcpu->async,
				.sync = &vcpu->sync,
				.guest = &vcpu->guest,
				.outstanding = vcpu->outstanding,
			};
			if (!ret->list[ret->n - 1].labels)
				return -ENOMEM;
		}
	}
	return 0;
}

static bool is_wanted(const struct out *o, const struct family *f)
{
	if (!(f->scopes & o->scope) || (f->instead && o->data->current_only))
		return false;
	return o->data->host || f->print == print_up;
}

/* @subjects: NULL for the host. */
static void print_families(const struct out *o, const struct family *all, size_t n,
			   const struct subjects *subjects)
{
	for (size_t i = 0; i < n; i++) {
		const struct family *f = &all[i];

		if (!is_wanted(o, f))
			continue;
		print_family_head(o, f);
		if (!subjects)
			f->print(o, f, NULL);
		for (size_t k = 0; subjects && k < subjects->n; k++)
			f->print(o, f, &subjects->list[k]);
	}
}

static void print_scope(struct out *o, enum scope scope, const struct subjects *subjects)
{
	o->scope = scope;
	print_families(o, families, ELEMENTSOF(families), subjects);
	print_families(o, memory_families, n_memory_families, subjects);
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
	print_scope(&o, OF_HOST, NULL);
	if (data->host) {
		print_scope(&o, OF_VM, &vms);
		if (data->vcpus)
			print_scope(&o, OF_VCPU, &vcpus);
	}
	if (data->print_more)
		data->print_more(file, format);
	if (format == OPENMETRICS_1_0)
		fputs("# EOF\n", file);
	return 0;
}
