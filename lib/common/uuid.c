/* SPDX-License-Identifier: GPL-2.0 */
#include "uuid.h"

#include <ctype.h>
#include <errno.h>

#include "util.h"

int uuid_parse(const char *s, char ret_uuid[static UUID_LEN + 1])
{
	char uuid[UUID_LEN + 1];

	for (size_t i = 0; i < UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return -EINVAL;
		uuid[i] = (char)tolower((unsigned char)s[i]);
	}
	if (s[UUID_LEN] != '\0')
		return -EINVAL;
	uuid[UUID_LEN] = '\0';
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}

void uuid_to_path(const char *uuid, char ret_path[static UUID_PATH_LEN + 1])
{
	snprintf(ret_path, UUID_PATH_LEN + 1, "%s/%s", BUS_PATH_VM, uuid);
	for (char *p = ret_path; *p; p++)
		if (*p == '-')
			*p = '_';
}

int uuid_from_path(const char *path, char ret_uuid[static UUID_LEN + 1])
{
	const size_t prefix = sizeof(BUS_PATH_VM "/") - 1;
	char uuid[UUID_LEN + 1];

	if (strlen(path) != UUID_PATH_LEN || strncmp(path, BUS_PATH_VM "/", prefix) != 0)
		return -EINVAL;
	for (size_t i = 0; i <= UUID_LEN; i++) {
		char c = path[prefix + i];

		/* Refuse upper case and dashes, so that each VM has exactly one path. */
		if (isupper((unsigned char)c) || c == '-')
			return -EINVAL;
		uuid[i] = c == '_' ? '-' : c;
	}
	return uuid_parse(uuid, ret_uuid);
}
