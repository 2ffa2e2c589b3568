/* SPDX-License-Identifier: GPL-2.0 */
/* The modes of a VM or a vCPU: a fixed state of its gate, or auto, which lets the policy decide. */
#ifndef APFD_POLICY_MODE_H
#define APFD_POLICY_MODE_H

#include <uapi/apf_host.h>

/* Requested mode of a VM or a vCPU; the names are those on the bus. */
enum policy_mode {
	POLICY_MODE_AUTO,
	POLICY_MODE_ON,
	POLICY_MODE_PV,
	POLICY_MODE_OFF,
	POLICY_MODE_MAX = POLICY_MODE_OFF
};

const char *policy_mode_to_string(enum policy_mode mode);
int policy_mode_from_string(const char *s, enum policy_mode *ret); /* 0 or -EINVAL */

/* policy_mode_state: the state in which @mode, not AUTO, keeps a gate. */
enum apf_state policy_mode_state(enum policy_mode mode);

/* policy_mode_of_state: the mode that keeps a gate in @state. */
enum policy_mode policy_mode_of_state(enum apf_state state);

#endif /* APFD_POLICY_MODE_H */
