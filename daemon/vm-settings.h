/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The modes of one VM: what the configuration says of its name, what was asked
 * for it alone, and which of them counts.
 *
 * For each vCPU the first of these that says anything: the override of the vCPU
 * asked for, the mode of the VM asked for, the override configured, the mode
 * configured, "auto". What is asked for lives in libvirt's metadata of the
 * domain and so follows it through a restart of apfd, migration, and, if it is
 * in the persistent definition, the next start; without libvirt it lasts as
 * long as apfd.
 */
#ifndef APFD_VM_SETTINGS_H
#define APFD_VM_SETTINGS_H

#include "settings.h"

struct vm;

/**
 * struct vm_settings
 * @config: the sections that match the VM's name
 * @own: asked for this VM
 * @known: @own was read, or cannot be; decide nothing before
 * @kept: @own is in libvirt's metadata
 * @writes: of @own, under way; what is read meanwhile is older
 * @read_again_usec: not before that, while not @known
 * @complained: about the present metadata
 * @changed: since the last PropertiesChanged
 */
struct vm_settings {
	struct settings config;
	struct settings own;
	bool known;
	bool kept;
	unsigned int writes;
	uint64_t read_again_usec;
	bool complained;
	bool changed;
};

/* vm_settings_done: to be used by vm_free() alone. */
void vm_settings_done(struct vm *vm);

/* vm_mode: of the VM as a whole; vm_vcpu_mode: of one vCPU. */
enum policy_mode vm_mode(const struct vm *vm);
enum policy_mode vm_vcpu_mode(const struct vm *vm, uint32_t index);

/* vm_vcpu_override: SETTINGS_UNSET if the vCPU has the VM's mode because nothing else is said. */
int vm_vcpu_override(const struct vm *vm, uint32_t index);

/* vm_state_of_mode: true if @mode (&enum policy_mode, SETTINGS_UNSET) names a state. */
bool vm_state_of_mode(int mode, enum apf_state *ret);

/* vm_mode_source: "default", "config", "metadata" or "runtime". */
const char *vm_mode_source(const struct vm *vm);

/* vm_configure: takes over what the configuration in force says. */
void vm_configure(struct vm *vm);

/* vm_metadata: our element of its domain, as read; NULL if it has none. */
void vm_metadata(struct vm *vm, const char *xml);

/* vm_metadata_unread: it could not be read: the VM goes on without. */
void vm_metadata_unread(struct vm *vm, const char *why);

/* vm_metadata_written: the result of virt_write_metadata(). */
void vm_metadata_written(struct vm *vm, int error, const char *why);

/* vm_settings_sync: writes what libvirt does not have yet, e.g. after it came back. */
void vm_settings_sync(struct vm *vm);

/*
 * vm_set_mode: asks for @mode (SETTINGS_UNSET: for nothing any more), of the
 * vCPUs in @indices or, if there are none, of the VM, which ends its overrides;
 * see vm_settings_apply(). 0; -ERANGE: no VM has such a vCPU; -ENOMEM: nothing was changed.
 */
int vm_set_mode(struct vm *vm, int mode, const uint32_t *indices, size_t n_indices);

/*
 * vm_keep_settings: writes what was asked for to libvirt's metadata. ops->written
 * of virt.h follows, with @cookie. 0; -EOPNOTSUPP: not a VM of libvirt; others
 * of virt_write_metadata().
 */
int vm_keep_settings(struct vm *vm, bool persistent, void *cookie);

/*
 * vm_settings_apply: modes changed: decides, tells and carries out, as far as the
 * VM is watched and its modes are known.
 */
void vm_settings_apply(struct vm *vm);

/* vm_settings_tick: asks again for modes that could not be read. */
void vm_settings_tick(struct vm *vm);

#endif /* APFD_VM_SETTINGS_H */
