/* SPDX-License-Identifier: GPL-2.0 */
#include "name.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>

#include "util.h"

enum {
	NEAR_MAX = 3,		/* a hint, not a listing */
	DISTANCE_LEN_MAX = 255, /* libvirt's longest name; bounds the matrix rows */
};

int name_parse_uuid(const char *s, char ret_uuid[static NAME_UUID_LEN + 1])
{
	char uuid[NAME_UUID_LEN + 1];

	for (size_t i = 0; i < NAME_UUID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return -EINVAL;
		uuid[i] = (char)tolower((unsigned char)s[i]);
	}
	if (s[NAME_UUID_LEN] != '\0')
		return -EINVAL;
	uuid[NAME_UUID_LEN] = '\0';
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}

void name_uuid_to_path(const char *uuid, char ret_path[static NAME_PATH_LEN + 1])
{
	snprintf(ret_path, NAME_PATH_LEN + 1, "%s/%s", NAME_PATH_VM, uuid);
	for (char *p = ret_path; *p; p++)
		if (*p == '-')
			*p = '_';
}

int name_path_to_uuid(const char *path, char ret_uuid[static NAME_UUID_LEN + 1])
{
	const size_t prefix = sizeof(NAME_PATH_VM "/") - 1;
	char uuid[NAME_UUID_LEN + 1];

	if (strlen(path) != NAME_PATH_LEN || strncmp(path, NAME_PATH_VM "/", prefix) != 0)
		return -EINVAL;
	for (size_t i = 0; i <= NAME_UUID_LEN; i++) {
		char c = path[prefix + i];

		/* Exactly one path for each VM: neither upper case nor dashes. */
		if (isupper((unsigned char)c) || c == '-')
			return -EINVAL;
		uuid[i] = c == '_' ? '-' : c;
	}
	return name_parse_uuid(uuid, ret_uuid);
}

unsigned int name_distance(const char *a, const char *b)
{
	/* Three rows of the matrix: a swap looks two rows back. */
	unsigned int rows[3][DISTANCE_LEN_MAX + 1];
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > DISTANCE_LEN_MAX || len_b > DISTANCE_LEN_MAX)
		return UINT_MAX;

	for (size_t j = 0; j <= len_b; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= len_a; i++) {
		unsigned int *cur = rows[i % 3], *prev = rows[(i + 2) % 3];
		const unsigned int *prev2 = rows[(i + 1) % 3];
		int ca = tolower((unsigned char)a[i - 1]);

		cur[0] = (unsigned int)i;
		for (size_t j = 1; j <= len_b; j++) {
			int cb = tolower((unsigned char)b[j - 1]);
			unsigned int d = prev[j - 1] + (ca != cb);

			d = MIN_OF(d, prev[j] + 1);
			d = MIN_OF(d, cur[j - 1] + 1);
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]))
				d = MIN_OF(d, prev2[j - 2] + 1);
			cur[j] = d;
		}
	}
	return rows[len_a % 3][len_b];
}

/* Nearer first; equally near ones as people sort them. */
static bool nearer(const char *a, unsigned int distance_a, const char *b, unsigned int distance_b)
{
	return distance_a != distance_b ? distance_a < distance_b : strverscmp(a, b) < 0;
}

int name_near(const char *wanted, const char *const *names, size_t n_names, char **ret_text)
{
	struct {
		const char *name;
		unsigned int distance;
	} best[NEAR_MAX];
	size_t n_best = 0, len = strlen(wanted), size = 1;
	_cleanup_free_ char *text = NULL;

	if (len == 0 || len > DISTANCE_LEN_MAX) {
		*ret_text = NULL;
		return 0;
	}

	for (size_t i = 0; i < n_names; i++) {
		unsigned int d = name_distance(wanted, names[i]), limit = len < 3 ? 1 : len / 3;
		size_t at;

		/* A part of a name is near to it, however much is missing. */
		if (len >= 2 && d > limit && strcasestr(names[i], wanted))
			d = limit;
		if (d > limit)
			continue;
		for (at = n_best;
		     at > 0 && nearer(names[i], d, best[at - 1].name, best[at - 1].distance); at--)
			if (at < NEAR_MAX)
				best[at] = best[at - 1];
		if (at == NEAR_MAX)
			continue;
		best[at].name = names[i];
		best[at].distance = d;
		n_best = MIN_OF(n_best + 1, (size_t)NEAR_MAX);
	}
	if (n_best == 0) {
		*ret_text = NULL;
		return 0;
	}

	for (size_t i = 0; i < n_best; i++)
		size += strlen(best[i].name) + strlen(" or ");
	text = calloc(1, size);
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < n_best; i++) {
		strcat(text, i == 0 ? "" : i == n_best - 1 ? " or " : ", ");
		strcat(text, best[i].name);
	}
	*ret_text = TAKE_PTR(text);
	return 1;
}

/* Length of the valid UTF-8 sequence at @s, 0 if there is none. */
static size_t utf8_length(const unsigned char *s)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	code = s[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < lowest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

void name_make_utf8(char *s)
{
	while (*s) {
		size_t len = utf8_length((unsigned char *)s);

		if (len == 0 || (len == 1 && iscntrl((unsigned char)*s))) {
			*s = '?';
			len = 1;
		}
		s += len;
	}
}

void name_excerpt(const char *s, char *buf, size_t size)
{
	size_t len = strnlen(s, size);

	/* Step back to where a character begins. */
	if (len == size)
		for (len--; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80; len--)
			;
	memcpy(buf, s, len);
	buf[len] = '\0';
}
