/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_TEST_LIST_H
#define APF_TEST_LIST_H

#include <linux/types.h>

#define HLIST_HEAD(name)     struct hlist_head name = { NULL }
#define INIT_HLIST_HEAD(ptr) ((ptr)->first = NULL)

static inline int hlist_empty(const struct hlist_head *h)
{
	return !h->first;
}

static inline void hlist_add_head(struct hlist_node *n, struct hlist_head *h)
{
	n->next = h->first;
	n->pprev = &h->first;
	if (h->first)
		h->first->pprev = &n->next;
	h->first = n;
}

/* As the kernel's: whoever uses the node afterwards faults. */
static inline void hlist_del(struct hlist_node *n)
{
	*n->pprev = n->next;
	if (n->next)
		n->next->pprev = n->pprev;
	n->next = (struct hlist_node *)0x100;
	n->pprev = (struct hlist_node **)0x122;
}

#define hlist_entry_safe(ptr, type, member)                                                        \
	((ptr) ? (type *)((char *)(ptr) - offsetof(type, member)) : NULL)

#define hlist_for_each_entry(pos, head, member)                                                    \
	for (pos = hlist_entry_safe((head)->first, __typeof__(*(pos)), member); pos;               \
	     pos = hlist_entry_safe((pos)->member.next, __typeof__(*(pos)), member))

#define hlist_for_each_entry_safe(pos, n, head, member)                                            \
	for (pos = hlist_entry_safe((head)->first, __typeof__(*(pos)), member);                    \
	     pos && ((n) = (pos)->member.next, 1);                                                 \
	     pos = hlist_entry_safe(n, __typeof__(*(pos)), member))

#endif
