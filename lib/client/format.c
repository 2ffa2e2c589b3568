// SPDX-License-Identifier: GPL-2.0
#include "format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "apf/cleanup.h"

char *format_bytes(char buffer[static FORMAT_MAX], uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t i;

	if (bytes < 1024) {
		snprintf(buffer, FORMAT_MAX, "%u B", (unsigned int)bytes);
		return buffer;
	}
	value /= 1024;
	/* 1023.95 or more would be printed as 1024.0. */
	for (i = 0; value >= 1023.95 && i + 1 < ELEMENTSOF(units); i++)
		value /= 1024;
	snprintf(buffer, FORMAT_MAX, "%.1f %s", value, units[i]);
	return buffer;
}

char *format_nsec(char buffer[static FORMAT_MAX], uint64_t nsec)
{
	static const struct {
		const char *name;
		uint64_t nsec;
		uint64_t below_nsec;
	} units[] = {
		{ "us", 1000ULL, 1000ULL * 1000 },
		{ "ms", 1000ULL * 1000, 1000ULL * 1000 * 1000 },
		{ "s", 1000ULL * 1000 * 1000, 60ULL * 1000 * 1000 * 1000 },
	};
	uint64_t sec = nsec / (1000ULL * 1000 * 1000);

	if (nsec < 1000) {
		snprintf(buffer, FORMAT_MAX, nsec == 0 ? "0" : "%u ns", (unsigned int)nsec);
		return buffer;
	}
	for (size_t i = 0; i < ELEMENTSOF(units); i++) {
		double value = (double)nsec / (double)units[i].nsec;

		/* Use the next unit if rounding would reach it. */
		if (nsec >= units[i].below_nsec - units[i].nsec / 2)
			continue;
		snprintf(buffer, FORMAT_MAX, value < 9.95 ? "%.1f %s" : "%.0f %s", value,
			 units[i].name);
		return buffer;
	}
	if (sec < 60)
		sec = 60;
	if (sec < 3600)
		snprintf(buffer, FORMAT_MAX, "%u min %u s", (unsigned int)(sec / 60),
			 (unsigned int)(sec % 60));
	else if (sec < 24 * 3600)
		snprintf(buffer, FORMAT_MAX, "%u h %u min", (unsigned int)(sec / 3600),
			 (unsigned int)(sec % 3600 / 60));
	else
		snprintf(buffer, FORMAT_MAX, "%llu d %u h", (unsigned long long)(sec / (24 * 3600)),
			 (unsigned int)(sec % (24 * 3600) / 3600));
	return buffer;
}

char *format_usec(char buffer[static FORMAT_MAX], uint64_t usec)
{
	if (usec > UINT64_MAX / 1000)
		usec = UINT64_MAX / 1000;
	return format_nsec(buffer, usec * 1000);
}

char *format_time(char buffer[static FORMAT_MAX], uint64_t usec)
{
	time_t sec = (time_t)(usec / 1000000);
	struct tm tm = {};

	localtime_r(&sec, &tm);
	if (strftime(buffer, FORMAT_MAX, "%Y-%m-%d %H:%M:%S %Z", &tm) == 0)
		buffer[0] = '\0';
	return buffer;
}

char *format_age(char buffer[static FORMAT_MAX], uint64_t usec)
{
	struct timespec now = {};
	uint64_t now_usec;

	clock_gettime(CLOCK_REALTIME, &now);
	now_usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	/* If the clock was set back, @usec is in the future: the difference must not wrap. */
	return format_usec(buffer, now_usec > usec ? now_usec - usec : 0);
}

char *format_rate(char buffer[static FORMAT_MAX], double per_sec)
{
	if (isnan(per_sec))
		return strcpy(buffer, "-");
	if (!(per_sec > 0))
		return strcpy(buffer, "0");
	snprintf(buffer, FORMAT_MAX, per_sec < 99.95 ? "%.1f" : "%.0f",
		 per_sec < 1e15 ? per_sec : 1e15);
	return buffer;
}

char *format_vcpu_share(char buffer[static FORMAT_MAX], double share)
{
	double percent = share * 100;

	if (isnan(percent))
		return strcpy(buffer, "-");
	if (!(percent > 0))
		return strcpy(buffer, "0 %");
	if (percent < 0.1)
		return strcpy(buffer, "<0.1 %");
	snprintf(buffer, FORMAT_MAX, percent < 9.95 ? "%.1f %%" : "%.0f %%",
		 percent < 1e9 ? percent : 1e9);
	return buffer;
}

