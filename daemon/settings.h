/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What somebody wants of a VM: a mode for it, and others for single vCPUs. The
 * same noun in the configuration, in libvirt's metadata and on the bus.
 */
#ifndef APFD_SETTINGS_H
#define APFD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"
#include "util.h"

/* No mode is asked for: the next layer says. */
#define SETTINGS_UNSET (-1)

/* Namespace and prefix of the element in libvirt's metadata. */
#define SETTINGS_XML_URI    "https://apfd.org/xmlns/1"
#define SETTINGS_XML_PREFIX "apf"

/* Longer metadata is not ours: room for an override of each of 4096 vCPUs. */
#define SETTINGS_XML_MAX_BYTES (256 * 1024)

struct settings_vcpu {
	uint32_t index;
	int mode;
};

/**
 * struct settings - SETTINGS_NONE at first
 * @mode: &enum policy_mode of the VM, or SETTINGS_UNSET
 * @vcpus: overrides, by index
 */
struct settings {
	int mode;
	struct settings_vcpu *vcpus;
	size_t n_vcpus;
};

#define SETTINGS_NONE ((struct settings){ .mode = SETTINGS_UNSET })

/* settings_mode_to_string: "default" for SETTINGS_UNSET. */
const char *settings_mode_to_string(int mode);

/* settings_mode_from_string: 0, or -EINVAL also for "default". */
int settings_mode_from_string(const char *s, int *ret);

/* settings_done: back to SETTINGS_NONE. */
void settings_done(struct settings *s);

/* settings_copy: *ret is overwritten, not released. 0 or -ENOMEM. */
int settings_copy(const struct settings *s, struct settings *ret);

bool settings_equal(const struct settings *a, const struct settings *b);
bool settings_empty(const struct settings *s);

/* settings_set: of the VM as a whole, which ends every override. */
void settings_set(struct settings *s, int mode);

/* settings_set_vcpu: SETTINGS_UNSET ends the override. 0; -ERANGE; -ENOMEM. */
int settings_set_vcpu(struct settings *s, uint32_t index, int mode);

/* settings_vcpu: the override of @index, or SETTINGS_UNSET. */
int settings_vcpu(const struct settings *s, uint32_t index);

/* settings_parse_vcpus: adds "0:off,3:on,4-7:pv" to the overrides. 0; -EINVAL; -ERANGE; -ENOMEM. */
int settings_parse_vcpus(struct settings *s, const char *text);

/* settings_to_xml: the metadata element, without its namespace; the caller frees *ret. */
int settings_to_xml(const struct settings *s, char **ret);

/*
 * settings_from_xml: reads what settings_to_xml() wrote, or a person; unknown
 * attributes and elements are ignored. *ret is written on success only. 0;
 * -EINVAL; -E2BIG; -ERANGE (a vCPU index that cannot be); -ENOMEM.
 */
int settings_from_xml(const char *text, struct settings *ret);

#endif /* APFD_SETTINGS_H */
