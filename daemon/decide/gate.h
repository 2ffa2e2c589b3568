/* SPDX-License-Identifier: GPL-2.0 */
/* The only code that changes gates: for the policy, for requests, and when apfd exits. */
#ifndef APFD_GATE_H
#define APFD_GATE_H

#include <stddef.h>
#include <stdint.h>

#include <uapi/apf_host.h>

struct vm;

/**
 * struct gate_change
 * @indices: the vCPUs to change
 * @n_indices: 0 for the whole VM, including vCPUs that are added later
 * @lease_msec: 0: the change stays; else the change ends unless leases are renewed
 * @reason: for people; the module logs it and sends it with the notification
 */
struct gate_change {
	enum apf_state state;
	const uint32_t *indices;
	size_t n_indices;
	uint32_t lease_msec;
	const char *reason;
};

/*
 * gate_set: announces @change, requests it from the module, and records it in @vm.
 * @text: GENL_TEXT_MAX bytes, receives the module's error text on failure, or "".
 * 0; -ETIME: nothing was announced or requested, see apfd_genl_has_time(); -ENOENT: the module
 * does not watch the VM any more, and @vm is now marked as not watched; -ETIMEDOUT: the module
 * did not answer and may have changed the gate; other errors as apfd_genl_set(): no gate was
 * changed.
 */
int gate_set(struct vm *vm, const struct gate_change *change, char *text);

#endif /* APFD_GATE_H */
