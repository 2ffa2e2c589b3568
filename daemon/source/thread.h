/* SPDX-License-Identifier: GPL-2.0 */
/* Threads beside the event loop. */
#ifndef APFD_THREAD_H
#define APFD_THREAD_H

#include <pthread.h>
#include <stdint.h>

/*
 * thread_create: as pthread_create(), but the thread handles no signal: only the thread of the
 * event loop does. 0 or -errno.
 */
int thread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg);

/* thread_join_until: waits for the end of @thread until @until_usec, CLOCK_MONOTONIC: the clock of
 * the day may be set meanwhile. 0; -ETIMEDOUT: it still runs. */
int thread_join_until(pthread_t thread, uint64_t until_usec);

#endif /* APFD_THREAD_H */
