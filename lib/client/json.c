// SPDX-License-Identifier: GPL-2.0
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "status.h"

int json_add(struct json_object *object, const char *key, struct json_object *value)
{
	if (!value || json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int json_append(struct json_object *array, struct json_object *value)
{
	if (!value || json_object_array_add(array, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

int json_add_null(struct json_object *object, const char *key)
{
	return json_object_object_add(object, key, NULL) < 0 ? -ENOMEM : 0;
}

int json_add_double(struct json_object *object, const char *key, double value)
{
	char text[32];

	if (!isfinite(value))
		return json_add_null(object, key);
	/* Whole numbers, for example bytes, with all digits. */
	snprintf(text, sizeof(text), value == rint(value) && fabs(value) < 1e15 ? "%.0f" : "%.6g",
		 value);
	return json_add(object, key, json_object_new_double_s(value, text));
}

int json_add_string(struct json_object *object, const char *key, const char *value)
{
	return json_add(object, key, json_object_new_string(value));
}

int json_add_optional(struct json_object *object, const char *key, const char *value)
{
	return value ? json_add_string(object, key, value) : json_add_null(object, key);
}

int json_add_uint(struct json_object *object, const char *key, uint64_t value)
{
	return json_add(object, key, json_object_new_uint64(value));
}

int json_add_bool(struct json_object *object, const char *key, bool value)
{
	return json_add(object, key, json_object_new_boolean(value));
}

/* Adds null if @known is false. */
static int json_add_known(struct json_object *object, bool known, const char *key, uint64_t value)
{
	return known ? json_add_uint(object, key, value) : json_add_null(object, key);
}

static int json_add_known_double(struct json_object *object, bool known, const char *key,
				 double value)
{
	return known ? json_add_double(object, key, value) : json_add_null(object, key);
}

/* A counter is null if it cannot be counted on the host's kernel. */
static struct json_object *json_counters(const struct counters *counters)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	for (unsigned int i = 0; i < _COUNTER_MAX; i++)
		if (json_add_known(object, counter_known(counters, i), counter_names[i].json,
				   counters->value[i]) < 0)
			return NULL;
	return TAKE_PTR(object);
}

static struct json_object *json_histogram(const struct histogram *histogram)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (unsigned int i = 0; i < histogram->n; i++)
		if (json_append(array, json_object_new_uint64(histogram->bucket[i])) < 0)
			return NULL;
	return TAKE_PTR(array);
}

static struct json_object *json_strings(char *const *strings)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (; strings && *strings; strings++)
		if (json_append(array, json_object_new_string(*strings)) < 0)
			return NULL;
	return TAKE_PTR(array);
}

int json_add_guest_report(struct json_object *object, const char *key,
			  const struct guest_report *report)
{
	_cleanup_(json_putp) struct json_object *figures = NULL;

	if (!report->present)
		return json_add_null(object, key);
	figures = json_object_new_object();
	if (!figures)
		return -ENOMEM;
	for (unsigned int i = 0; i < _GUEST_MAX; i++) {
		/* A sum has no age: its reports were seen at different times. */
		if (i == GUEST_AGE_MSEC && !guest_figure_known(report, i))
			continue;
		if (json_add_known(figures, guest_figure_known(report, i), guest_keys[i].json,
				   report->figures[i]) < 0)
			return -ENOMEM;
	}
	return json_add(object, key, TAKE_PTR(figures));
}

int json_add_vcpus(struct json_object *object, const char *key, const struct vcpu_list *vcpus)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return -ENOMEM;
	for (uint32_t i = 0; i <= VCPU_INDEX_MAX; i++)
		if (vcpus->member[i] && json_append(array, json_object_new_uint64(i)) < 0)
			return -ENOMEM;
	return json_add(object, key, TAKE_PTR(array));
}

int json_add_figures(struct json_object *object, const char *key, const struct figures *figures)
{
	_cleanup_(json_putp) struct json_object *all = json_object_new_object();

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < figures->n; i++)
		if (json_add_double(all, figures->all[i].name, figures->all[i].value) < 0)
			return -ENOMEM;
	return json_add(object, key, TAKE_PTR(all));
}

int json_add_pressure(struct json_object *object, const char *key, const struct pressure *pressure)
{
	_cleanup_(json_putp) struct json_object *all = json_object_new_object();

	if (!all)
		return -ENOMEM;
	for (unsigned int i = 0; i <= PRESSURE_FIGURE_MAX; i++) {
		double value = pressure->known[i] ? pressure->figures[i] : NAN;

		if (json_add_double(all, pressure_keys[i], value) < 0)
			return -ENOMEM;
	}
	return json_add(object, key, TAKE_PTR(all));
}