char *format_share(char buffer[static FORMAT_MAX], double share)
{
	return format_vcpu_share(buffer, share > 1 ? 1 : share);
}

/*
 * Finds the length in bytes and the width in columns of the character at @s.
 * Return: the length; 0 if the character is not printable.
 */
static size_t character(const char *s, size_t *ret_columns)
{
	mbstate_t state = {};
	wchar_t wide;
	size_t len = mbrtowc(&wide, s, strlen(s), &state);
	int columns;

	if (len == 0 || len == (size_t)-1 || len == (size_t)-2)
		return 0;
	columns = wcwidth(wide);
	if (columns < 0)
		return 0;
	*ret_columns = (size_t)columns;
	return len;
}

/* Characters that reorder or hide text: with them, a name could look like another name. */
static bool is_bidi_control(const char *s, size_t len)
{
	static const char *const controls[] = {
		"\u061c", "\u200b", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202b",
		"\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069", "\ufeff",
	};

	for (size_t i = 0; i < ELEMENTSOF(controls); i++)
		if (strlen(controls[i]) == len && memcmp(s, controls[i], len) == 0)
			return true;
	return false;
}

char *text_printable(const char *text)
{
	char *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);

	if (!file)
		return NULL;

	while (*text) {
		size_t columns, len = character(text, &columns);

		if (len == 0 || is_bidi_control(text, len)) {
			for (size_t i = 0; i < (len ?: 1); i++)
				fprintf(file, "\\x%02x", (unsigned char)text[i]);
			text += len ?: 1;
			continue;
		}
		fwrite(text, 1, len, file);
		text += len;
	}
	if (fclose(file) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

char *text_lines(const char *text)
{
	char *out = NULL;
	size_t size;
	FILE *file = open_memstream(&out, &size);

	if (!file)
		return NULL;
	while (*text) {
		size_t len = strcspn(text, "\n");
		_cleanup_free_ char *line = strndup(text, len);
		_cleanup_free_ char *printable = line ? text_printable(line) : NULL;

		if (len > 0)
			fprintf(file, "\n  %s", printable ?: "");
		text += len + (text[len] == '\n');
	}
	if (fclose(file) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

size_t text_columns(const char *text)
{
	size_t sum = 0;

	while (*text) {
		size_t columns = 1, len = character(text, &columns);

		sum += columns;
		text += len ?: 1;
	}
	return sum;
}

char *text_fit(const char *text, size_t columns, const char *ellipsis)
{
	size_t sum = 0, kept = 0;
	char *out = NULL;

	if (text_columns(text) <= columns)
		return strdup(text);
	if (columns == 0)
		return strdup("");

	while (text[kept]) {
		size_t width = 1, len = character(text + kept, &width);

		if (sum + width > columns - 1)
			break;
		sum += width;
		kept += len ?: 1;
	}
	if (asprintf(&out, "%.*s%s", (int)kept, text, ellipsis) < 0)
		return NULL;
	return out;
}

/* Formats the bound of a bucket, a power of two in microseconds, in the largest unit that fits. */
static void format_bound(char buffer[static FORMAT_MAX], uint64_t usec)
{
	if (usec < 1000)
		snprintf(buffer, FORMAT_MAX, "%u us", (unsigned int)usec);
	else if (usec < 1000 * 1000)
		snprintf(buffer, FORMAT_MAX, usec < 10 * 1000 ? "%.1f ms" : "%.0f ms",
			 (double)usec / 1000);
	else
		snprintf(buffer, FORMAT_MAX, usec < 10 * 1000 * 1000 ? "%.1f s" : "%.0f s",
			 (double)usec / (1000 * 1000));
}

char *format_bucket(char buffer[static FORMAT_MAX], unsigned int i, unsigned int n)
{
	char from[FORMAT_MAX], below[FORMAT_MAX];

	if (i == 0)
		return strcpy(buffer, "< 1 us");

	format_bound(from, 1ULL << (i - 1));
	if (i + 1 == n) {
		snprintf(buffer, FORMAT_MAX, ">= %.24s", from);
		return buffer;
	}
	format_bound(below, 1ULL << i);
	snprintf(buffer, FORMAT_MAX, "%.12s - %.12s", from, below);
	return buffer;
}

char *format_bar(char *buffer, uint64_t count, uint64_t max, size_t width)
{
	size_t filled = 0;

	if (count > 0 && max > 0) {
		filled = (size_t)((double)count / (double)max * (double)width + 0.5);
		if (filled < 1)
			filled = 1;
		if (filled > width)
			filled = width;
	}
	memset(buffer, '#', filled);
	buffer[filled] = '\0';
	return buffer;
}
