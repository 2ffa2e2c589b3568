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
