/* SPDX-License-Identifier: GPL-2.0 */
#include "number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RATE_MIN_BYTES (UINT64_C(1) << 20)
#define RATE_MAX_BYTES (UINT64_C(1) << 40)

int number_parse(const char **s, const char *ends, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	if (**s < '0' || **s > '9')
		return -EBADMSG;
	errno = 0;
	v = strtoull(*s, &end, 10);
	/* strchr() finds the end of the text, too. */
	if (errno || !strchr(ends, *end))
		return -EBADMSG;
	*s = end;
	*ret = v;
	return 0;
}

int number_after_key(const char *line, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);
	uint64_t value;
	int r;

	if (strncmp(line, key, len) != 0)
		return -ENOENT;
	line += len;
	if (len > 0 && key[len - 1] == ':')
		line += strspn(line, " ");
	r = number_parse(&line, " \n", &value);
	if (r < 0)
		return r;
	if (strncmp(line, " kB", 3) == 0)
		line += 3;
	if (*line && *line != '\n')
		return -EBADMSG;
	*ret = value;
	return 0;
}

const char *number_next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

int number_find(const char *text, const char *key, uint64_t *ret)
{
	int r = -ENOENT;

	for (; *text && r == -ENOENT; text = number_next_line(text))
		r = number_after_key(text, key, ret);
	return r;
}

int number_parse_bytes(const char *s, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t v;

	if (number_parse(&s, "KMGT", &v) < 0)
		return *s >= '0' && *s <= '9' && s[strspn(s, "0123456789")] == '\0' ? -ERANGE
										    : -EINVAL;
	unit = *s ? strchr(units, *s) : NULL;
	if (unit && s[1])
		return -EINVAL;
	for (; unit && unit >= units; unit--) {
		if (v > INT64_MAX / 1024)
			return -ERANGE;
		v *= 1024;
	}
	if (v > INT64_MAX)
		return -ERANGE;
	*ret = v;
	return 0;
}

int number_parse_rate(const char *s, uint64_t *ret)
{
	uint64_t bytes;
	int r;

	if (strcmp(s, "unlimited") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	r = number_parse_bytes(s, &bytes);
	if (r < 0)
		return r;
	if (bytes < RATE_MIN_BYTES || bytes > RATE_MAX_BYTES)
		return -ERANGE;
	*ret = bytes;
	return 0;
}
