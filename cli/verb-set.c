// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "bus.h"
#include "format.h"
#include "verb.h"

static int set_state(struct apfctl *ctl, const char *vm, const char *state)
{
	_cleanup_free_ char *path = NULL;
	int status;

	status = bus_find_vm(ctl, vm, &path);
	if (status != APFCTL_OK)
		return status;
	return bus_set_state(ctl, vm, path, state);
}

int verb_enable(struct apfctl *ctl)
{
	return set_state(ctl, ctl->args[0], "on");
}

int verb_disable(struct apfctl *ctl)
{
	return set_state(ctl, ctl->args[0], "off");
}

int verb_set(struct apfctl *ctl)
{
	_cleanup_free_ char *word = NULL, *near = NULL;

	for (size_t i = 0; i < n_state_names; i++)
		if (strcmp(ctl->args[1], state_names[i]) == 0)
			return set_state(ctl, ctl->args[0], ctl->args[1]);

	word = text_printable(ctl->args[1]);
	near = near_states(ctl->args[1]);
	return apfctl_fail(APFCTL_USAGE, "set: '%s' is no state%s; use off, pv or on", word ?: "",
			   near ?: "");
}
