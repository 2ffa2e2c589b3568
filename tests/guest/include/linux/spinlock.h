/* SPDX-License-Identifier: GPL-2.0 */
#ifndef APF_TEST_SPINLOCK_H
#define APF_TEST_SPINLOCK_H

#include <pthread.h>

typedef pthread_mutex_t raw_spinlock_t;

#define raw_spin_lock_init(l)		     pthread_mutex_init(l, NULL)
#define raw_spin_lock(l)		     pthread_mutex_lock(l)
#define raw_spin_unlock(l)		     pthread_mutex_unlock(l)
#define raw_spin_lock_irqsave(l, flags)	     ((void)((flags) = 0), (void)pthread_mutex_lock(l))
#define raw_spin_unlock_irqrestore(l, flags) ((void)(flags), (void)pthread_mutex_unlock(l))

#endif
