/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all parts of apfctl share: the options given, the terminal, the bus.
 */
#ifndef APFCTL_H
#define APFCTL_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

#include "term.h"
#include "vcpu-list.h"

struct verb;

/*
 * Exit status; a promise to scripts. Functions said to return "an exit status"
 * return one of these and have called apfctl_fail() unless it is APFCTL_OK. The texts
 * are in exit_statuses[].
 */
enum apfctl_exit {
	APFCTL_OK,
	APFCTL_FAILED,
	APFCTL_USAGE,
	APFCTL_NO_SUCH_VM,
	APFCTL_NOT_ALLOWED,
	APFCTL_MISSING,
	_APFCTL_EXIT_MAX,
};

/**
 * struct apfctl - one run of the program
 * @verb: what is to be done
 * @args: its arguments, as many as the verb's table row says
 * @n_args: how many
 * @json: --json was given
 * @ask_password: polkit may ask the user; false after --no-ask-password
 * @host: where apfd is, as ssh names it; NULL for here
 * @persistent: --persistent was given
 * @vcpus: union of all --vcpu; empty means the whole VM
 * @interval_usec: --interval
 * @count: --count, 0 for no end
 * @term: standard output
 * @bus: the system bus, NULL before bus_open()
 * @agent_pid: pkttyagent started by us, 0 if none
 */
struct apfctl {
	const struct verb *verb;
	char **args;
	size_t n_args;
	bool json;
	bool ask_password;
	const char *host;
	bool persistent;
	struct vcpu_list vcpus;
	uint64_t interval_usec;
	uint64_t count;
	struct term term;
	sd_bus *bus;
	pid_t agent_pid;
};

/**
 * apfctl_fail() - notes why the program does not go on; the last note counts
 *
 * Said by apfctl_fail_report() at the very end, when the terminal is as it was.
 *
 * @status: exit status to end with
 * Return: @status, so that a caller can return apfctl_fail(...).
 */
int apfctl_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Everything said from now on names @host; NULL for none. */
void apfctl_fail_at(const char *host);

/* Takes the note away, to be freed; NULL if there is none. */
char *apfctl_fail_take(void);

/* Writes the note, if there is one, to standard error. */
void apfctl_fail_report(void);

/* Says something beside what was asked for, at once, on standard error. */
void apfctl_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
