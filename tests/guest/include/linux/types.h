/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stand-ins for the headers of the kernel that the table core includes, each with no more in it
 * than the core uses. The names and what they promise are the kernel's.
 */
#ifndef APF_TEST_TYPES_H
#define APF_TEST_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

#endif
