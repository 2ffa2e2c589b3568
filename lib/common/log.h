/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The log: entries with structured fields if the daemon's standard error is connected to
 * the journal, else plain lines on standard error. Functions of the daemon return a
 * negative errno and do not log; the outermost caller logs once.
 */
#ifndef APFD_LOG_H
#define APFD_LOG_H

#include <syslog.h>

/**
 * struct log_field - one extra field of a journal entry
 * @key: name, upper case, e.g. "APF_VM"; NULL ends an array
 * @value: text; the field is left out if NULL
 */
struct log_field {
	const char *key;
	const char *value;
};

/* log_open: chooses the target; entries below @max_level are dropped. */
void log_open(int max_level);

/* log_set_level: changes the level and returns the previous one. log_level: the present one. */
int log_set_level(int level);
int log_level(void);

/* log_target: where entries go, "journal" or "console" (standard error). */
const char *log_target(void);

/*
 * log_set_target: the same, or "auto": the target that log_open() chooses. 0, or -EINVAL for any
 * other word.
 */
int log_set_target(const char *target);

/*
 * log_full: writes one entry.
 * @error: negative errno appended as text, 0 for none.
 * @fields: may be NULL, else ends with an empty element.
 * Returns @error, so that "return log_full(...)" logs and fails.
 */
int log_full(int level, int error, const struct log_field *fields, const char *file, int line,
	     const char *func, const char *format, ...) __attribute__((format(printf, 7, 8)));

#define log_fields(level, error, fields, ...) \
	log_full(level, error, fields, __FILE__, __LINE__, __func__, __VA_ARGS__)
#define log_errno(level, error, ...) log_fields(level, error, NULL, __VA_ARGS__)
#define log_debug(...)		     log_errno(LOG_DEBUG, 0, __VA_ARGS__)
#define log_info(...)		     log_errno(LOG_INFO, 0, __VA_ARGS__)
#define log_notice(...)		     log_errno(LOG_NOTICE, 0, __VA_ARGS__)
#define log_warning(...)	     log_errno(LOG_WARNING, 0, __VA_ARGS__)
#define log_error(...)		     log_errno(LOG_ERR, 0, __VA_ARGS__)

/* log_oom: for the outermost caller. */
#define log_oom() log_errno(LOG_ERR, -ENOMEM, "Out of memory")

#endif /* APFD_LOG_H */