static int add_memory(struct json_object *object, const char *key,
		      const struct memory_figures *memory, const struct figure_name *names,
		      size_t n)
{
	_cleanup_(json_putp) struct json_object *all = json_object_new_object();

	if (!all)
		return -ENOMEM;
	for (unsigned int i = 0; i < n; i++)
		if (json_add_known(all, memory_figure_known(memory, i), names[i].json,
				   memory->value[i]) < 0)
			return -ENOMEM;
	return json_add(object, key, TAKE_PTR(all));
}

static int add_host_pressure(struct json_object *object, const struct host_pressure_figures *p)
{
	_cleanup_(json_putp) struct json_object *all = json_object_new_object();

	if (!all)
		return -ENOMEM;
	for (unsigned int i = 0; i < _HOST_PRESSURE_MAX; i++)
		if (json_add_known_double(all, p->known & (1U << i), host_pressure_names[i].json,
					  p->value[i]) < 0)
			return -ENOMEM;
	return json_add(object, "pressure", TAKE_PTR(all));
}

static int add_nodes(struct json_object *object, const char *key, const struct nodes_memory *nodes,
		     bool with_free)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < nodes->n; i++) {
		_cleanup_(json_putp) struct json_object *node = json_object_new_object();
		int r = 0;

		if (!node)
			return -ENOMEM;
		r |= json_add_uint(node, "node", nodes->all[i].node);
		r |= json_add_uint(node, "bytes", nodes->all[i].bytes);
		if (with_free)
			r |= json_add_uint(node, "free_bytes", nodes->all[i].free_bytes);
		if (r < 0 || json_append(array, TAKE_PTR(node)) < 0)
			return -ENOMEM;
	}
	return json_add(object, key, TAKE_PTR(array));
}

static int add_auto_recall(struct json_object *object, const struct auto_recall *a)
{
	_cleanup_(json_putp) struct json_object *state = NULL;

	if (!a->state)
		return json_add_null(object, "auto_recall");
	state = json_object_new_object();
	if (!state || json_add_string(state, "state", a->state) < 0 ||
	    json_add_string(state, "reason", a->reason ?: "") < 0)
		return -ENOMEM;
	return json_add(object, "auto_recall", TAKE_PTR(state));
}

static struct json_object *json_vcpu_modes(const struct vcpu_modes *modes)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < modes->n; i++) {
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();

		if (!object || json_add_uint(object, "index", modes->all[i].index) < 0 ||
		    json_add_string(object, "mode", modes->all[i].mode) < 0 ||
		    json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

static int add_mode(struct json_object *object, const struct vm *vm)
{
	int r = 0;

	r |= json_add_optional(object, "mode", vm->mode);
	r |= json_add_optional(object, "mode_source", vm->mode_source);
	r |= json_add(object, "vcpu_modes", json_vcpu_modes(&vm->vcpu_modes));
	return r;
}

static int add_vm(struct json_object *object, const struct vm *vm)
{
	int r = 0;

	r |= json_add_string(object, "name", vm->name);
	r |= json_add_string(object, "uuid", vm->uuid);
	r |= json_add_known(object, vm->libvirt_id >= 0, "libvirt_id", (uint64_t)vm->libvirt_id);
	r |= json_add_known(object, vm->pid > 0, "pid", vm->pid);
	r |= json_add_bool(object, "watched", vm->watched);
	r |= json_add_known(object, vm->watched, "since_usec", vm->since_usec);
	r |= json_add_string(object, "state", vm->state);
	r |= json_add(object, "vcpu_states", json_strings(vm->vcpu_states));
	r |= json_add_known(object, vm_swapped_known(vm), "swapped_bytes", vm->swapped_bytes);
	r |= json_add_optional(object, "swapped_source", vm->swapped_source);
	r |= json_add_known(object, vm->watched && vm->outstanding.known, "outstanding_pages",
			    vm->outstanding.pages);
	r |= json_add_known_double(object, vm->watched, "async_swapins_per_sec", vm->async_per_sec);
	r |= json_add_known_double(object, vm->watched, "sync_swapins_per_sec", vm->sync_per_sec);
	r |= json_add_known(object, vm->watched && vm->latency_known, "latency_p50_usec",
			    vm->p50_usec);
	r |= json_add_known(object, vm->watched && vm->latency_known, "latency_p95_usec",
			    vm->p95_usec);
	r |= json_add_known_double(object, vm->watched, "stall_ratio", vm->stall_ratio);
	r |= json_add_known_double(object, vm->watched, "saved_ratio", vm->saved_ratio);
	r |= json_add_string(object, "guest_module", vm->guest_module);
	r |= json_add_guest_report(object, "guest_report", &vm->guest);
	r |= json_add_vcpus(object, "paused_vcpus", &vm->paused_vcpus);
	r |= add_mode(object, vm);
	r |= json_add_pressure(object, "pressure", &vm->pressure);
	r |= json_add_known_double(object, vm->watched, "peak_stall_ratio", vm->peak_stall_ratio);
	r |= json_add_known(object, vm->watched && vm->peak_latency_usec != UINT64_MAX,
			    "peak_latency_usec", vm->peak_latency_usec);
	r |= add_memory(object, "memory", &vm->memory, vm_memory_names, _VM_MEMORY_MAX);
	r |= add_nodes(object, "memory_nodes", &vm->nodes, false);
	r |= add_auto_recall(object, &vm->auto_recall);
	r |= json_add_optional(object, "cgroup", vm->cgroup);
	r |= json_add_optional(object, "manager", vm->manager);
	r |= json_add_optional(object, "id", vm->id);
	r |= json_add_optional(object, "vmm", vm->vmm);
	r |= json_add_optional(object, "executable", vm->executable);
	return r;
}

struct json_object *json_vm(const struct vm *vm)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();

	if (!object || add_vm(object, vm) < 0)
		return NULL;
	return TAKE_PTR(object);
}

/* A histogram without buckets is not counted. */
static int add_histogram(struct json_object *object, const char *key,
			 const struct histogram *histogram)
{
	return histogram->n > 0 ? json_add(object, key, json_histogram(histogram))
				: json_add_null(object, key);
}

static int add_histograms(struct json_object *object, const struct counters *counters,
			  const struct histogram *async, const struct histogram *sync)
{
	int r = 0;

	r |= json_add(object, "counters", json_counters(counters));
	r |= add_histogram(object, "async_histogram_log2_usec", async);
	r |= add_histogram(object, "sync_histogram_log2_usec", sync);
	return r;
}

static struct json_object *json_vcpu(const struct vcpu *vcpu)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	int r = 0;

