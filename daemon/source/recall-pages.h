/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages of a process that are on swap: finds them, requests them, maps them again.
 *
 * /proc/PID/pagemap says of each private page whether it is on swap. It says nothing of shared
 * memory (memfd, tmpfs): the kernel removes such pages from the page table. Of shared memory, each
 * page that is not mapped counts if the file has data there, on swap or not; for this, the process
 * must have a descriptor of the file. A page without data must not be touched: the kernel would
 * allocate it.
 */
#ifndef APFD_RECALL_PAGES_H
#define APFD_RECALL_PAGES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util.h"

struct recall_pages;

/*
 * recall_pages_open: reads the list of mappings. 0; -ESRCH if there is no such process; -EACCES,
 * -EPERM: not allowed; -ENOMEM; other errors of open(2).
 */
int recall_pages_open(const char *proc_root, pid_t pid, struct recall_pages **ret);
struct recall_pages *recall_pages_free(struct recall_pages *p);
APF_DEFINE_CLEANUP(struct recall_pages *, recall_pages_free);

/*
 * recall_pages_next: the next pages, by address, up to @n_max. Looks at a few thousand pages at
 * most, so that the caller can end the search. *ret_n may be 0. 1: there may be more; 0: that were
 * all; -errno.
 */
int recall_pages_next(struct recall_pages *p, uint64_t *addresses, size_t n_max, size_t *ret_n);

/* recall_pages_rewind: begins again. */
void recall_pages_rewind(struct recall_pages *p);

/*
 * recall_pages_request: lets the kernel start reading these pages, without waiting for them. They
 * are read into the swap cache, but not mapped. 0; -EPERM, -ENOSYS: not possible; -ESRCH.
 */
int recall_pages_request(int pidfd, const uint64_t *addresses, size_t n, size_t page_bytes);

/*
 * recall_pages_touch: reads a byte of each page, which maps it, and waits for pages that are not
 * read yet. A page that has gone meanwhile is skipped. 0; -ESRCH; -EPERM.
 */
int recall_pages_touch(pid_t pid, const uint64_t *addresses, size_t n);

#endif /* APFD_RECALL_PAGES_H */
