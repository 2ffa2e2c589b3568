/* SPDX-License-Identifier: GPL-2.0 */
#include "utf8.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

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

void utf8_make_valid(char *s)
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

void utf8_excerpt(const char *s, char *buf, size_t size)
{
	size_t len = strnlen(s, size);

	/* Step back to where a character begins. */
	if (len == size)
		for (len--; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80; len--)
			;
	memcpy(buf, s, len);
	buf[len] = '\0';
}
