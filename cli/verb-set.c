// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "bus.h"
#include "format.h"
#include "verb.h"

static int set_mode(struct apfctl *ctl, const char *vm, const char *mode)
{
	_cleanup_free_ char *path = NULL;
	int status;

	status = bus_find_vm(ctl, vm, &path);
	if (status != APFCTL_OK)
		return status;
	return bus_set_mode(ctl, vm, path, mode);
}

int verb_enable(struct apfctl *ctl)
{
	return set_mode(ctl, ctl->args[0], "on");
}

int verb_disable(struct apfctl *ctl)
{
	return set_mode(ctl, ctl->args[0], "off");
}

int verb_auto(struct apfctl *ctl)
{
	return set_mode(ctl, ctl->args[0], "auto");
}

int verb_set(struct apfctl *ctl)
{
	_cleanup_free_ char *word = NULL, *near = NULL;

	for (size_t i = 0; i < n_mode_names; i++)
		if (strcmp(ctl->args[1], mode_names[i]) == 0)
			return set_mode(ctl, ctl->args[0], ctl->args[1]);

	word = text_printable(ctl->args[1]);
	near = near_modes(ctl->args[1]);
	return apfctl_fail(APFCTL_USAGE, "set: '%s' is no mode%s; use auto, on, pv, off or default",
			   word ?: "", near ?: "");
}

int verb_reload(struct apfctl *ctl)
{
	return bus_reload(ctl);
}
