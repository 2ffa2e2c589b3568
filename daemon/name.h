/* SPDX-License-Identifier: GPL-2.0 */
/* Names of VMs: UUIDs, object paths, near matches, text fit for the bus. */
#ifndef APFD_NAME_H
#define APFD_NAME_H

#include <stddef.h>

#define NAME_UUID_LEN  36
#define NAME_PATH_ROOT "/org/apfd"
#define NAME_PATH_VM   NAME_PATH_ROOT "/vm"
#define NAME_PATH_LEN  (sizeof(NAME_PATH_VM "/") - 1 + NAME_UUID_LEN)

/* name_parse_uuid: @s in canonical form, any case, to lower case. 0 or -EINVAL. */
int name_parse_uuid(const char *s, char ret_uuid[static NAME_UUID_LEN + 1]);

/* name_uuid_to_path: @uuid is lower case and canonical. */
void name_uuid_to_path(const char *uuid, char ret_path[static NAME_PATH_LEN + 1]);

/* name_path_to_uuid: 0, or -EINVAL if @path is no VM's. */
int name_path_to_uuid(const char *path, char ret_uuid[static NAME_UUID_LEN + 1]);

/*
 * name_distance: how many characters must be inserted, removed, replaced or
 * swapped with their neighbour to get from @a to @b, letter case aside.
 * Strings of more than 255 bytes are too far from everything (UINT_MAX).
 */
unsigned int name_distance(const char *a, const char *b);

/*
 * name_near: the few of @names that somebody who typed @wanted may have meant,
 * best first, as "a, b or c". 0 and *ret_text NULL if there are none, 1 if
 * there are, -ENOMEM. The caller frees *ret_text.
 */
int name_near(const char *wanted, const char *const *names, size_t n_names, char **ret_text);

/*
 * name_make_utf8: replaces in place every byte that is not part of valid UTF-8,
 * and every control character, by '?'. The bus refuses anything else.
 */
void name_make_utf8(char *s);

/*
 * name_excerpt: the beginning of @s, as much as fits into @size bytes (at least
 * 1) with the final NUL; valid UTF-8 if @s is.
 */
void name_excerpt(const char *s, char *buf, size_t size);

#endif /* APFD_NAME_H */
