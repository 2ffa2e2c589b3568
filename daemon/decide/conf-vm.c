/* SPDX-License-Identifier: GPL-2.0 */
#include "conf.h"

#include <fnmatch.h>
#include <locale.h>

/* "?" matches a character, not a byte: names are UTF-8, whatever locale apfd was started with. */
static bool glob_matches(const char *glob, const char *name)
{
	static locale_t utf8;
	locale_t before;
	bool matches;

	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	before = utf8 ? uselocale(utf8) : (locale_t)0;
	matches = fnmatch(glob, name, 0) == 0;
	if (before)
		uselocale(before);
	return matches;
}

static bool section_matches(const struct conf_vm *vm, const char *name, const char *id)
{
	return glob_matches(vm->glob, name) || (id[0] && glob_matches(vm->glob, id));
}

int conf_vm_settings(const struct conf *c, const char *name, const char *id, struct settings *ret)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_NONE;
	int r;

	for (size_t i = 0; i < c->n_vms; i++) {
		const struct conf_vm *vm = &c->vms[i];

		if (!section_matches(vm, name, id))
			continue;
		if (vm->settings.mode != SETTINGS_UNSET)
			s.mode = vm->settings.mode;
		if (vm->vcpus_reset)
			s.n_vcpus = 0;
		for (size_t k = 0; k < vm->settings.n_vcpus; k++) {
			r = settings_set_vcpu(&s, vm->settings.vcpus[k].index,
					      vm->settings.vcpus[k].mode);
			if (r < 0)
				return r;
		}
	}
	*ret = s;
	s = SETTINGS_NONE;
	return 0;
}

bool conf_vm_recall(const struct conf *c, const char *name, const char *id)
{
	bool yes = true;

	for (size_t i = 0; i < c->n_vms; i++) {
		const struct conf_vm *vm = &c->vms[i];

		if (vm->recall_when_calm != SETTINGS_UNSET && section_matches(vm, name, id))
			yes = vm->recall_when_calm;
	}
	return yes;
}
