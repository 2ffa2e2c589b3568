/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The identity of a VM that libvirt does not know: its name, its id and its UUID, from the
 * command line of its VMM, and its scope, from what the VMM cannot choose itself.
 *
 * A command line is only a claim: every user who may open /dev/kvm can write any name and any
 * UUID there. A control group, a PID file of Proxmox, a pod and a user are facts, because only
 * the host's own software sets them. Settings of a VM are stored for a scope and a UUID (or a
 * name), so a VM cannot get the settings of another scope by an equal claim.
 *
 * All functions are pure, except identity_load(), which reads files and may block.
 */
#ifndef APFD_IDENTITY_H
#define APFD_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "vmm-args.h"

enum {
	IDENTITY_NAME_MAX = 2 * VMM_NAME_MAX + 1, /* bytes; NAMESPACE/NAME */
	IDENTITY_SCOPE_MAX = 511,
};

/* The software that starts and stops the VM. */
enum keeper { KEEPER_NONE, KEEPER_PROXMOX, KEEPER_KUBERNETES, KEEPER_MAX = KEEPER_KUBERNETES };

/* keeper_to_string: the name on the bus, "none" for KEEPER_NONE. */
const char *keeper_to_string(enum keeper keeper);

/**
 * struct identity - all strings are valid UTF-8 without control characters
 * @name: the name that the VM claims, or one made from facts; "" if none
 * @id: the id of the keeper or of the VMM, "" if none: Proxmox's number, the UID of the pod,
 *	the --id of Firecracker
 * @id_is_fact: @id is confirmed by the PID file or the control group
 * @uuid: the UUID that the VM claims, lower case; "" if none
 * @scope: see above; "" if not even the user is known
 */
struct identity {
	enum vmm vmm;
	enum keeper keeper;
	char name[IDENTITY_NAME_MAX + 1];
	char id[IDENTITY_NAME_MAX + 1];
	bool id_is_fact;
	char uuid[UUID_LEN + 1];
	char scope[IDENTITY_SCOPE_MAX + 1];
};

/**
 * struct identity_facts - what was read about a process
 * @args: the command line; its text is NULL if it was not read
 * @executable: path of the program, NULL if not known
 * @cgroup: path of the control group, "" if not known
 * @uid: real user, -1 if not known
 * @proxmox_id: number of the Proxmox VM whose PID file names the process, "" if none
 * @pod_namespace, @pod_name: of the pod in whose control group the process is, "" if not known
 */
struct identity_facts {
	struct vmm_args args;
	const char *executable;
	const char *cgroup;
	long long uid;
	const char *proxmox_id;
	const char *pod_namespace;
	const char *pod_name;
};

/* identity_make: decides about all fields of *ret. */
void identity_make(const struct identity_facts *facts, struct identity *ret);

/*
 * identity_cgroup: the control group of a process from the text of /proc/PID/cgroup: of the
 * memory controller of version 1, else of version 2, else systemd's. 0; -ENOENT; -EBADMSG.
 */
int identity_cgroup(const char *text, char *ret_path, size_t size);

/* identity_pod_uid: the UID of the pod that @cgroup belongs to. 0 or -ENOENT. */
int identity_pod_uid(const char *cgroup, char *ret_uid, size_t size);

/* identity_proxmox_id: the number in a group /qemu.slice/101.scope. 0 or -ENOENT. */
int identity_proxmox_id(const char *cgroup, char *ret_id, size_t size);

/*
 * identity_lasts: the VM can be found again after a restart, so settings can be stored for it:
 * it has a scope, and a UUID or a name.
 */
bool identity_lasts(const struct identity *i);

/* identity_uuid: the claimed UUID, or one made of scope and name. -ENOENT if identity_lasts() is
 * false. The caller checks that no other VM has this UUID. */
int identity_uuid(const struct identity *i, char ret_uuid[static UUID_LEN + 1]);

/**
 * struct identity_roots - where to read
 * @proc_root: usually /proc
 * @run_root: usually /run; Proxmox's PID files are in its folder qemu-server
 * @pods_dir: usually /var/log/pods; kubelet makes a folder NAMESPACE_POD_UID there for each pod
 */
struct identity_roots {
	const char *proc_root;
	const char *run_root;
	const char *pods_dir;
};

/*
 * identity_load: reads everything about process @pid. @args: as in struct identity_facts. May
 * block in file systems. What cannot be read counts as not known.
 */
void identity_load(const struct identity_roots *roots, pid_t pid, const struct vmm_args *args,
		   struct identity *ret);

/*
 * identity_fact_id: the id if it is a fact, else "": one that is only claimed could be that of
 * another VM. @i: NULL for a VM of libvirt.
 */
const char *identity_fact_id(const struct identity *i);

#endif /* APFD_IDENTITY_H */
