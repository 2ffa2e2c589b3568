/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requested modes: the mode of a VM, and overrides for single vCPUs. The configuration,
 * libvirt's metadata and the bus all use this struct.
 */
#ifndef APFD_SETTINGS_H
#define APFD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names.h"
#include "policy.h"
#include "util.h"

/* No mode is set here: the mode of the next layer applies. */
#define SETTINGS_UNSET (-1)

struct settings_vcpu {
	uint32_t index;
	int mode;
};

/**
 * struct settings - SETTINGS_NONE at first
 * @mode: &enum policy_mode of the VM, or SETTINGS_UNSET
 * @vcpus: overrides, sorted by index
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

/* settings_done: frees the overrides and sets @s to SETTINGS_NONE. */
void settings_done(struct settings *s);

/* settings_copy: overwrites *ret without freeing it. 0 or -ENOMEM. */
int settings_copy(const struct settings *s, struct settings *ret);

bool settings_equal(const struct settings *a, const struct settings *b);
bool settings_empty(const struct settings *s);

/* settings_set: sets the mode of the whole VM and removes all overrides. */
void settings_set(struct settings *s, int mode);

/* settings_set_vcpu: sets an override; SETTINGS_UNSET removes it. 0; -ERANGE; -ENOMEM. */
int settings_set_vcpu(struct settings *s, uint32_t index, int mode);

/* settings_vcpu: the override of @index, or SETTINGS_UNSET. */
int settings_vcpu(const struct settings *s, uint32_t index);

/* settings_parse_vcpus: adds "0:off,3:on,4-7:pv" to the overrides. 0; -EINVAL; -ERANGE; -ENOMEM. */
int settings_parse_vcpus(struct settings *s, const char *text);

/* settings_format_vcpus: the inverse of settings_parse_vcpus(); the caller frees *ret. */
int settings_format_vcpus(const struct settings *s, char **ret);

/* settings_to_xml: writes the metadata element without its namespace; the caller frees *ret. */
int settings_to_xml(const struct settings *s, char **ret);

/*
 * settings_from_xml: reads the metadata element; ignores unknown attributes and
 * elements. Sets *ret on success only. 0; -EINVAL; -E2BIG; -ERANGE (impossible vCPU
 * index); -ENOMEM.
 */
int settings_from_xml(const char *text, struct settings *ret);

#endif /* APFD_SETTINGS_H */