	if (!object)
		return NULL;
	r |= json_add_uint(object, "index", vcpu->index);
	r |= json_add_uint(object, "vcpu_id", vcpu->vcpu_id);
	r |= json_add_string(object, "state", vcpu->state);
	r |= json_add_string(object, "guest_apf", vcpu->guest_apf);
	r |= json_add_bool(object, "paused", vcpu->paused);
	r |= json_add_guest_report(object, "guest_report", &vcpu->guest);
	r |= json_add_known(object, vcpu->outstanding.known, "outstanding_pages",
			    vcpu->outstanding.pages);
	r |= add_histograms(object, &vcpu->counters, &vcpu->async, &vcpu->sync);
	return r < 0 ? NULL : TAKE_PTR(object);
}

static struct json_object *json_vcpus(const struct vcpu_array *vcpus)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < vcpus->n; i++)
		if (json_append(array, json_vcpu(&vcpus->vcpus[i])) < 0)
			return NULL;
	return TAKE_PTR(array);
}

static struct json_object *json_findings(const struct finding *findings, size_t n_findings)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < n_findings; i++) {
		const struct diag_note_row *note = &diag_notes[findings[i].note];
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();

		if (!object || json_add_string(object, "id", note->id) < 0 ||
		    json_add_string(object, "check", diag_checks[note->check].name) < 0 ||
		    json_add_string(object, "text", findings[i].text) < 0 ||
		    json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

static struct json_object *json_swap(const struct swap_devices *devices)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < devices->n; i++) {
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();
		const struct swap_device *device = &devices->all[i];
		int r = 0;

		if (!object)
			return NULL;
		r |= json_add_string(object, "path", device->path);
		r |= json_add_string(object, "kind", device->kind);
		r |= json_add_uint(object, "size_bytes", device->size_bytes);
		r |= json_add_uint(object, "used_bytes", device->used_bytes);
		r |= json_add_uint(object, "reads", device->reads);
		r |= json_add_uint(object, "read_latency_usec", device->read_latency_usec);
		r |= json_add_known(object, device->read_usec != UINT64_MAX, "read_usec",
				    device->read_usec);
		r |= json_add_bool(object, "synchronous", device->synchronous);
		if (r < 0 || json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

static struct json_object *json_hooks(const struct host_hooks *hooks)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < hooks->n; i++) {
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();
		const struct host_hook *hook = &hooks->all[i];
		int r = 0;

