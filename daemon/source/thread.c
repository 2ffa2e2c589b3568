/* SPDX-License-Identifier: GPL-2.0 */
#include "thread.h"

#include <signal.h>
#include <time.h>

#include "util.h"

int thread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int thread_join_until(pthread_t thread, uint64_t until_usec)
{
	const struct timespec until = {
		.tv_sec = (time_t)(until_usec / USEC_PER_SEC),
		.tv_nsec = (long)(until_usec % USEC_PER_SEC) * 1000,
	};

	return -pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
}
