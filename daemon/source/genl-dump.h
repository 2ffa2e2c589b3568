/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dumps of apf_host that do not hold up the event loop: they are read when they arrive, piece by
 * piece, and passed on VM by VM, so that their size does not matter. A record that cannot be used
 * costs its VM alone. One dump at a time, on a socket of its own.
 *
 * The caller compares the number of vCPUs that it gets with that of the listing: a record that
 * does not even have a VM_ID is missing in some VM, and a dump may end early.
 */
#ifndef APFD_GENL_DUMP_H
#define APFD_GENL_DUMP_H

#include <systemd/sd-event.h>

#include "genl-parse.h"
#include "genl-socket.h"

enum {
	GENL_DUMP_SLICE_MSEC = 20,	/* reading in one turn of the loop */
	GENL_DUMP_SILENCE_MSEC = 500,	/* the end of a dump from which nothing arrives */
	GENL_DUMP_MAX_MSEC = 10000,	/* the end of any dump */
	GENL_DUMP_RECORDS_MAX = 524288, /* 4,096 VMs with 64 vCPUs each, twice */
};

/**
 * struct genl_dump_ops - callbacks, called on the thread of the event loop
 * @vm: a VM, of VM_GET
 * @vcpus: vCPUs of one VM, of VCPU_GET, sorted by index, each once
 * @bad: records of this VM were malformed, too many, or twice the same; they are not passed on
 * @done: the dump has ended: 0, the module's errno, -EBADMSG (messages without a VM_ID, or
 *	longer than 32 KiB, were left out), -E2BIG, -ETIMEDOUT, or the argument of
 *	genl_dump_end(). May start the next dump
 */
struct genl_dump_ops {
	void (*vm)(const struct genl_vm *vm, void *userdata);
	void (*vcpus)(uint32_t vm_id, struct genl_vcpu *vcpus, size_t n, void *userdata);
	void (*bad)(uint32_t vm_id, void *userdata);
	void (*done)(int error, void *userdata);
};

struct genl_dump;

/* genl_dump_new: @peer->wait_msec, if it is not 0, is the unit of the time limits. 0 or -errno. */
int genl_dump_new(sd_event *event, const struct apfd_genl_peer *peer, struct genl_dump **ret);
struct genl_dump *genl_dump_free(struct genl_dump *d);
APF_DEFINE_CLEANUP(struct genl_dump *, genl_dump_free);

/*
 * genl_dump_start: sends the request @cmd (VM_GET or VCPU_GET), for @vm_id or, if @vm_id is 0, for
 * all VMs. @ops is not copied. 0, or -EBUSY (a dump has not ended yet), or another -errno; then no
 * callback is called.
 */
int genl_dump_start(struct genl_dump *d, uint16_t family, enum apf_cmd cmd, uint32_t vm_id,
		    const struct genl_dump_ops *ops, void *userdata);

/* genl_dump_end: ends the dump that is under way, if there is one; calls ops->done(@error). */
void genl_dump_end(struct genl_dump *d, int error);

#endif /* APFD_GENL_DUMP_H */
