/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Collects the input of doctor-host.c and doctor-vm.c. cmdline.c reads the command line of a VM's
 * process, and libvirt's thread reads the VM's XML; the diagnosis waits for both, for a few
 * seconds at most.
 */
#ifndef APFD_DOCTOR_H
#define APFD_DOCTOR_H

#include <stdint.h>

#include "diagnosis.h"
#include "util.h"

struct context;
struct doctor;
struct vm;

/**
 * typedef doctor_done - receives the diagnosis of a VM; called once for each doctor_ask_vm() that
 *	returns 0, maybe before doctor_ask_vm() returns
 * @diagnosis: NULL on failure
 * @error: -ESRCH: the VM has ended; -ECANCELED: doctor_free(); -ENOMEM
 */
typedef void (*doctor_done)(const char *uuid, const struct diagnosis *diagnosis, int error,
			    void *userdata);

int doctor_new(struct context *c, struct doctor **ret);
struct doctor *doctor_free(struct doctor *d);
APF_DEFINE_CLEANUP(struct doctor *, doctor_free);

/* doctor_ask_host: makes the diagnosis of the host at once. @ret must be empty. */
void doctor_ask_host(struct doctor *d, struct diagnosis *ret);

/* doctor_ask_vm: @done follows. 0; -EBUSY: too many diagnoses are pending; -ENOMEM. */
int doctor_ask_vm(struct doctor *d, const struct vm *vm, doctor_done done, void *userdata);

/* doctor_xml: takes the result of virt_read_xml(); XML that could not be read is NULL. */
void doctor_xml(struct doctor *d, uint64_t cookie, const char *live, const char *config);

#endif /* APFD_DOCTOR_H */
