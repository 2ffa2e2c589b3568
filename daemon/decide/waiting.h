/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Domains of libvirt that are not in the registry yet: they are taken in bit by bit, and if there
 * is no room for all, when VMs end.
 */
#ifndef APFD_WAITING_H
#define APFD_WAITING_H

#include <stddef.h>
#include <sys/queue.h>

#include "virt.h"

struct waiting_domain;

TAILQ_HEAD(waiting_list, waiting_domain);

/**
 * struct waiting
 * @list: in the order in which they are taken in: the domain that waits longest is first
 * @n: number of domains
 */
struct waiting {
	struct waiting_list list;
	size_t n;
};

void waiting_init(struct waiting *w);

/* waiting_clear: removes all domains. */
void waiting_clear(struct waiting *w);

/*
 * waiting_append: adds a copy of @d. The caller knows that no domain with this UUID waits. 0 or
 * -ENOMEM.
 */
int waiting_append(struct waiting *w, const struct virt_domain *d);

/*
 * waiting_update: as waiting_append(), but a domain that waits already keeps its place, unless it
 * was started again, which its new number shows. @d is from an event, without metadata. 0 or
 * -ENOMEM.
 */
int waiting_update(struct waiting *w, const struct virt_domain *d);

/* waiting_forget_metadata: the metadata of the domain have changed, or could not be read. */
void waiting_forget_metadata(struct waiting *w, const char *uuid);

/* waiting_remove: the domain does not run any more; it need not be here. */
void waiting_remove(struct waiting *w, const char *uuid);

/* waiting_take: removes the first domain; the caller frees name and metadata. 1; 0: none waits. */
int waiting_take(struct waiting *w, struct virt_domain *ret);

#endif /* APFD_WAITING_H */
