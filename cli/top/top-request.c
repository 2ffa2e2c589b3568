// SPDX-License-Identifier: GPL-2.0
#include "top-request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "automatic.h"
#include "bus.h"
#include "format.h"
#include "top-draw.h"
#include "top-state.h"

#define NSEC_PER_SEC 1000000000ULL

static uint64_t now_nsec(void)
{
	struct timespec now = {};

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* ---- requests to apfd ---- */

static bool is_apfd_missing(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY);
}

/* Returns true if the call succeeded; otherwise handles the error. */
static bool reply_ok(struct top *top, sd_bus_message *m, const char *subject)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);

	top->apfd_missing = error && is_apfd_missing(error);
	if (!error)
		return true;
	if (!top->apfd_missing) {
		bus_fail_call(&top->ctl->client, subject, error, -sd_bus_message_get_errno(m));
		top_set_failure_message(top);
	}
	return false;
}

static int on_vms(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(vm_list_clear) struct vm_list vms = {};
	struct top *top = userdata;
	const char *bad = NULL;
	bool was_missing = top->apfd_missing;
	int r;

	top->vms_slot = sd_bus_slot_unref(top->vms_slot);
	if (!top->apfd_is_old && bus_list_is_old(sd_bus_message_get_error(m))) {
		top->apfd_is_old = true;
		top_request_vms(top);
		return 0;
	}
	if (reply_ok(top, m, "")) {
		r = vm_list_read(m, &vms, &bad);
		if (r < 0) {
			top_end(top, bus_fail_message(&top->ctl->client, "a VM", bad, r));
			return 0;
		}
		vm_filter_apply(&top->view->filter, &vms);
		/*
		 * An apfd that has just started has not found its VMs yet: keep the old list
		 * instead of an empty one.
		 */
		if (!was_missing || vms.n > 0 || top->vms.n == 0) {
			vm_list_clear(&top->vms);
			top->vms = vms;
			vms = (struct vm_list){};
			top_order_vms(top);
		}
	}
	top_draw(top);
	return 0;
}

/* The host's line is worth no error message: without an answer it disappears. */
static int on_host(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	struct top *top = userdata;
	const char *bad = NULL;

	top->host_slot = sd_bus_slot_unref(top->host_slot);
	host_clear(&top->host);
	if (!sd_bus_message_get_error(m) && host_read(m, &top->host, &bad) < 0)
		host_clear(&top->host);
	top_draw(top);
	return 0;
}

static int on_vcpus(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	_cleanup_(vcpu_array_clear) struct vcpu_array vcpus = {};
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct top *top = userdata;
	const char *bad = NULL;
	int r;

	top->vcpus_slot = sd_bus_slot_unref(top->vcpus_slot);
	if (error) {
		top->no_vcpus = sd_bus_error_has_name(error, BUS_ERROR_NO_HOST_MODULE) ||
				sd_bus_error_has_name(error, BUS_ERROR_NOT_WATCHED);
		top_draw(top);
		return 0;
	}
	r = vcpu_array_read(m, &vcpus, &bad);
	if (r < 0) {
		top_end(top, bus_fail_message(&top->ctl->client, "the vCPUs", bad, r));
		return 0;
	}
	/* The rows point into top->vcpus, which becomes top->before. */
	vcpu_array_clear(&top->before);
	top->before = top->vcpus;
	top->before_nsec = top->vcpus_nsec ?: now_nsec();
	top->vcpus = vcpus;
	vcpus = (struct vcpu_array){};
	top->vcpus_nsec = now_nsec();
	top->no_vcpus = false;
	top_order_vcpus(top);
	top_draw(top);
	return 0;
}

/* Sends @m, unless making it failed with @r. */
static int send_request(struct top *top, sd_bus_slot **slot, sd_bus_message *m, int r,
			sd_bus_message_handler_t handler)
{
	/* Watching must not start an apfd that an administrator stopped. */
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0)
		r = sd_bus_call_async(top->ctl->client.bus, slot, m, handler, top, 0);
	if (r < 0)
		top_end(top, status_fail(STATUS_FAILED, "top: cannot call apfd: %s", strerror(-r)));
	return r;
}

/* While the last request has no reply yet, apfd is slow, and more requests do not help. */

