/* SPDX-License-Identifier: GPL-2.0 */
/* State of the full-screen "top": data read from apfd, and the user's choices. */
#ifndef APFCTL_TOP_STATE_H
#define APFCTL_TOP_STATE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "apfctl.h"
#include "top.h"
#include "vm.h"

enum page {
	PAGE_VMS,
	PAGE_VCPUS,
	PAGE_LATENCY,
	PAGE_HELP,
};

/**
 * struct choice - sort order, chosen row and scroll position of a table
 * @first: row shown in the first line
 */
struct choice {
	struct ordering by;
	size_t row;
	size_t first;
};

/**
 * struct top - state of the full-screen "top"
 * @view: belongs to the caller
 * @back: page to return to from the help page
 * @path: D-Bus object of the chosen VM, "" if there is none
 * @vcpus, @vcpus_nsec: vCPUs of the chosen VM, and when they were read, CLOCK_MONOTONIC
 * @before, @before_nsec: the previous @vcpus and @vcpus_nsec
 * @no_vcpus: apfd has no figures for the vCPUs
 * @rows: rows of the vCPU table, in display order
 * @apfd_missing: apfd is not on the bus
 * @apfd_is_old: apfd has no ListVMs()
 * @host: figures of the host; empty until the first reply
 * @message: shown above the keys; allocated
 * @mode: mode to set if the user answers yes; NULL if there is no question
 * @mode_vcpu: vCPU to set @mode for, -1 for the whole VM
 */
struct top {
	struct apfctl *ctl;
	const struct top_view *view;
	sd_event *event;
	sigset_t mask_before;
	sd_event_source *timer;
	sd_bus_slot *vms_slot;
	sd_bus_slot *host_slot;
	sd_bus_slot *vcpus_slot;
	sd_bus_slot *change_slot;
	enum page page;
	enum page back;
	struct vm_list vms;
	struct choice choice_vms;
	struct choice choice_vcpus;
	size_t first_line;
	char *path;
	struct vcpu_array vcpus, before;
	uint64_t vcpus_nsec, before_nsec;
	bool no_vcpus;
	struct top_vcpu *rows;
	size_t n_rows;
	bool apfd_missing;
	bool apfd_is_old;
	struct host host;
	char *message;
	bool message_bad;
	const char *mode;
	int mode_vcpu;
	int status;
};

/* End the program with @status, or because memory ran out. */
void top_end(struct top *top, int status);
void top_end_oom(struct top *top);

/* Sets the message above the keys. */
void top_set_message(struct top *top, bool bad, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Shows the error message of status_fail() above the keys. */
void top_set_failure_message(struct top *top);

/* The chosen VM; NULL if there are no VMs. */
const struct vm *top_chosen_vm(const struct top *top);

/* Chooses the VM in @row of the table. */
void top_choose_vm(struct top *top, size_t row);

/* Drops the vCPUs read so far, and the request for them. */
void top_clear_vcpus(struct top *top);

/* Sort the tables again; the chosen VM or vCPU stays chosen. */
void top_order_vms(struct top *top);
void top_order_vcpus(struct top *top);

#endif
