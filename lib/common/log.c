/* SPDX-License-Identifier: GPL-2.0 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "util.h"

enum {
	LOG_TEXT_MAX = 2048, /* longer texts are truncated */
	LOG_FIELDS_MAX = 16,
	LOG_FIELD_MAX = 320, /* a domain name has at most 255 bytes */
};

static int max_level = LOG_INFO;
static bool use_journal;

/* True if standard error is the journal's stream: see sd-daemon's JOURNAL_STREAM. */
static bool stderr_is_journal(void)
{
	const char *e = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!e || sscanf(e, "%llu:%llu", &dev, &ino) != 2)
		return false;
	if (fstat(STDERR_FILENO, &st) < 0)
		return false;
	return st.st_dev == dev && st.st_ino == ino;
}

void log_open(int level)
{
	max_level = level;
	use_journal = stderr_is_journal();
}

int log_set_level(int level)
{
	int old = max_level;

	max_level = level;
	return old;
}

int log_level(void)
{
	return max_level;
}

const char *log_target(void)
{
	return use_journal ? "journal" : "console";
}

int log_set_target(const char *target)
{
	if (streq(target, "auto"))
		use_journal = stderr_is_journal();
	else if (streq(target, "journal"))
		use_journal = true;
	else if (streq(target, "console"))
		use_journal = false;
	else
		return -EINVAL;
	return 0;
}

static int send_journal(int level, int error, const struct log_field *fields, const char *file,
			int line, const char *func, const char *text)
{
	char message[LOG_TEXT_MAX + 16], priority[16], code_file[LOG_FIELD_MAX], code_line[32];
	char code_func[LOG_FIELD_MAX], number[32], extra[LOG_FIELDS_MAX][LOG_FIELD_MAX];
	struct iovec iov[LOG_FIELDS_MAX + 8];
	size_t n_extra = 0;
	int n = 0;

#define ADD(buf, ...)                                                                            \
	do {                                                                                     \
		int _len = snprintf(buf, sizeof(buf), __VA_ARGS__);                              \
		if (_len > 0)                                                                    \
			iov[n++] = (struct iovec){ buf, MIN_OF((size_t)_len, sizeof(buf) - 1) }; \
	} while (0)

	ADD(message, "MESSAGE=%s", text);
	ADD(priority, "PRIORITY=%d", level);
	ADD(code_file, "CODE_FILE=%s", file);
	ADD(code_line, "CODE_LINE=%d", line);
	ADD(code_func, "CODE_FUNC=%s", func);
	if (error)
		ADD(number, "ERRNO=%d", -error);
	for (; fields && fields->key && n_extra < LOG_FIELDS_MAX; fields++)
		if (fields->value) {
			ADD(extra[n_extra], "%s=%s", fields->key, fields->value);
			n_extra++;
		}
#undef ADD
	return sd_journal_sendv(iov, n);
}

static const char *prefix(int level)
{
	switch (level) {
	case LOG_WARNING:
		return "warning: ";
	case LOG_NOTICE:
	case LOG_INFO:
		return "";
	case LOG_DEBUG:
		return "debug: ";
	default:
		return "error: ";
	}
}

int log_full(int level, int error, const struct log_field *fields, const char *file, int line,
	     const char *func, const char *format, ...)
{
	char text[LOG_TEXT_MAX];
	va_list ap;
	int len;

	if (level > max_level)
		return error;

	va_start(ap, format);
	len = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (error && len >= 0 && (size_t)len < sizeof(text))
		snprintf(text + len, sizeof(text) - (size_t)len, ": %s", strerror(-error));

	if (!use_journal || send_journal(level, error, fields, file, line, func, text) < 0)
		fprintf(stderr, "apfd: %s%s\n", prefix(level), text);
	return error;
}
