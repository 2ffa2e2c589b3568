/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Diagnose() on the bus: gathers what doctor-host.c and doctor-vm.c need, and
 * answers. A VM's XML is fetched by libvirt's thread, the command line of its process
 * by one of cmdline.c; an answer waits for them, but not for long.
 */
#ifndef APFD_DOCTOR_H
#define APFD_DOCTOR_H

#include <systemd/sd-bus.h>

#include "util.h"

struct doctor;
struct manager;
struct vm;

int doctor_new(struct manager *m, struct doctor **ret);

/* doctor_free: those who still wait get no answer. */
struct doctor *doctor_free(struct doctor *d);
APF_DEFINE_CLEANUP(struct doctor *, doctor_free);

/* Bodies of the two methods; as sd-bus wants them. */
int doctor_answer_host(struct doctor *d, sd_bus_message *message);
int doctor_answer_vm(struct doctor *d, const struct vm *vm, sd_bus_message *message,
		     sd_bus_error *error);

/* doctor_xml: what virt_read_xml() brought; NULL: it could not be had. */
void doctor_xml(struct doctor *d, uint64_t cookie, const char *live, const char *config);

#endif /* APFD_DOCTOR_H */
