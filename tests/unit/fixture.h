/* SPDX-License-Identifier: GPL-2.0 */
/* A tree of made-up files, built anew for each test. */
#ifndef APF_TESTS_FIXTURE_H
#define APF_TESTS_FIXTURE_H

#include "unit.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIXTURE_PATHS_MAX = 16 };

static char fixture_root[] = "/tmp/apfd-test-XXXXXX";

/* Strings that live as long as the program; for a few roots, given in setup. */
static inline const char *fixture_path(const char *name)
{
	static char paths[FIXTURE_PATHS_MAX][PATH_MAX];
	static unsigned int next;
	char *path = paths[next++ % FIXTURE_PATHS_MAX];

	snprintf(path, PATH_MAX, "%s/%s", fixture_root, name);
	return path;
}

static inline void fixture_begin(void)
{
	strcpy(fixture_root + strlen(fixture_root) - 6, "XXXXXX");
	assert_non_null(mkdtemp(fixture_root));
}

/* Directories above @path are made. */
static inline void fixture_parents(char *path)
{
	for (char *p = path + strlen(fixture_root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
}

static inline void fixture_bytes(const char *name, const char *bytes, size_t len)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", fixture_root, name);
	fixture_parents(path);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void fixture_file(const char *name, const char *text)
{
	fixture_bytes(name, text, strlen(text));
}

static inline void fixture_link(const char *name, const char *target)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", fixture_root, name);
	fixture_parents(path);
	assert_int_equal(symlink(target, path), 0);
}

static inline int fixture_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	return remove(path);
}

static inline void fixture_remove(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", fixture_root, name);
	assert_int_equal(nftw(path, fixture_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline int fixture_end(void)
{
	return nftw(fixture_root, fixture_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#endif /* APF_TESTS_FIXTURE_H */
