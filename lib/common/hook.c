/* SPDX-License-Identifier: GPL-2.0 */
#include "hook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stats.h"

/* Must match the descriptions of the hooks in apf_host.h. */
/* clang-format off */
#define BOTH_ENDS \
	(STATS_BIT(APF_STAT_DELIVERED) | STATS_BIT(APF_STAT_HALTED) | \
	 STATS_BIT(APF_STAT_READY_UNKNOWN) | STATS_BIT(APF_STAT_DROPPED) | \
	 STATS_BIT(APF_STAT_ASYNC_NSEC) | STATS_BIT(APF_STAT_SAVED_NSEC) | \
	 STATS_BIT(STATS_HIST_ASYNC) | STATS_BIT(STATS_OUTSTANDING))

const struct hook_row hook_table[APF_HOOK_MAX + 1] = {
	[APF_HOOK_GATE] = { "gate", true, 0, "no gate can be closed" },
	[APF_HOOK_VM_END] = { "vm-end", true, 0, "the end of a VM is not noticed" },
	[APF_HOOK_NOT_PRESENT] = {
		"not-present", false, BOTH_ENDS | STATS_BIT(APF_STAT_NOT_PRESENT), NULL },
	[APF_HOOK_READY] = {
		"ready", false,
		BOTH_ENDS | STATS_BIT(APF_STAT_READY) | STATS_BIT(APF_STAT_READY_ALL), NULL },
	[APF_HOOK_FORGET] = {
		"forget", false,
		STATS_BIT(APF_STAT_DROPPED) | STATS_BIT(APF_STAT_DELIVERED) |
			STATS_BIT(APF_STAT_HALTED) | STATS_BIT(APF_STAT_SAVED_NSEC) |
			STATS_BIT(STATS_OUTSTANDING), NULL },
	[APF_HOOK_STALL] = {
		"stall", false,
		STATS_BIT(APF_STAT_SYNC_STALLS) | STATS_BIT(APF_STAT_SYNC_STALL_NSEC) |
			STATS_BIT(APF_STAT_SAVED_NSEC) | STATS_BIT(STATS_HIST_SYNC),
		"mode auto does not see stalls while a gate is closed, and leaves it closed" },
	[APF_HOOK_REPEATED] = {
		"repeated", false, STATS_BIT(APF_STAT_REPEATED), NULL },
	[APF_HOOK_USER_MODE] = {
		"user-mode", false, 0, "a gate in state pv stays closed for every Linux guest" },
	[APF_HOOK_QUEUED] = {
		"queued", false, STATS_BIT(APF_STAT_SAVED_NSEC), NULL },
};
/* clang-format on */

const struct hook_row *hook_row(uint32_t id)
{
	return id <= APF_HOOK_MAX ? &hook_table[id] : NULL;
}

const char *hook_name(uint32_t id, char buf[static HOOK_NAME_MAX])
{
	const struct hook_row *row = hook_row(id);

	if (row)
		return row->name;
	snprintf(buf, HOOK_NAME_MAX, "hook-%u", id);
	return buf;
}

const char *hook_error(int error)
{
	switch (-error) {
	case 0:
		return "apf_host does not report the reason";
	case ENOENT:
		return "this kernel has no such function, or has inlined it into its callers";
	case EBUSY:
		return "a tracer or a live patch uses the function, or ftrace is switched off";
	case EOPNOTSUPP:
		return "this kernel was built without kprobes or ftrace, which hooks need";
	case EINVAL:
	case EILSEQ:
		return "the function does not allow a hook";
	case EADDRINUSE:
		return "there is already another probe at this place";
	default:
		return strerror(-error);
	}
}
