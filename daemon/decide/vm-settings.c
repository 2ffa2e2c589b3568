/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-settings.h"

#include <errno.h>

#include "conf.h"
#include "context.h"
#include "log.h"
#include "names.h"
#include "stored.h"
#include "vm.h"

#define log_settings(level, error, vm, ...)                                                      \
	log_fields(                                                                              \
		level, error,                                                                    \
		((const struct log_field[]){ { "APF_VM", (vm)->name },                           \
					     { "APF_UUID", (vm)->uuid },                         \
					     { "APF_MODE", policy_mode_to_string(vm_mode(vm)) }, \
					     {} }),                                              \
		__VA_ARGS__)

/* Interval between two attempts to read the metadata of a domain. */
#define READ_AGAIN_USEC (10 * USEC_PER_SEC)

/* ---- the mode that applies ---- */

enum policy_mode vm_mode(const struct vm *vm)
{
	const struct vm_settings *s = &vm->settings;

	if (s->own.mode != SETTINGS_UNSET)
		return (enum policy_mode)s->own.mode;
	if (s->config.mode != SETTINGS_UNSET)
		return (enum policy_mode)s->config.mode;
	return POLICY_MODE_AUTO;
}

int vm_vcpu_override(const struct vm *vm, uint32_t index)
{
	const struct vm_settings *s = &vm->settings;
	int mode = settings_vcpu(&s->own, index);

	/* A requested mode of the VM applies to all vCPUs, also to those with a configured mode. */
	if (mode == SETTINGS_UNSET && s->own.mode == SETTINGS_UNSET)
		mode = settings_vcpu(&s->config, index);
	return mode;
}

enum policy_mode vm_vcpu_mode(const struct vm *vm, uint32_t index)
{
	int mode = vm_vcpu_override(vm, index);

	return mode == SETTINGS_UNSET ? vm_mode(vm) : (enum policy_mode)mode;
}

const char *vm_mode_source(const struct vm *vm)
{
	const struct vm_settings *s = &vm->settings;

	if (s->own.mode != SETTINGS_UNSET)
		return !s->stored ? "runtime" : vm->foreign ? "stored" : "metadata";
	return s->config.mode != SETTINGS_UNSET ? "config" : NAME_DEFAULT;
}

/* ---- gates ---- */

bool vm_state_of_mode(int mode, enum apf_state *ret)
{
	switch (mode) {
	case POLICY_MODE_ON:
		*ret = APF_STATE_ON;
		return true;
	case POLICY_MODE_PV:
		*ret = APF_STATE_PV;
		return true;
	case POLICY_MODE_OFF:
		*ret = APF_STATE_OFF;
		return true;
	default:
		return false;
	}
}

/* ---- sources of modes ---- */

bool vm_configure(struct vm *vm)
{
	const char *id = identity_fact_id(vm->identity);
	struct settings config;
	int r;

	r = conf_vm_settings(vm->context->conf, vm->name, id, &config);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot configure VM %s", vm->name);
		return false;
	}
	if (settings_equal(&config, &vm->settings.config)) {
		settings_done(&config);
		return false;
	}
	settings_done(&vm->settings.config);
	vm->settings.config = config;
	vm->settings.changed = true;
	return true;
}

bool vm_apply_metadata(struct vm *vm, const char *xml)
{
	struct vm_settings *s = &vm->settings;
	struct settings own = SETTINGS_NONE;
	bool changed;
	int r;

	s->outdated = false;
	/* Ignore metadata that is older than our unfinished write. */
	if (s->writes > 0)
		return false;
	if (s->known && !s->stored) {
		vm_settings_sync(vm);
		return false;
	}
	if (xml) {
		r = settings_from_xml(xml, &own);
		if (r == -ENOMEM) {
			log_oom();
			return false;
		}
		if (r < 0 && !s->warned)
			log_settings(LOG_WARNING, r, vm,
				     "The settings in the metadata of VM %s are invalid, "
				     "ignoring them",
				     vm->name);
		s->warned = r < 0;
	} else {
		s->warned = false;
	}
	changed = !s->known || !settings_equal(&own, &s->own);
	settings_done(&s->own);
	s->own = own;
	s->stored = true;
	s->known = true;
	if (!changed)
		return false;
	s->changed = true;
	log_settings(LOG_DEBUG, 0, vm, "VM %s has the mode %s (%s)", vm->name,
		     policy_mode_to_string(vm_mode(vm)), vm_mode_source(vm));
	return true;
}

