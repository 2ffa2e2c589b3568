// SPDX-License-Identifier: GPL-2.0
#include "status-host.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "field.h"
#include "format.h"
#include "host-summary.h"
#include "json.h"
#include "verb.h"

/* Enough for the states of state_names. */
#define STATES_MAX 8

/**
 * struct sums - figures of all VMs
 * @states: number of VMs in each state of state_names
 * @async_per_sec, @sync_per_sec: sums of the VMs that count them; NAN if none does
 * @most_stalled: NULL if no VM is stalled
 */
struct sums {
	size_t n;
	size_t n_watched;
	size_t states[STATES_MAX];
	uint64_t swapped_bytes;
	double async_per_sec;
	double sync_per_sec;
	const struct vm *most_stalled;
};

static void print_swap(const struct apfctl *ctl, const struct host *host)
{
	for (size_t i = 0; i < host->swap.n; i++) {
		const struct swap_device *device = &host->swap.all[i];
		char used[FORMAT_MAX], size[FORMAT_MAX], latency[FORMAT_MAX];

		field_printf(&ctl->term, "Host swap", "%s (%s), %s of %s used%s%s%s", device->path,
			     device->kind, format_bytes(used, device->used_bytes),
			     format_bytes(size, device->size_bytes),
			     device->read_latency_usec > 0 ? ", reads take " : "",
			     device->read_latency_usec > 0
				     ? format_usec(latency, device->read_latency_usec)
				     : "",
			     device->synchronous ? ", synchronous: APF gains nothing" : "");
	}
}

static void print_config_error(const struct apfctl *ctl, const char *error)
{
	for (; *error; error += error[0] == '\n') {
		size_t len = strcspn(error, "\n");
		_cleanup_free_ char *line = strndup(error, len);

		if (len > 0)
			field_print(&ctl->term, "Config error", STYLE_WARN, line ?: "");
		error += len;
	}
}

void status_print_host(const struct apfctl *ctl, const struct host *host)
{
	host_print_memory(&ctl->term, host);
	print_swap(ctl, host);
	if (host->config_error && host->config_error[0] != '\0')
		print_config_error(ctl, host->config_error);
	if (host->dry_run)
		field_print(&ctl->term, "Dry run", STYLE_WARN,
			    "apfd only reports its decisions and changes nothing");
}

/* A figure that is not counted (NAN) adds nothing; a sum of no figure is NAN. */
static void add_figure(double *sum, double figure)
{
	if (!isnan(figure))
		*sum = (isnan(*sum) ? 0 : *sum) + figure;
}

static void add_vm(struct sums *sums, const struct vm *vm)
{
	sums->n++;
	for (size_t i = 0; i < n_state_names && i < STATES_MAX; i++)
		sums->states[i] += strcmp(vm->state, state_names[i]) == 0;
	if (vm_swapped_known(vm))
		sums->swapped_bytes += vm->swapped_bytes;
	if (!vm->watched)
		return;
	sums->n_watched++;
	add_figure(&sums->async_per_sec, vm->async_per_sec);
	add_figure(&sums->sync_per_sec, vm->sync_per_sec);
	if (vm->stall_ratio > (sums->most_stalled ? sums->most_stalled->stall_ratio : 0))
		sums->most_stalled = vm;
}

static int print_json(const struct host *host, const struct sums *sums)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_(json_putp) struct json_object *states = json_object_new_object();
	int r = 0;

	if (!object || !states)
		return status_fail(STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < n_state_names && i < STATES_MAX; i++)
		r |= json_add_uint(states, state_names[i], sums->states[i]);
	r |= json_add(object, "host", json_host(host));
	r |= json_add_uint(object, "vm_count", sums->n);
	r |= json_add_uint(object, "watched_vm_count", sums->n_watched);
	r |= json_add(object, "vm_count_by_state", TAKE_PTR(states));
	r |= json_add_uint(object, "swapped_bytes", sums->swapped_bytes);
	r |= json_add_double(object, "async_swapins_per_sec", sums->async_per_sec);
	r |= json_add_double(object, "sync_swapins_per_sec", sums->sync_per_sec);
	return r < 0 ? status_fail(STATUS_FAILED, "out of memory") : json_print(object, false);
}

/* The hooks that this kernel does not offer; the figures that need them are not counted. */
static void print_hooks(const struct apfctl *ctl, const struct host *host)
{
	char names[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < host->hooks.n && len < sizeof(names); i++)
		if (!host->hooks.all[i].placed)
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? ", " : "", host->hooks.all[i].name);
	if (len > 0)
		field_print(&ctl->term, "Not placed", STYLE_WARN, names);
}

static void print_files(const struct apfctl *ctl, char *const *files)
{
	for (; files && *files; files++)
		field_print(&ctl->term, "Config file", STYLE_NONE, *files);
}

static void print_sums(const struct apfctl *ctl, const struct sums *sums)
{
	char text[256], a[FORMAT_MAX], b[FORMAT_MAX];
	size_t len;

	len = (size_t)snprintf(text, sizeof(text), "%zu, %zu of them watched", sums->n,
			       sums->n_watched);
	for (size_t i = 0; i < n_state_names && i < STATES_MAX && len < sizeof(text); i++)
		if (sums->states[i] > 0)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "; %zu %s",
						sums->states[i], state_names[i]);
	field_print(&ctl->term, "VMs", STYLE_NONE, text);
	field_print(&ctl->term, "Swapped", STYLE_NONE, format_bytes(a, sums->swapped_bytes));
	field_printf(&ctl->term, "Swap-ins", "%s/s asynchronous, %s/s synchronous",
		     format_rate(a, sums->async_per_sec), format_rate(b, sums->sync_per_sec));
	if (sums->most_stalled)
		field_printf(&ctl->term, "Most stalled", "%s, %s", vm_label(sums->most_stalled),
			     format_share(a, sums->most_stalled->stall_ratio));
}

static void print_text(const struct apfctl *ctl, const struct host *host, const struct sums *sums)
{
	field_print(&ctl->term, "apfd", STYLE_HEADER, host->version);
	if (host->host_module_version[0] != '\0')
		field_printf(&ctl->term, "apf_host", "%s %s", host->host_module,
			     host->host_module_version);
	else
		field_print(&ctl->term, "apf_host", STYLE_WARN, host->host_module);
	print_hooks(ctl, host);
	field_print(&ctl->term, "No-wait", STYLE_NONE, host->nowait_swapin);
	field_print(&ctl->term, "Nested guard", STYLE_NONE, host->nested_guard ? "on" : "off");
	field_printf(&ctl->term, "libvirt", "%s (%s)", host->libvirt, host->libvirt_uri);
	print_files(ctl, host->config_files);
	status_print_host(ctl, host);
	field_print_auto_recall(&ctl->term, &host->auto_recall);
	print_sums(ctl, sums);
}

int status_show_host(struct apfctl *ctl)
{
	_cleanup_(vm_list_clear) struct vm_list list = {};
	_cleanup_(host_clear) struct host host = {};
	struct sums sums = { .async_per_sec = NAN, .sync_per_sec = NAN };
	int status;

	status = bus_read_host(&ctl->client, &host);
	if (status == STATUS_OK)
		status = bus_read_vms(&ctl->client, &list);
	if (status != STATUS_OK)
		return status;
	for (size_t i = 0; i < list.n; i++)
		add_vm(&sums, &list.vms[i]);
	if (ctl->json)
		return print_json(&host, &sums);
	print_text(ctl, &host, &sums);
	return STATUS_OK;
}