		if (!object)
			return NULL;
		r |= json_add_string(object, "name", hook->name);
		r |= json_add_bool(object, "placed", hook->placed);
		r |= json_add_bool(object, "required", hook->required);
		r |= json_add_string(object, "on", hook->on);
		r |= json_add_optional(object, "error", hook->error[0] ? hook->error : NULL);
		r |= json_add(object, "takes", json_strings(hook->takes));
		if (r < 0 || json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

struct json_object *json_host(const struct host *host)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	int r = 0;

	if (!object)
		return NULL;
	r |= json_add_string(object, "apfd_version", host->version);
	r |= json_add_string(object, "host_module", host->host_module);
	if (host->host_module_version[0] != '\0')
		r |= json_add_string(object, "host_module_version", host->host_module_version);
	else
		r |= json_add_null(object, "host_module_version");
	r |= json_add_string(object, "nowait_swapin", host->nowait_swapin);
	r |= json_add_bool(object, "nested_guard", host->nested_guard);
	r |= json_add_string(object, "libvirt", host->libvirt);
	r |= json_add_string(object, "libvirt_uri", host->libvirt_uri);
	r |= json_add(object, "config_files", json_strings(host->config_files));
	r |= json_add_optional(object, "config_error", host->config_error);
	r |= json_add_bool(object, "dry_run", host->dry_run);
	if (host->swap.known)
		r |= json_add(object, "swap", json_swap(&host->swap));
	else
		r |= json_add_null(object, "swap");
	if (host->hooks.known)
		r |= json_add(object, "hooks", json_hooks(&host->hooks));
	else
		r |= json_add_null(object, "hooks");
	r |= json_add_optional(object, "memory_state", host->memory_state);
	r |= add_memory(object, "memory", &host->memory, host_memory_names, _HOST_MEMORY_MAX);
	r |= add_host_pressure(object, &host->pressure);
	r |= add_nodes(object, "memory_nodes", &host->nodes, true);
	r |= add_auto_recall(object, &host->auto_recall);
	return r < 0 ? NULL : TAKE_PTR(object);
}

struct json_object *json_status(const struct host *host, const struct vm *vm,
				const struct vcpu_array *vcpus, const struct finding *findings,
				size_t n_findings)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	int r = 0;

	if (!object)
		return NULL;
	r |= add_vm(object, vm);
	if (vm->watched) {
		r |= add_histograms(object, &vm->counters, &vm->async, &vm->sync);
	} else {
		r |= json_add_null(object, "counters");
		r |= json_add_null(object, "async_histogram_log2_usec");
		r |= json_add_null(object, "sync_histogram_log2_usec");
	}
	if (vcpus)
		r |= json_add(object, "vcpus", json_vcpus(vcpus));
	else
		r |= json_add_null(object, "vcpus");
	r |= json_add(object, "findings", json_findings(findings, n_findings));
	r |= json_add(object, "host", json_host(host));
	return r < 0 ? NULL : TAKE_PTR(object);
}

static struct json_object *json_explanations(const struct explanations *explanations)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < explanations->n; i++) {
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();
		const struct explanation *e = &explanations->all[i];
		int r = 0;

		if (!object)
			return NULL;
		r |= json_add_uint(object, "index", e->index);
		r |= json_add_string(object, "mode", e->mode);
		r |= json_add_string(object, "state", e->state);
		r |= json_add_known(object, e->since_usec > 0, "since_usec", e->since_usec);
		r |= json_add_string(object, "rule", e->rule);
		r |= json_add_string(object, "reason", e->reason);
		r |= json_add_figures(object, "inputs", &e->inputs);
		if (r < 0 || json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

static struct json_object *json_decisions(const struct decisions *decisions)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (size_t i = 0; i < decisions->n; i++) {
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();
		const struct decision *d = &decisions->all[i];
		int r = 0;

		if (!object)
			return NULL;
		r |= json_add_uint(object, "time_usec", d->time_usec);
		r |= json_add_vcpus(object, "vcpus", &d->vcpus);
		r |= json_add_string(object, "state", d->state);
		r |= json_add_string(object, "rule", d->rule);
		r |= json_add_string(object, "reason", d->reason);
		r |= json_add_figures(object, "inputs", &d->inputs);
		r |= json_add_bool(object, "dry_run", d->dry_run);
		if (r < 0 || json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

struct json_object *json_why(const struct vm *vm, const struct explanations *explanations,
			     const struct decisions *decisions)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	int r = 0;

	if (!object)
		return NULL;
	r |= json_add_string(object, "name", vm->name);
	r |= json_add_string(object, "uuid", vm->uuid);
	r |= add_mode(object, vm);
	r |= add_auto_recall(object, &vm->auto_recall);
	r |= json_add(object, "vcpus", json_explanations(explanations));
	r |= json_add(object, "decisions", json_decisions(decisions));
	return r < 0 ? NULL : TAKE_PTR(object);
}

int json_print(struct json_object *object, bool one_line)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
		    (one_line ? JSON_C_TO_STRING_PLAIN
			      : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
	const char *text = object ? json_object_to_json_string_ext(object, flags) : NULL;

	if (!text)
		return status_fail(STATUS_FAILED, "out of memory");
	puts(text);
	return STATUS_OK;
}
