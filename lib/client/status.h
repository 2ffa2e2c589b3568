/* SPDX-License-Identifier: GPL-2.0 */
/* Exit status and error message of a program that calls apfd. */
#ifndef APF_STATUS_H
#define APF_STATUS_H

/*
 * Exit statuses. Scripts rely on them: do not change the numbers. A function that returns "an
 * exit status" has called status_fail() unless it returns STATUS_OK.
 */
enum status {
	STATUS_OK,
	STATUS_FAILED,
	STATUS_USAGE,
	STATUS_NO_SUCH_VM,
	STATUS_NOT_ALLOWED,
	STATUS_MISSING,
	STATUS_NOT_CHECKED,
	_STATUS_MAX,
};

/**
 * status_fail() - stores the error message; a later message replaces it
 * @status: exit status to end with
 * Return: @status, so that a caller can return status_fail(...).
 */
int status_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns the stored message, which the caller frees, and removes it; NULL if there is none. */
char *status_take_message(void);

#endif /* APF_STATUS_H */
