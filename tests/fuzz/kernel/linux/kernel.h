/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stand-ins for what report.c and guest.c of apf_host use of the kernel, each with no more in it
 * than they use. The names and what they promise are the kernel's. All other headers of linux/ here
 * include this one.
 */
#ifndef APF_FUZZ_KERNEL_H
#define APF_FUZZ_KERNEL_H

#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned int uint;
typedef struct {
	u64 counter;
} atomic64_t;
typedef struct {
	int taken;
} raw_spinlock_t;

#define U32_MAX	      UINT32_MAX
#define NSEC_PER_MSEC 1000000
#define __force
#define __user
#define fallthrough	    __attribute__((fallthrough))
#define READ_ONCE(x)	    (x)
#define WRITE_ONCE(x, v)    ((x) = (v))
#define min_t(type, a, b)   ((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define module_param(...)   _Static_assert(1, "")
#define MODULE_PARM_DESC(...) _Static_assert(1, "")
#define smp_rmb()	    ((void)0)
#define le16_to_cpu(x)	    ((u16)(x))
#define le32_to_cpu(x)	    ((u32)(x))
#define offset_in_page(p)   ((unsigned long)(p) & 4095)

/* One thread: a lock that is taken twice, or left, aborts. */
void fuzz_check(int condition);

static inline void raw_spin_lock_init(raw_spinlock_t *l)
{
	l->taken = 0;
}

#define raw_spin_lock_irqsave(l, flags) \
	((flags) = 0, fuzz_check(!(l)->taken), (void)((l)->taken = 1))
#define raw_spin_unlock_irqrestore(l, flags) \
	((void)(flags), fuzz_check((l)->taken), (void)((l)->taken = 0))

static inline void atomic64_inc(atomic64_t *v)
{
	v->counter++;
}

static inline u64 div_u64(u64 a, u32 b)
{
	return a / b;
}

u64 ktime_get_ns(void);
/* Returns 0 if all was copied, else -EFAULT. */
long copy_from_user_nofault(void *to, const void *from, size_t size);

#endif
