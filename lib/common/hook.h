/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hooks that apf_host uses for counting: which hooks the kernel does not allow, and
 * which figures need them. Pure functions, for apfd and for apfctl.
 */
#ifndef APFD_HOOK_H
#define APFD_HOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uapi/apf_host.h>

enum {
	HOOK_ON_MAX = 128,  /* names of functions; longer lists are truncated */
	HOOKS_MAX = 32,	    /* number of bits in INFO_HOOKS */
	HOOK_NAME_MAX = 32, /* buffer size for hook_name() */
};

/**
 * struct hook - the module's report about one hook
 * @id: &enum apf_hook, or a number that only a newer module knows
 * @placed: the hook can be placed on this kernel
 * @error: if not @placed, the reason: a negative errno, 0 if the module did not report it
 * @on: the function of the hook, or the functions that were tried; "" if not reported
 */
struct hook {
	uint32_t id;
	bool placed;
	int error;
	char on[HOOK_ON_MAX];
};

/**
 * struct hooks - the hooks of the loaded module
 * @reported: the module reports its hooks; an older module does not
 */
struct hooks {
	bool reported;
	size_t n;
	struct hook hook[HOOKS_MAX];
};

/**
 * struct hook_row - a row of the table, by &enum apf_hook
 * @name: stable; the name on the bus
 * @required: without this hook no VM can be watched
 * @takes: mask of STATS_BIT(): figures that are not counted without this hook
 * @effect: other effects of a missing hook, for people; NULL if there are none
 */
struct hook_row {
	const char *name;
	bool required;
	uint64_t takes;
	const char *effect;
};

extern const struct hook_row hook_table[APF_HOOK_MAX + 1];

/* hook_name: name in the table, or "hook-9" for a hook that only a newer module knows. */
const char *hook_name(uint32_t id, char buf[static HOOK_NAME_MAX]);

/* hook_row: NULL for a hook that only a newer module knows. */
const struct hook_row *hook_row(uint32_t id);

/* hook_error: describes @error (a negative errno), the reason why a hook cannot be placed. */
const char *hook_error(int error);

#endif /* APFD_HOOK_H */
