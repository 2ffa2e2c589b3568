/* SPDX-License-Identifier: GPL-2.0 */
/* The settings that apfd has stored for VMs that libvirt does not know. */
#ifndef APFCTL_STORED_H
#define APFCTL_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

/**
 * struct stored_row - an element of org.apfd.Manager1.ListStored()
 * @vcpu_modes: "0:off,2:on", "" if there are none
 * @used_usec: when the VM was seen last, microseconds since 1970
 * @error: "" if the file is right
 */
struct stored_row {
	char *file;
	char *name;
	char *id;
	char *uuid;
	char *scope;
	char *mode;
	char *vcpu_modes;
	uint64_t used_usec;
	bool running;
	char *error;
};

struct stored_rows {
	struct stored_row *all;
	size_t n;
};

/* stored_rows_read: reads the reply. 0 or negative errno; @ret_bad as in vm.h. */
int stored_rows_read(sd_bus_message *m, struct stored_rows *rows, const char **ret_bad);
/* stored_label: what the VM is called: its name, or that of its file if it has none. */
const char *stored_label(const struct stored_row *row);

void stored_rows_clear(struct stored_rows *rows);

#endif
