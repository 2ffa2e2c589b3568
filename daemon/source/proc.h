/* SPDX-License-Identifier: GPL-2.0 */
/* Facts about a VM's process from files; every root directory is an argument. */
#ifndef APFD_PROC_H
#define APFD_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * proc_read_pid_file: reads the PID in DIR/NAME.pid, a file that libvirt writes.
 * 0; -EINVAL if @name cannot be a file name or the file does not contain a PID;
 * -ENOENT and other errors of open(2) and read(2).
 */
int proc_read_pid_file(const char *dir, const char *name, pid_t *ret_pid);

/*
 * proc_find_kvm_vms: the descriptors of KVM VMs that @pid holds, lowest first.
 * Returns the number of entries in @fds, at most @n_max; 0 if @pid holds none;
 * -ESRCH if there is no such process; -EACCES and other errors of opendir(3).
 */
int proc_find_kvm_vms(const char *proc_root, pid_t pid, int *fds, size_t n_max);

/*
 * proc_swapped_bytes: VmSwap of @pid, in bytes: without shared memory (memfd, tmpfs, System V).
 * @ret_shmem_bytes: RssShmem, the shared memory that is resident; 0 before Linux 4.5.
 * 0; -ESRCH if there is no such process; -ENODATA if the process has no memory (kernel
 * thread, zombie); -EBADMSG; other errors of open(2).
 */
int proc_swapped_bytes(const char *proc_root, pid_t pid, uint64_t *ret_bytes,
		       uint64_t *ret_shmem_bytes);

/*
 * proc_shmem_mapped_bytes: how much shared memory @pid has mapped, resident or not, by
 * /proc/PID/maps. Files of a file system without a block device count, too, because they may be
 * on tmpfs. 0; -ESRCH; -EACCES; -E2BIG: too many mappings to look at.
 */
int proc_shmem_mapped_bytes(const char *proc_root, pid_t pid, uint64_t *ret_bytes);

/*
 * proc_executable: path of the program that @pid runs, as valid UTF-8, without the
 * kernel's suffix for deleted files. The caller frees *ret. 0; -ENOENT or -ESRCH (no
 * such process, kernel thread, zombie); -EACCES; -ENOMEM.
 */
int proc_executable(const char *proc_root, pid_t pid, char **ret);

/*
 * proc_major_faults: total number of major faults of @pid and its threads. 0; -ESRCH if
 * there is no such process; -EBADMSG.
 */
int proc_major_faults(const char *proc_root, pid_t pid, uint64_t *ret);

/* proc_parse_pid: parses a name in /proc. 0, or -EINVAL if @s is not a PID. */
int proc_parse_pid(const char *s, pid_t *ret_pid);

/*
 * proc_start_time: start time of @pid, in clock ticks since boot. PID and start time
 * together identify a process until the host reboots. 0; -ESRCH; -EBADMSG.
 */
int proc_start_time(const char *proc_root, pid_t pid, uint64_t *ret_ticks);

enum {
	PROC_LABEL_MAX = 160, /* of a label; longer ones are truncated */
	PROC_REFUSAL_MAX = 2 * PROC_LABEL_MAX + 64,
};

/*
 * proc_label: the label that AppArmor or SELinux has given to @pid, as "NAME (enforce)" or
 * "unconfined" by AppArmor and "user:role:type:level" by SELinux. 0; -ENODATA: there is none;
 * -ESRCH and other errors of open(2) and read(2).
 */
int proc_label(const char *proc_root, pid_t pid, char ret[static PROC_LABEL_MAX]);

/*
 * proc_refusal_text: whom to ask if the kernel refuses to let apfd access @pid: the labels of
 * both, to be appended to an error text. "" if there are no labels, or if apfd is not confined.
 */
void proc_refusal_text(const char *proc_root, pid_t pid, char ret[static PROC_REFUSAL_MAX]);

#endif /* APFD_PROC_H */
