/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stand-ins for what report.c, guest.c and stats.c of apf_host use of the kernel, each with no
 * more in it than they use. The names and what they promise are the kernel's. All other headers
 * of linux/ here include this one.
 */
#ifndef APF_FUZZ_KERNEL_H
#define APF_FUZZ_KERNEL_H

#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef unsigned int uint;
typedef struct {
	u64 counter;
} atomic64_t;
typedef struct {
	int taken;
} raw_spinlock_t;
typedef struct {
	unsigned int sequence;
} seqcount_t;

#define U32_MAX	      UINT32_MAX
#define U64_MAX	      UINT64_MAX
#define NSEC_PER_MSEC 1000000
#define NSEC_PER_USEC 1000
#define GFP_KERNEL    0
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

static inline u64 atomic64_read(const atomic64_t *v)
{
	return v->counter;
}

static inline void atomic64_set(atomic64_t *v, u64 value)
{
	v->counter = value;
}

static inline u64 atomic64_cmpxchg(atomic64_t *v, u64 old, u64 value)
{
	u64 before = v->counter;

	if (before == old)
		v->counter = value;
	return before;
}

#define atomic64_xchg(v, value) atomic64_set(v, value)

static inline void seqcount_init(seqcount_t *s)
{
	s->sequence = 0;
}

#define raw_write_seqcount_begin(s)  ((void)(s)->sequence++)
#define raw_write_seqcount_end(s)    ((void)(s)->sequence++)
#define read_seqcount_begin(s)	     ((s)->sequence)
#define read_seqcount_retry(s, seq)  ((s)->sequence != (seq))
#define preempt_disable()	     ((void)0)
#define preempt_enable()	     ((void)0)

static inline unsigned int fls64(u64 x)
{
	return x ? 64 - (unsigned int)__builtin_clzll(x) : 0;
}

#define pr_err(...)	    fprintf(stderr, __VA_ARGS__)
#define kmalloc(size, flags) malloc(size)
#define kfree(p)	    free(p)

static inline u64 div_u64(u64 a, u32 b)
{
	return a / b;
}

u64 ktime_get_ns(void);
/* Returns 0 if all was copied, else -EFAULT. */
long copy_from_user_nofault(void *to, const void *from, size_t size);

#endif
