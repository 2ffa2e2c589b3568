/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The modes of one VM: from the configuration, by its name; by requests for this VM; and
 * which of them applies.
 *
 * For each vCPU the first of these that is set applies: the requested override of the
 * vCPU, the requested mode of the VM, the configured override, the configured mode,
 * "auto". Requested modes are stored in libvirt's metadata of the domain. So they
 * survive a restart of apfd, a migration and, if they are in the persistent
 * definition, the end of the domain. For a VM that libvirt does not know, persistent
 * modes are stored by apfd, see stored.h; others apply until the VM ends or apfd exits.
 */
#ifndef APFD_VM_SETTINGS_H
#define APFD_VM_SETTINGS_H

#include "settings.h"

struct vm;

/**
 * struct vm_settings
 * @config: from the configuration sections that match the VM's name
 * @own: requested for this VM
 * @known: @own was read, or there is no metadata; the governor waits for this
 * @stored: @own is in libvirt's metadata, or in apfd's files
 * @writes: number of unfinished writes of @own; metadata read meanwhile is older
 * @outdated: @own may have changed in the metadata since it was read
 * @read_again_usec: earliest time of the next attempt to read, while not @known or @outdated, or
 *	to write, while @write_again
 * @write_again: libvirt was busy with the VM, so @own was not written
 * @warned: a warning about the present metadata was logged
 * @changed: the modes have changed since the last PropertiesChanged signal
 */
struct vm_settings {
	struct settings config;
	struct settings own;
	bool known;
	bool outdated;
	bool stored;
	unsigned int writes;
	uint64_t read_again_usec;
	bool write_again;
	bool warned;
	bool changed;
};

/* vm_mode: mode of the VM as a whole; vm_vcpu_mode: mode of one vCPU. */
enum policy_mode vm_mode(const struct vm *vm);
enum policy_mode vm_vcpu_mode(const struct vm *vm, uint32_t index);

/* vm_vcpu_override: SETTINGS_UNSET if the vCPU has no override, and so has the VM's mode. */
int vm_vcpu_override(const struct vm *vm, uint32_t index);

/* vm_state_of_mode: true if @mode (&enum policy_mode or SETTINGS_UNSET) is a fixed state. */
bool vm_state_of_mode(int mode, enum apf_state *ret);

/* vm_mode_source: "default", "config", "metadata", "stored" or "runtime". */
const char *vm_mode_source(const struct vm *vm);

/*
 * vm_configure: applies the current configuration. Returns true if a mode may have changed: then
 * the caller must call governor_apply().
 */
bool vm_configure(struct vm *vm);

/*
 * vm_apply_metadata: applies apfd's metadata element; @xml is NULL if the domain has none.
 * Returns as vm_configure().
 */
bool vm_apply_metadata(struct vm *vm, const char *xml);

/* vm_apply_stored: as vm_apply_metadata(), with what apfd has stored for a foreign VM. */
bool vm_apply_stored(struct vm *vm);

/* vm_can_store: the settings of @vm can be stored now; else *ret_why says why not. */
bool vm_can_store(const struct vm *vm, const char **ret_why);

/* vm_metadata_read_failed: the old settings apply; vm_settings_tick() tries again to read. */
void vm_metadata_read_failed(struct vm *vm, const char *why);

/* vm_metadata_written: the result of virt_write_metadata() or stored_put(). */
void vm_metadata_written(struct vm *vm, int error, const char *why);

/* vm_settings_sync: writes settings that libvirt has not stored yet, e.g. after a reconnect. */
void vm_settings_sync(struct vm *vm);

/*
 * vm_set_mode: requests @mode for the vCPUs in @indices; if there are none, for the VM, which
 * removes all overrides. SETTINGS_UNSET removes the requested mode. The caller must call
 * governor_apply(). 0; -ERANGE: no VM has such a vCPU; -ENOMEM. On failure nothing was changed.
 */
int vm_set_mode(struct vm *vm, int mode, const uint32_t *indices, size_t n_indices);

/*
 * vm_store_settings: writes the requested modes to libvirt's metadata, or to a file if libvirt
 * does not know the VM. ops->written of virt.h or stored.h follows, with @cookie. 0; -EOPNOTSUPP:
 * the modes of a VM that libvirt does not know are stored only if they are @persistent; errors of
 * virt_write_metadata() and stored_put().
 */
int vm_store_settings(struct vm *vm, bool persistent, void *cookie);

/* vm_settings_tick: tries again to read or write the metadata, if this was not possible yet. */
void vm_settings_tick(struct vm *vm);

#endif /* APFD_VM_SETTINGS_H */
