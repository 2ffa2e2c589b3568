/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_TEST_ATOMIC_H
#define APF_TEST_ATOMIC_H

/* Unsigned, so that the sanitisers accept that it wraps, which in the kernel it may. */
typedef struct {
	unsigned int counter;
} atomic_t;

static inline int atomic_read(const atomic_t *v)
{
	return (int)__atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_inc(atomic_t *v)
{
	__atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED);
}

static inline void atomic_dec(atomic_t *v)
{
	__atomic_fetch_sub(&v->counter, 1, __ATOMIC_RELAXED);
}

#endif
