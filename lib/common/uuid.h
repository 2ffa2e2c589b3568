/* SPDX-License-Identifier: GPL-2.0 */
/* The UUID of a VM, and the object path made from it. */
#ifndef APF_UUID_H
#define APF_UUID_H

#include <stddef.h>

#include "names.h"

#define UUID_LEN      36
#define UUID_PATH_LEN (sizeof(BUS_PATH_VM "/") - 1 + UUID_LEN)

/* uuid_parse: parses the canonical form in any case, and returns lower case. 0 or -EINVAL. */
int uuid_parse(const char *s, char ret_uuid[static UUID_LEN + 1]);

/* uuid_to_path: @uuid must be lower case and canonical. */
void uuid_to_path(const char *uuid, char ret_path[static UUID_PATH_LEN + 1]);

/* uuid_from_path: 0, or -EINVAL if @path is not the path of a VM. */
int uuid_from_path(const char *path, char ret_uuid[static UUID_LEN + 1]);

#endif /* APF_UUID_H */