int top_request_vms(struct top *top)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (top->vms_slot)
		return 0;
	r = bus_new_list(top->ctl->client.bus, top->apfd_is_old, &m);
	return send_request(top, &top->vms_slot, m, r, on_vms);
}

void top_request_host(struct top *top)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (top->host_slot)
		return;
	r = sd_bus_message_new_method_call(top->ctl->client.bus, &m, BUS_NAME, BUS_PATH_ROOT,
					   "org.freedesktop.DBus.Properties", "GetAll");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", BUS_INTERFACE_MANAGER);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	/* If the bus is gone, the request for the VMs says so. */
	if (r >= 0)
		(void)sd_bus_call_async(top->ctl->client.bus, &top->host_slot, m, on_host, top, 0);
}

int top_request_vcpus(struct top *top)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (top->vcpus_slot || top->page != PAGE_VCPUS || top->path[0] == '\0')
		return 0;
	r = sd_bus_message_new_method_call(top->ctl->client.bus, &m, BUS_NAME, top->path,
					   BUS_INTERFACE_VM, "GetVCPUs");
	return send_request(top, &top->vcpus_slot, m, r, on_vcpus);
}

/* ---- changes ---- */

static const char *chosen_name(const struct top *top)
{
	const struct vm *vm = top_chosen_vm(top);

	return vm ? vm_label(vm) : "";
}

/* The vCPU to change, -1 for the whole VM. */
static int chosen_vcpu(const struct top *top)
{
	if (top->page != PAGE_VCPUS || !top->rows || top->choice_vcpus.row >= top->vcpus.n)
		return -1;
	return (int)top->rows[top->choice_vcpus.row].vcpu->index;
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *error = sd_bus_message_get_error(m);
	struct top *top = userdata;

	top->change_slot = sd_bus_slot_unref(top->change_slot);
	/* polkit cannot ask for a password on this screen; "apfctl set" lets it ask. */
	if (error && sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
		top_set_message(top, true,
				"not allowed without a password; 'apfctl set' asks for it");
	else if (reply_ok(top, m, chosen_name(top)))
		top_set_message(top, false, "done");
	else if (top->apfd_missing)
		top_set_message(top, true, "apfd is not running, nothing was changed");
	/* Show the new state at once. */
	top_request_vms(top);
	top_request_vcpus(top);
	top_draw(top);
	return 0;
}

/* The vCPUs of a change; none for the whole VM. */
static struct vcpu_list vcpus_of(int vcpu)
{
	struct vcpu_list vcpus = {};

	if (vcpu >= 0 && vcpu <= VCPU_INDEX_MAX) {
		vcpus.member[vcpu] = true;
		vcpus.n = 1;
	}
	return vcpus;
}

void top_begin_change(struct top *top, const char *mode)
{
	const struct vm *vm = top_chosen_vm(top);
	int vcpu = chosen_vcpu(top);
	const struct vcpu_list vcpus = vcpus_of(vcpu);
	const char *end = "";

	if (!vm)
		return;
	if (strcmp(mode, NAME_AUTO) != 0 && vm_is_automatic(vm, &vcpus))
		end = " (ends automatic control)";
	top->mode = mode;
	top->mode_vcpu = vcpu;
	if (vcpu >= 0)
		top_set_message(top, false, "Set vCPU %d of %s to %s%s? y/n", vcpu,
				chosen_name(top), mode, end);
	else
		top_set_message(top, false, "Set %s to %s%s? y/n", chosen_name(top), mode, end);
}

void top_change_mode(struct top *top)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	const struct vcpu_list vcpus = vcpus_of(top->mode_vcpu);
	const struct mode_change change = { .mode = top->mode, .vcpus = &vcpus };
	int r;

	if (top->change_slot) {
		top_set_message(top, true, "the last change is not finished yet");
		return;
	}
	if (bus_new_set_mode(&top->ctl->client, top->path, &change, &m) != STATUS_OK) {
		top_set_failure_message(top);
		return;
	}
	/* A password question of polkit would overwrite the screen. */
	r = sd_bus_message_set_allow_interactive_authorization(m, false);
	if (r >= 0)
		r = sd_bus_call_async(top->ctl->client.bus, &top->change_slot, m, on_changed, top,
				      0);
	if (r < 0)
		top_set_message(top, true, "cannot call apfd: %s", strerror(-r));
	else
		top_set_message(top, false, "waiting for apfd");
}
