/* SPDX-License-Identifier: GPL-2.0 */
/*
 * State shared by all parts of apfctl: the options given, the terminal, the bus.
 */
#ifndef APFCTL_H
#define APFCTL_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "term.h"
#include "vcpu-list.h"

struct verb;

/**
 * struct apfctl - one run of the program
 * @verb: the verb to run
 * @args: arguments of the verb, as many as the verb's table row says
 * @n_args: number of @args
 * @json: --json was given
 * @persistent: --persistent was given
 * @stored: --stored was given
 * @vcpus: union of all --vcpu; empty means the whole VM
 * @interval_usec: --interval
 * @count: --count, 0 for no limit
 * @all: --all was given
 * @states: --state: a bit for each element of state_names; 0 for every state
 * @sort: --sort, NULL if not given
 * @no_legend: --no-legend was given
 * @csv: --csv was given
 * @events: --event: a bit for each element of event_names; 0 if not given
 * @rate_bytes: --rate, 0 if not given; UINT64_MAX: not limited
 * @no_wait: --no-wait was given
 * @before_migration: --before-migration was given
 * @term: standard output
 * @client: connection to apfd; has --host and --no-ask-password
 */
struct apfctl {
	const struct verb *verb;
	char **args;
	size_t n_args;
	bool json;
	bool persistent;
	bool stored;
	struct vcpu_list vcpus;
	uint64_t interval_usec;
	uint64_t count;
	bool all;
	uint64_t states;
	const char *sort;
	bool no_legend;
	bool csv;
	uint64_t events;
	uint64_t rate_bytes;
	bool no_wait;
	bool before_migration;
	struct term term;
	struct client client;
};

/* All later messages on standard error begin with @host; NULL for none. */
void apfctl_set_fail_host(const char *host);

/*
 * Writes the error message of status_fail(), if there is one, to standard error, and removes it.
 * For a failure after which the program continues, for example with the next VM.
 */
void apfctl_fail_print(void);

/* The same when the program ends. */
void apfctl_fail_report(void);

/* The worse of two exit statuses, which is the higher number. */
int apfctl_worst(int a, int b);

/* Writes a remark to standard error at once. */
void apfctl_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
