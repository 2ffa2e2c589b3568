/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scope-bound release of resources, shared by all userspace parts. Nothing here
 * is ABI.
 *
 *	_cleanup_free_ char *name = NULL;
 *	_cleanup_(vm_freep) struct vm *vm = NULL;
 *	...
 *	*ret_vm = TAKE_PTR(vm);
 */
#ifndef APF_CLEANUP_H
#define APF_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(func) __attribute__((cleanup(func)))

/* Returns the pointer and sets the variable to NULL, so that the scope does not free it. */
#define TAKE_PTR(ptr)                          \
	({                                     \
		__typeof__(ptr) *_pp = &(ptr); \
		__typeof__(ptr) _p = *_pp;     \
		*_pp = NULL;                   \
		_p;                            \
	})

/* The same for a descriptor; sets the variable to -EBADF. */
#define TAKE_FD(fd)                \
	({                         \
		int *_fdp = &(fd); \
		int _fd = *_fdp;   \
		*_fdp = -EBADF;    \
		_fd;               \
	})

/* Defines func##p() for _cleanup_(); @func is not called for NULL. */
#define APF_DEFINE_CLEANUP(type, func)      \
	static inline void func##p(type *p) \
	{                                   \
		if (*p)                     \
			func(*p);           \
	}                                   \
	struct apf_cleanup_##func

static inline void apf_freep(void *p)
{
	free(*(void **)p);
}

static inline void apf_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

APF_DEFINE_CLEANUP(FILE *, fclose);

#define _cleanup_free_	 _cleanup_(apf_freep)
#define _cleanup_close_	 _cleanup_(apf_closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

#endif
