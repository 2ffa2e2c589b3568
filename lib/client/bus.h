/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls to apfd, one function for each method. All functions return an exit status.
 */
#ifndef APFCTL_BUS_H
#define APFCTL_BUS_H

#include "check.h"
#include "client.h"
#include "decision.h"
#include "names.h"
#include "stored.h"
#include "vm.h"

/*
 * Report that a call about @subject failed ("" if the call is about no VM), or that a message
 * about @subject cannot be read because of property @bad (NULL if unknown).
 */
int bus_fail_call(struct client *client, const char *subject, const sd_bus_error *error, int r);
int bus_fail_message(struct client *client, const char *subject, const char *bad, int r);

/* Creates the call that lists all VMs. @is_old: for an apfd without ListVMs(). 0 or -errno. */
int bus_new_list(sd_bus *bus, bool is_old, sd_bus_message **ret_m);

/* True if @error, the reply to that call, means that apfd has no ListVMs(). */
bool bus_list_is_old(const sd_bus_error *error);

/* Connects to the system bus (DBUS_SYSTEM_BUS_ADDRESS), unless already connected. */
int bus_open(struct client *client);

/**
 * bus_find_vm() - looks up a VM with GetVM()
 * @vm: name, UUID or id
 * @ret_path: D-Bus object of the VM; the caller frees it
 */
int bus_find_vm(struct client *client, const char *vm, char **ret_path);

int bus_read_host(struct client *client, struct host *host);

/* The same, but does not start apfd, and waits at most two seconds. */
int bus_peek_host(struct client *client, struct host *host);

int bus_read_vms(struct client *client, struct vm_list *list);
int bus_list_stored(struct client *client, struct stored_rows *rows);
int bus_read_vm(struct client *client, const char *name, const char *path, struct vm *vm);

/**
 * bus_read_vcpus() - per-vCPU figures
 * @ret_available: false if apfd has no figures, because the module is absent or does
 *	not watch the VM; this is not a failure
 */
int bus_read_vcpus(struct client *client, const char *name, const char *path,
		   struct vcpu_array *vcpus, bool *ret_available);

int bus_read_explanations(struct client *client, const char *name, const char *path,
			  struct explanations *explanations);
int bus_read_decisions(struct client *client, const char *name, const char *path,
		       struct decisions *decisions);

/**
 * struct mode_change - a change of the mode
 * @mode: name of the mode on the bus
 * @vcpus: vCPUs to change; if empty, the whole VM
 * @persistent: also for later starts of the VM
 */
struct mode_change {
	const char *mode;
	const struct vcpu_list *vcpus;
	bool persistent;
};

/*
 * Sets the mode of the VM. A mode that is the name of a state also works with an old apfd, which
 * has no modes.
 */
int bus_set_mode(struct client *client, const char *name, const char *path,
		 const struct mode_change *change);

/* Creates the message that bus_set_mode() sends, for a caller that sends it asynchronously. */
int bus_new_set_mode(struct client *client, const char *path, const struct mode_change *change,
		     sd_bus_message **ret_m);

/**
 * bus_recall() - starts to bring the memory of the VM back from swap
 * @rate_bytes: at most so many bytes a second; UINT64_MAX: no limit; 0: as configured
 * @ret_path: D-Bus object of the recall; the caller frees it
 */
int bus_recall(struct client *client, const char *name, const char *path, uint64_t rate_bytes,
	       char **ret_path);
int bus_cancel_recall(struct client *client, const char *name, const char *path);

/* Whether the recall is under way; true, too, if apfd does not answer. */
bool bus_recall_is_there(struct client *client, const char *path);

/* Lets apfd read its configuration again. */
int bus_reload(struct client *client);

/* Removes the stored settings in @file, of the VM that the user calls @name. */
int bus_forget(struct client *client, const char *name, const char *file);

/* Calls Diagnose() of @interface on the object at @path. */
int bus_diagnose(struct client *client, const char *subject, const char *path,
		 const char *interface, struct check_list *list);

#endif
