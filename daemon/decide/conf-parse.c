/* SPDX-License-Identifier: GPL-2.0 */
#include "conf-parse.h"

#include <errno.h>
#include <syslog.h>

#include "util.h"

/* More digits would be useless, and the sums below could overflow. */
#define DIGITS_MAX 15

int conf_parse_bool(const char *s, bool *ret)
{
	static const struct {
		const char *name;
		bool value;
	} table[] = {
		{ "yes", true }, { "no", false },  { "true", true }, { "false", false },
		{ "on", true },	 { "off", false }, { "1", true },    { "0", false },
	};

	for (size_t i = 0; i < ELEMENTSOF(table); i++)
		if (streq(s, table[i].name)) {
			*ret = table[i].value;
			return 0;
		}
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Parses a number at the start of *s. strtod() also accepts "inf", "0x1p3" and locale formats. */
static int parse_number(const char **s, double *ret)
{
	const char *p = *s;
	double value = 0, scale = 1;
	int digits = 0;

	for (; is_digit(*p); p++, digits++)
		value = value * 10 + (*p - '0');
	if (*p == '.')
		for (p++; is_digit(*p); p++, digits++) {
			scale /= 10;
			value += (*p - '0') * scale;
		}
	if (digits == 0 || digits > DIGITS_MAX)
		return -EINVAL;
	*s = p;
	*ret = value;
	return 0;
}

int conf_parse_span(const char *s, uint64_t max_usec, uint64_t *ret_usec)
{
	static const struct {
		const char *name;
		double usec;
	} units[] = {
		{ "us", 1 },	{ "usec", 1 },	 { "ms", 1e3 }, { "msec", 1e3 }, { "s", 1e6 },
		{ "sec", 1e6 }, { "min", 60e6 }, { "m", 60e6 }, { "h", 3600e6 }, { "", 1e6 },
	};
	double sum = 0;
	bool any = false;

	for (;;) {
		double number, unit = 0;
		size_t len = 0;
		int r;

		while (is_blank(*s))
			s++;
		if (!*s)
			break;
		r = parse_number(&s, &number);
		if (r < 0)
			return r;
		while (is_blank(*s))
			s++;
		while (s[len] >= 'a' && s[len] <= 'z')
			len++;
		for (size_t i = 0; i < ELEMENTSOF(units); i++)
			if (strlen(units[i].name) == len && strncmp(s, units[i].name, len) == 0)
				unit = units[i].usec;
		/* Only a single number may lack a unit: in "1 2ms" the unit of the 1 is unclear. */
		if (unit == 0 || (len == 0 && (any || *s)))
			return -EINVAL;
		s += len;
		sum += number * unit;
		any = true;
	}
	if (!any)
		return -EINVAL;
	if (sum > (double)max_usec)
		return -ERANGE;
	*ret_usec = (uint64_t)(sum + 0.5);
	return 0;
}

int conf_parse_uint(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;

	for (; is_digit(s[n]) && n <= DIGITS_MAX; n++)
		value = value * 10 + (uint64_t)(s[n] - '0');
	if (n == 0 || n > DIGITS_MAX || s[n])
		return -EINVAL;
	if (value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

static const char *const levels[] = {
	[LOG_EMERG] = "emerg", [LOG_ALERT] = "alert",	  [LOG_CRIT] = "crit",
	[LOG_ERR] = "err",     [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

int conf_parse_level(const char *s, int *ret)
{
	for (int i = 0; i < (int)ELEMENTSOF(levels); i++)
		if (streq(s, levels[i])) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

const char *conf_level_to_string(int level)
{
	return levels[level];
}
