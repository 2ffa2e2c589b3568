/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The configuration: apfd.conf and its drop-ins, by systemd's conventions. A
 * struct conf is read whole and then never changed; a reload makes a new one.
 */
#ifndef APFD_CONF_H
#define APFD_CONF_H

#include "policy.h"
#include "settings.h"
#include "util.h"

enum conf_on_exit {
	CONF_ON_EXIT_KEEP,    /* gates stay as they are */
	CONF_ON_EXIT_RESTORE, /* gates become the kernel's own again: on */
};

/**
 * struct conf_vm - one [VM "GLOB"] section
 */
struct conf_vm {
	char *glob;
	struct settings settings;
	bool vcpus_reset; /* an empty VCPUModes= forgets what earlier sections said */
};

/**
 * struct conf
 * @log_level: of syslog(3)
 * @tick_usec: how often everything is read
 * @foreign_vms: also look for VMs that libvirt does not know
 * @dry_run: decide and tell, change nothing
 * @vms: in the order they were read
 * @files: what was read, in that order; NULL at the end
 */
struct conf {
	int log_level;
	uint64_t tick_usec;
	int on_exit;
	bool foreign_vms;
	bool dry_run;
	struct policy_params policy;
	struct conf_vm *vms;
	size_t n_vms;
	char **files;
	size_t n_files;
};

/**
 * struct conf_source - where it is
 * @root: put before every directory, "" for the host's own
 * @file: read this alone, and no drop-ins; NULL: look in the usual places
 */
struct conf_source {
	const char *root;
	const char *file;
};

/**
 * conf_problem_fn - hears of everything that is wrong
 * @error: the assignment is not used; otherwise it is something unknown, which
 *	another version may know
 * @text: "FILE:LINE: what"
 */
typedef void (*conf_problem_fn)(bool error, const char *text, void *userdata);

/*
 * conf_load: defaults, with everything that is right in the files on top.
 * Returns how many errors there were, with *ret set in any case; -ENOMEM.
 */
int conf_load(const struct conf_source *source, conf_problem_fn problem, void *userdata,
	      struct conf **ret);

struct conf *conf_free(struct conf *c);
APF_DEFINE_CLEANUP(struct conf *, conf_free);

/* conf_vm_settings: what the sections that match @name say together; later ones win. */
int conf_vm_settings(const struct conf *c, const char *name, struct settings *ret);

#endif /* APFD_CONF_H */
