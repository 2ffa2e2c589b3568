// SPDX-License-Identifier: GPL-2.0
#include "accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Converts "0.75" to 750; returns 0, which means "not acceptable", if @s is not valid. */
static int parse_quality(const char *s, size_t len)
{
	int value = 0, digit = 100;

	if (len == 0 || len > 5 || (s[0] != '0' && s[0] != '1') || (len > 1 && s[1] != '.'))
		return 0;
	value = (s[0] - '0') * 1000;
	for (size_t i = 2; i < len; i++, digit /= 10) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		value += (s[i] - '0') * digit;
	}
	return value > 1000 ? 0 : value;
}

static void trim(const char **s, size_t *len)
{
	while (*len > 0 && (**s == ' ' || **s == '\t')) {
		(*s)++;
		(*len)--;
	}
	while (*len > 0 && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t'))
		(*len)--;
}

/* Takes the next part of @s, which ends at @separator; false if there is none. */
static bool next_part(const char **s, size_t *len, char separator, const char **ret_part,
		      size_t *ret_len)
{
	const char *end;

	if (!*s)
		return false;
	end = memchr(*s, separator, *len);
	*ret_part = *s;
	*ret_len = end ? (size_t)(end - *s) : *len;
	*len -= *ret_len + (end ? 1 : 0);
	*s = end ? end + 1 : NULL;
	trim(ret_part, ret_len);
	return true;
}

static bool part_is(const char *part, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(part, word, len) == 0;
}

/* Reads one media range of the header: its quality for each format, in thousandths. */
static void read_range(const char *range, size_t range_len, int *openmetrics, int *text)
{
	const char *s = range, *part;
	size_t len = range_len, part_len;
	bool is_openmetrics, is_text, known = true;
	int quality = 1000;

	if (!next_part(&s, &len, ';', &part, &part_len))
		return;
	is_openmetrics = part_is(part, part_len, "application/openmetrics-text");
	is_text = part_is(part, part_len, "text/plain");
	while (next_part(&s, &len, ';', &part, &part_len)) {
		if (part_len > 2 && strncasecmp(part, "q=", 2) == 0)
			quality = parse_quality(part + 2, part_len - 2);
		else if (is_openmetrics && part_len > 8 && strncasecmp(part, "version=", 8) == 0)
			known = part_is(part, part_len, "version=1.0.0");
	}
	if (is_openmetrics && known && quality > *openmetrics)
		*openmetrics = quality;
	if (is_text && quality > *text)
		*text = quality;
}

enum openmetrics_format accept_format(const char *accept)
{
	int openmetrics = 0, text = 0;
	const char *range;
	size_t len, range_len;

	if (!accept)
		return PROMETHEUS_TEXT;
	len = strlen(accept);
	while (next_part(&accept, &len, ',', &range, &range_len))
		read_range(range, range_len, &openmetrics, &text);
	return openmetrics > 0 && openmetrics >= text ? OPENMETRICS_1_0 : PROMETHEUS_TEXT;
}
