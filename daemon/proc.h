/* SPDX-License-Identifier: GPL-2.0 */
/* What files tell about a VM's process; every root directory is an argument. */
#ifndef APFD_PROC_H
#define APFD_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * proc_read_pid_file: the number in DIR/NAME.pid, as libvirt leaves it.
 * 0; -EINVAL if @name cannot be a file name or the file holds no PID; -ENOENT
 * and other errors of open(2) and read(2).
 */
int proc_read_pid_file(const char *dir, const char *name, pid_t *ret_pid);

/*
 * proc_find_kvm_vms: the descriptors of KVM VMs that @pid holds, lowest first.
 * Returns how many of them are in @fds, at most @n_max; 0 if it holds none;
 * -ESRCH if there is no such process; -EACCES and other errors of opendir(3).
 */
int proc_find_kvm_vms(const char *proc_root, pid_t pid, int *fds, size_t n_max);

/*
 * proc_swapped_bytes: VmSwap of @pid, bytes. 0; -ESRCH if there is no such
 * process; -ENODATA if it has no memory (kernel thread, zombie); -EBADMSG.
 */
int proc_swapped_bytes(const char *proc_root, pid_t pid, uint64_t *ret_bytes);

/*
 * proc_executable: where the program that @pid runs is, as the kernel says,
 * without what it says of deleted files; fit for the bus. The caller frees
 * *ret. 0; -ESRCH; -ENOENT (kernel thread, zombie); -EACCES; -ENOMEM.
 */
int proc_executable(const char *proc_root, pid_t pid, char **ret);

/*
 * proc_major_faults: total of @pid and its threads. 0; -ESRCH if there is no such
 * process; -EBADMSG.
 */
int proc_major_faults(const char *proc_root, pid_t pid, uint64_t *ret);

/* proc_parse_pid: a name in /proc. 0, or -EINVAL if it is no process's. */
int proc_parse_pid(const char *s, pid_t *ret_pid);

/*
 * proc_start_time: when @pid was started, in clock ticks since boot. With @pid it
 * names one process only, for as long as the host runs. 0; -ESRCH; -EBADMSG.
 */
int proc_start_time(const char *proc_root, pid_t pid, uint64_t *ret_ticks);

#endif /* APFD_PROC_H */
