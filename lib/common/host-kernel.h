/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Facts from files about the running kernel and its modules: which kernel it is, whether
 * apf_host is installed for it, and why building or loading apf_host may fail.
 * doctor-host.c interprets these facts.
 */
#ifndef APFD_HOST_KERNEL_H
#define APFD_HOST_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#define HOST_KERNEL(maj, min) ((unsigned int)(maj) << 16 | (unsigned int)(min))

/* apf_host was tested with these kernels; the documentation has the same versions. */
#define HOST_KERNEL_OLDEST HOST_KERNEL(6, 1)
#define HOST_KERNEL_NEWEST HOST_KERNEL(7, 3)
#define HOST_KERNEL_TESTED "6.1 to 7.3"

enum {
	HOST_KERNEL_RELEASE_MAX = 256,
	HOST_KERNEL_PATH_MAX = 512,
	HOST_KERNEL_CONFIGS_MAX = 8,
};

/**
 * struct host_roots - directories to read
 * @proc: usually /proc
 * @sys: usually /sys
 * @modules: usually /lib/modules
 * @boot: usually /boot
 * @var: usually /var/lib
 * @log: usually /var/log
 * @cgroup: usually /sys/fs/cgroup
 * @root: what is put before /etc, /run and /usr; usually ""
 */
struct host_roots {
	const char *proc;
	const char *sys;
	const char *modules;
	const char *boot;
	const char *var;
	const char *log;
	const char *cgroup;
	const char *root;
};

/**
 * struct host_kernel - the running kernel
 * @release: as uname prints it, "" if it cannot be read
 * @number: HOST_KERNEL() of the first two numbers of @release, 0 if it has none
 * @hybrid: name of the distribution if its kernels have an old version but many parts of
 *	newer kernels, so that @number is not meaningful; else ""
 */
struct host_kernel {
	char release[HOST_KERNEL_RELEASE_MAX];
	unsigned int number;
	char hybrid[32];
};

void host_kernel_read(const struct host_roots *roots, struct host_kernel *ret);

/* host_kernel_builtin: the module @name ("kvm-amd") is part of the kernel itself. */
bool host_kernel_builtin(const struct host_roots *roots, const struct host_kernel *k,
			 const char *name);

/* host_kernel_has_symbol: 1, 0; -1: the list of symbols cannot be read. */
int host_kernel_has_symbol(const struct host_roots *roots, const char *name);

/*
 * host_kernel_config: the option @name ("CONFIG_PSI") is y or m: 1, 0; -1: the configuration
 * cannot be read.
 */
int host_kernel_config(const struct host_roots *roots, const struct host_kernel *k,
		       const char *name);

/*
 * host_kernel_waits: a random access to swap waits for its read (Linux 4.14 to 6.5; commit
 * b243dcbf2f13 changed this): 1, 0; -1: not known.
 */
int host_kernel_waits(const struct host_roots *roots, const struct host_kernel *k);

/*
 * host_kernel_keeps_queue: an SMI leaves KVM's queue of outstanding page faults as it is (commit
 * ab4e41eb9fab). 1; 0: it clears the queue, and "page ready" never comes; -1: the version of the
 * kernel does not tell.
 */
int host_kernel_keeps_queue(const struct host_roots *roots, const struct host_kernel *k);

/* Whether the kernel accepts only modules with a valid signature, and why. */
enum host_signing {
	HOST_SIGNING_FREE,
	HOST_SIGNING_LOCKDOWN, /* for example by Secure Boot */
	HOST_SIGNING_ENFORCED, /* module.sig_enforce */
};

enum host_signing host_kernel_signing(const struct host_roots *roots);

/**
 * struct host_module - state of apf_host for the running kernel
 * @listed: the kernel's list of modules contains apf_host: 1, 0; -1: the list cannot
 *	be read
 * @signature: the module's file is signed: 1, 0; -1: the file is compressed or cannot be
 *	read
 * @headers: the kernel's headers are installed: 1, 0; -1: not known
 * @lacking: options that apf_host needs and that the kernel does not have
 * @n_lacking: 0 also if the kernel's options cannot be read
 * @dkms: DKMS has sources of apf_host: 1, 0; -1: the DKMS tree cannot be read
 * @version: the newest version of these sources
 * @skipped: DKMS skipped apf_host for this kernel, because a trial build failed
 * @log: the log of a failed build for this kernel, "" if there is none
 */
struct host_module {
	int listed;
	int signature;
	int headers;
	const char *lacking[HOST_KERNEL_CONFIGS_MAX];
	size_t n_lacking;
	int dkms;
	char version[64];
	bool skipped;
	char log[HOST_KERNEL_PATH_MAX];
};

void host_module_read(const struct host_roots *roots, const struct host_kernel *k,
		      struct host_module *ret);

/**
 * struct host_key - the key that DKMS signs modules with
 * @path: file of the public key; "" if there is none
 * @enrolled: the firmware knows the key: 1, 0; -1: not known
 */
struct host_key {
	char path[HOST_KERNEL_PATH_MAX];
	int enrolled;
};

void host_key_read(const struct host_roots *roots, struct host_key *ret);

#endif /* APFD_HOST_KERNEL_H */
