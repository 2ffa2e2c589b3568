/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few primitives the table core stands on, once for the kernel and once for user space, where
 * the same core runs under the thread and address sanitisers and the fuzzer.
 *
 * Everything else the core needs (memory, waking a task, switching APF) reaches it through
 * struct apf_table_ops.
 */
#ifndef APF_GUEST_PLATFORM_H
#define APF_GUEST_PLATFORM_H

#ifdef __KERNEL__

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/spinlock.h>
#include <linux/types.h>

typedef raw_spinlock_t apf_lock_t;

#define apf_lock_init(l)	  raw_spin_lock_init(l)
#define apf_lock(l)		  raw_spin_lock(l)
#define apf_unlock(l)		  raw_spin_unlock(l)
#define apf_lock_irqsave(l, f)	  raw_spin_lock_irqsave(l, f)
#define apf_unlock_irqrestore(l, f) raw_spin_unlock_irqrestore(l, f)

#define apf_read(x)		  READ_ONCE(x)
#define apf_write(x, v)		  WRITE_ONCE(x, v)
#define apf_load_acquire(p)	  smp_load_acquire(p)
#define apf_store_release(p, v)	  smp_store_release(p, v)
/* Fully ordered; returns what was there. */
#define apf_cmpxchg(p, old, new)  cmpxchg(p, old, new)

typedef atomic_t apf_count_t;

static inline void apf_count_add(apf_count_t *c, int n)
{
	atomic_add(n, c);
}

static inline u32 apf_count_read(const apf_count_t *c)
{
	return (u32)atomic_read(c);
}

#else

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;

typedef pthread_mutex_t apf_lock_t;

#define apf_lock_init(l)	  pthread_mutex_init(l, NULL)
#define apf_lock(l)		  pthread_mutex_lock(l)
#define apf_unlock(l)		  pthread_mutex_unlock(l)
#define apf_lock_irqsave(l, f)	  ((void)((f) = 0), (void)pthread_mutex_lock(l))
#define apf_unlock_irqrestore(l, f) ((void)(f), (void)pthread_mutex_unlock(l))

#define apf_read(x)		  __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define apf_write(x, v)		  __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define apf_load_acquire(p)	  __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define apf_store_release(p, v)	  __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define apf_cmpxchg(p, old, new)  __sync_val_compare_and_swap(p, old, new)

typedef struct {
	u32 v;
} apf_count_t;

static inline void apf_count_add(apf_count_t *c, int n)
{
	__atomic_fetch_add(&c->v, (u32)n, __ATOMIC_RELAXED);
}

static inline u32 apf_count_read(const apf_count_t *c)
{
	return __atomic_load_n(&c->v, __ATOMIC_RELAXED);
}

#endif

static inline void apf_count_inc(apf_count_t *c)
{
	apf_count_add(c, 1);
}

#endif
