/* SPDX-License-Identifier: GPL-2.0 */
#include "vm-settings.h"

#include <errno.h>

#include "log.h"
#include "manager.h"

#define log_settings(level, error, vm, ...)                                                      \
	log_fields(                                                                              \
		level, error,                                                                    \
		((const struct log_field[]){ { "APF_VM", (vm)->name },                           \
					     { "APF_UUID", (vm)->uuid },                         \
					     { "APF_MODE", policy_mode_to_string(vm_mode(vm)) }, \
					     {} }),                                              \
		__VA_ARGS__)

/* A domain that does not tell its metadata is asked for it so often. */
#define READ_AGAIN_USEC (10 * USEC_PER_SEC)

void vm_settings_done(struct vm *vm)
{
	settings_done(&vm->settings.config);
	settings_done(&vm->settings.own);
}

/* ---- which one counts ---- */

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

	/* Who asks for a mode of the VM means all of it, whatever the files say of a vCPU. */
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
		return s->kept ? "metadata" : "runtime";
	return s->config.mode != SETTINGS_UNSET ? "config" : "default";
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

void vm_settings_apply(struct vm *vm)
{
	governor_stir(vm);
	governor_run(vm, clock_usec(CLOCK_MONOTONIC));
}

/* ---- where modes come from ---- */

void vm_configure(struct vm *vm)
{
	struct settings config;
	int r;

	r = conf_vm_settings(vm->manager->conf, vm->name, &config);
	if (r < 0) {
		log_errno(LOG_ERR, r, "Cannot configure VM %s", vm->name);
		return;
	}
	if (settings_equal(&config, &vm->settings.config)) {
		settings_done(&config);
		return;
	}
	settings_done(&vm->settings.config);
	vm->settings.config = config;
	vm->settings.changed = true;
	vm_settings_apply(vm);
}

void vm_metadata(struct vm *vm, const char *xml)
{
	struct vm_settings *s = &vm->settings;
	struct settings own = SETTINGS_NONE;
	bool news;
	int r;

	/* Ours is newer than what was read. */
	if (s->writes > 0)
		return;
	if (s->known && !s->kept) {
		vm_settings_sync(vm);
		return;
	}
	if (xml) {
		r = settings_from_xml(xml, &own);
		if (r == -ENOMEM) {
			log_oom();
			return;
		}
		if (r < 0 && !s->complained)
			log_settings(LOG_WARNING, r, vm,
				     "The settings in the metadata of VM %s make no sense, "
				     "ignoring them",
				     vm->name);
		s->complained = r < 0;
	} else {
		s->complained = false;
	}
	news = !s->known || !settings_equal(&own, &s->own);
	settings_done(&s->own);
	s->own = own;
	s->kept = true;
	s->known = true;
	if (!news)
		return;
	s->changed = true;
	log_settings(LOG_DEBUG, 0, vm, "VM %s has the mode %s (%s)", vm->name,
		     policy_mode_to_string(vm_mode(vm)), vm_mode_source(vm));
	vm_settings_apply(vm);
}

void vm_metadata_unread(struct vm *vm, const char *why)
{
	/* The domain may be on its way out; if not, it is read again. */
	log_settings(LOG_DEBUG, 0, vm, "Cannot read the settings of VM %s: %s", vm->name, why);
}

void vm_settings_tick(struct vm *vm)
{
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);

	if (vm->settings.known || now_usec < vm->settings.read_again_usec)
		return;
	vm->settings.read_again_usec = now_usec + READ_AGAIN_USEC;
	(void)virt_read_metadata(vm->manager->virt, vm->uuid);
}

void vm_metadata_written(struct vm *vm, int error, const char *why)
{
	struct vm_settings *s = &vm->settings;

	/* Of an earlier run under the same UUID. */
	if (s->writes == 0)
		return;
	s->writes--;
	if (error < 0) {
		log_settings(LOG_WARNING, 0, vm,
			     "libvirt does not keep the settings of VM %s, they last as long as "
			     "apfd: %s",
			     vm->name, why);
		return;
	}
	if (s->writes > 0)
		return;
	s->kept = true;
	s->changed = true;
}

void vm_settings_sync(struct vm *vm)
{
	struct vm_settings *s = &vm->settings;

	if (s->known && !s->kept && s->writes == 0)
		(void)vm_keep_settings(vm, false, NULL);
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
	s->kept = false;
	s->complained = false;
	s->changed = true;
	return 0;
}

int vm_keep_settings(struct vm *vm, bool persistent, void *cookie)
{
	_cleanup_free_ char *xml = NULL;
	int r;

	if (vm->view.libvirt_id < 0)
		return -EOPNOTSUPP;
	if (!settings_empty(&vm->settings.own)) {
		r = settings_to_xml(&vm->settings.own, &xml);
		if (r < 0)
			return r;
	}
	r = virt_write_metadata(vm->manager->virt, vm->uuid, xml, persistent, cookie);
	if (r >= 0)
		vm->settings.writes++;
	return r;
}
