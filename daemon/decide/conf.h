/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The configuration: apfd.conf and its drop-ins, by systemd's conventions. A
 * struct conf never changes after conf_load(); a reload makes a new one.
 */
#ifndef APFD_CONF_H
#define APFD_CONF_H

#include "policy.h"
#include "settings.h"
#include "util.h"

enum conf_on_exit {
	CONF_ON_EXIT_KEEP,    /* gates stay as they are */
	CONF_ON_EXIT_RESTORE, /* set all gates to on, as without apfd */
};

enum conf_foreign {
	CONF_FOREIGN_NO,
	CONF_FOREIGN_YES,
	CONF_FOREIGN_AUTO, /* until libvirt answers for the first time */
};

/**
 * struct conf_vm - one [VM "GLOB"] section
 */
struct conf_vm {
	char *glob;
	struct settings settings;
	bool vcpus_reset;     /* an empty VCPUModes= clears the modes of earlier sections */
	int recall_when_calm; /* 0, 1, or SETTINGS_UNSET */
};

/**
 * struct conf
 * @log_level: of syslog(3)
 * @tick_usec: interval between two readings
 * @foreign_vms: &enum conf_foreign; search for VMs that libvirt does not know
 * @dry_run: announce decisions, but change no gates
 * @recall_rate_bytes: how much a recall brings back a second, at most; RECALL_UNLIMITED
 * @when_calm_usec: the host must be calm for so long before apfd itself starts recalls; 0: never
 * @calm_rate_bytes: as @recall_rate_bytes, for these recalls
 * @vms: [VM] sections, in the order in which they were read
 * @files: the files that were read, in that order; ends with NULL
 */
struct conf {
	int log_level;
	uint64_t tick_usec;
	int on_exit;
	int foreign_vms;
	bool dry_run;
	uint64_t recall_rate_bytes;
	uint64_t when_calm_usec;
	uint64_t calm_rate_bytes;
	struct policy_params policy;
	struct conf_vm *vms;
	size_t n_vms;
	char **files;
	size_t n_files;
};

/**
 * struct conf_source - where the configuration is
 * @root: prefix of every directory, "" for none
 * @file: read only this file, and no drop-ins; NULL: read the usual files
 */
struct conf_source {
	const char *root;
	const char *file;
};

/**
 * conf_problem_fn - called for each problem in the configuration
 * @error: true if a value is invalid and is ignored; false if a key or section is
 *	unknown, but another version may know it
 * @text: "FILE:LINE: problem"
 */
typedef void (*conf_problem_fn)(bool error, const char *text, void *userdata);

/*
 * conf_load: sets defaults, then applies every valid assignment in the files.
 * Returns the number of errors, with *ret set even if there were some; -ENOMEM.
 */
int conf_load(const struct conf_source *source, conf_problem_fn problem, void *userdata,
	      struct conf **ret);

struct conf *conf_free(struct conf *c);
APF_DEFINE_CLEANUP(struct conf *, conf_free);

/*
 * conf_vm_settings: merges all sections that match @name or @id; later sections take precedence.
 * @id: "" if the VM has none.
 */
int conf_vm_settings(const struct conf *c, const char *name, const char *id, struct settings *ret);

/* conf_vm_recall: apfd may start recalls of such a VM; arguments as for conf_vm_settings(). */
bool conf_vm_recall(const struct conf *c, const char *name, const char *id);

#endif /* APFD_CONF_H */
