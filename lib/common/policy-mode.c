/* SPDX-License-Identifier: GPL-2.0 */
#include "policy-mode.h"

#include <errno.h>

#include "names.h"
#include "util.h"

const char *policy_mode_to_string(enum policy_mode mode)
{
	static const char *const table[] = {
		[POLICY_MODE_AUTO] = NAME_AUTO,
		[POLICY_MODE_ON] = NAME_ON,
		[POLICY_MODE_PV] = NAME_PV,
		[POLICY_MODE_OFF] = NAME_OFF,
	};

	return table[mode];
}

int policy_mode_from_string(const char *s, enum policy_mode *ret)
{
	for (int i = 0; i <= POLICY_MODE_MAX; i++)
		if (streq(s, policy_mode_to_string((enum policy_mode)i))) {
			*ret = (enum policy_mode)i;
			return 0;
		}
	return -EINVAL;
}

enum apf_state policy_mode_state(enum policy_mode mode)
{
	static const enum apf_state table[] = {
		[POLICY_MODE_ON] = APF_STATE_ON,
		[POLICY_MODE_PV] = APF_STATE_PV,
		[POLICY_MODE_OFF] = APF_STATE_OFF,
	};

	return table[mode];
}

enum policy_mode policy_mode_of_state(enum apf_state state)
{
	switch (state) {
	case APF_STATE_OFF:
		return POLICY_MODE_OFF;
	case APF_STATE_PV:
		return POLICY_MODE_PV;
	default:
		return POLICY_MODE_ON;
	}
}