bool vm_apply_stored(struct vm *vm)
{
	struct stored *stored = vm->context->stored;
	struct vm_settings *s = &vm->settings;
	const struct stored_vm *found = stored_find(stored, vm->identity);
	struct settings own;
	int r;

	if (!found)
		return false;
	r = settings_copy(&found->settings, &own);
	if (r < 0) {
		log_oom();
		return false;
	}
	settings_done(&s->own);
	s->own = own;
	s->stored = s->known = s->changed = true;
	stored_seen(stored, vm->identity);
	log_settings(LOG_DEBUG, 0, vm, "VM %s has the mode %s (%s)", vm->name,
		     policy_mode_to_string(vm_mode(vm)), vm_mode_source(vm));
	return true;
}

bool vm_can_store(const struct vm *vm, const char **ret_why)
{
	if (!vm->foreign) {
		*ret_why = "libvirt is not connected";
		if (vm->view.libvirt_id < 0 || !virt_has_connection(vm->context->virt))
			return false;
		*ret_why = "libvirt is busy: a call about this VM has not returned for some "
			   "seconds, try again later";
		return !virt_is_busy(vm->context->virt, vm->uuid);
	}
	*ret_why = "the VM has no UUID and no name that last";
	return identity_lasts(vm->identity);
}

void vm_metadata_read_failed(struct vm *vm, const char *why)
{
	/*
	 * The domain may be ending. If not, somebody may have changed the settings, and libvirt
	 * reports that only once.
	 */
	vm->settings.outdated = true;
	vm->settings.read_again_usec = clock_usec(CLOCK_MONOTONIC) + READ_AGAIN_USEC;
	log_settings(LOG_DEBUG, 0, vm, "Cannot read the settings of VM %s: %s", vm->name, why);
}

void vm_settings_tick(struct vm *vm)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);
	struct vm_settings *s = &vm->settings;

	if ((s->known && !s->write_again && !s->outdated) || now_usec < s->read_again_usec)
		return;
	s->read_again_usec = now_usec + READ_AGAIN_USEC;
	if (s->known && s->write_again)
		vm_settings_sync(vm);
	else
		(void)virt_read_metadata(vm->context->virt, vm->uuid);
}

/* A mode that is not persistent may have been set while apfd wrote the file. */
static bool is_what_is_stored(const struct vm *vm)
{
	const struct stored_vm *found = stored_find(vm->context->stored, vm->identity);

	return found ? settings_equal(&found->settings, &vm->settings.own)
		     : settings_empty(&vm->settings.own);
}

void vm_metadata_written(struct vm *vm, int error, const char *why)
{
	struct vm_settings *s = &vm->settings;

	/* The write was for an earlier run of the domain with the same UUID. */
	if (s->writes == 0)
		return;
	s->writes--;
	if (error < 0) {
		log_settings(LOG_WARNING, 0, vm,
			     "%s did not store the settings of VM %s, they apply until apfd "
			     "exits: %s",
			     vm->foreign ? "apfd" : "libvirt", vm->name, why);
		return;
	}
	if (s->writes > 0)
		return;
	/* @own was changed while libvirt was busy, so what was written is old. */
	if (s->write_again) {
		vm_settings_sync(vm);
		return;
	}
	s->stored = !vm->foreign || is_what_is_stored(vm);
	s->changed = true;
}

void vm_settings_sync(struct vm *vm)
{
	struct vm_settings *s = &vm->settings;

	if (s->known && !s->stored && s->writes == 0)
		(void)vm_store_settings(vm, false, NULL);
}

int vm_set_mode(struct vm *vm, int mode, const uint32_t *indices, size_t n_indices)
{
	struct vm_settings *s = &vm->settings;
	_cleanup_(settings_done) struct settings own = SETTINGS_NONE;
	int r;

	if (n_indices == 0) {
		settings_set(&own, mode);
	} else {
		r = settings_copy(&s->own, &own);
		for (size_t i = 0; r >= 0 && i < n_indices; i++)
			r = settings_set_vcpu(&own, indices[i], mode);
		if (r < 0)
			return r;
	}
	settings_done(&s->own);
	s->own = own;
	own = SETTINGS_NONE;
	s->known = true;
	s->stored = false;
	s->warned = false;
	s->changed = true;
	return 0;
}

int vm_store_settings(struct vm *vm, bool persistent, void *cookie)
{
	_cleanup_free_ char *xml = NULL;
	int r;

	if (vm->foreign) {
		if (!persistent)
			return -EOPNOTSUPP;
		r = stored_put(vm->context->stored, vm->identity, &vm->settings.own, vm->uuid,
			       cookie);
		if (r >= 0)
			vm->settings.writes++;
		return r;
	}
	if (vm->view.libvirt_id < 0)
		return -EOPNOTSUPP;
	if (!settings_empty(&vm->settings.own)) {
		r = settings_to_xml(&vm->settings.own, &xml);
		if (r < 0)
			return r;
	}
	r = virt_write_metadata(vm->context->virt, vm->uuid, xml, persistent, cookie);
	vm->settings.write_again = r == -EBUSY;
	if (r >= 0)
		vm->settings.writes++;
	return r;
}
