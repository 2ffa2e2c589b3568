/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables of verbs, options and exit statuses: parsing, --help, completion
 * and the tests of the manual all read them, nothing else lists a verb.
 */
#ifndef APFCTL_VERB_H
#define APFCTL_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "apfctl.h"

#define VERB_ARGS_MAX 2

/* What the shell offers for an argument. */
enum completion {
	COMPLETE_NOTHING,
	COMPLETE_VM,
	COMPLETE_MODE,
};

enum option_id {
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_NO_ASK_PASSWORD,
	OPTION_HOST,
	OPTION_JSON,
	OPTION_VCPU,
	OPTION_PERSISTENT,
	OPTION_INTERVAL,
	OPTION_COUNT,
	_OPTION_MAX,
};

#define OPTION_BIT(id) (1U << (id))

/**
 * struct verb_arg - one argument of a verb
 * @name: as shown in help, upper case
 * @complete: what the shell offers
 * @any: as many as wanted, none included; only as the last argument
 */
struct verb_arg {
	const char *name;
	enum completion complete;
	bool any;
};

/**
 * struct verb - a row of the table
 * @name: as typed
 * @args: ends with a NULL name
 * @options: OPTION_BIT() of each option it takes besides those of every verb
 * @run: does it; returns an exit status
 * @help: one line; NULL hides the verb
 * @about: what VERB --help says below the synopsis
 */
struct verb {
	const char *name;
	struct verb_arg args[VERB_ARGS_MAX + 1];
	unsigned int options;
	int (*run)(struct apfctl *ctl);
	const char *help;
	const char *about;
};

/**
 * struct option_row - a row of the option table, indexed by enum option_id
 * @name: without the dashes
 * @short_name: 0 if none
 * @arg: name of its argument, NULL if it takes none
 * @every_verb: taken by every verb and without one
 * @help: one line
 */
struct option_row {
	const char *name;
	char short_name;
	const char *arg;
	bool every_verb;
	const char *help;
};

extern const struct verb verbs[];
extern const size_t n_verbs;
extern const struct option_row options[_OPTION_MAX];
extern const char *const exit_statuses[_APFCTL_EXIT_MAX];
extern const char *const mode_names[];
extern const size_t n_mode_names;

const struct verb *verb_find(const char *name);
/* Arguments that must be given; @ret_any: whether any number more may be. */
size_t verb_count_args(const struct verb *verb, bool *ret_any);

/* "enable VM [--vcpu LIST]"; to be freed; NULL without memory. */
char *verb_synopsis(const struct verb *verb);

/* Help on the program (NULL) or one verb. */
void help_print(FILE *file, const struct verb *verb);

/* near_*: " (did you mean 'X' or 'Y'?)" or "", to be freed; NULL without memory. */
char *near_verbs(const char *word);
char *near_options(const char *word);
char *near_modes(const char *word);

int verb_list(struct apfctl *ctl);
int verb_status(struct apfctl *ctl);
int verb_enable(struct apfctl *ctl);
int verb_disable(struct apfctl *ctl);
int verb_auto(struct apfctl *ctl);
int verb_set(struct apfctl *ctl);
int verb_why(struct apfctl *ctl);
int verb_reload(struct apfctl *ctl);
int verb_top(struct apfctl *ctl);
int verb_monitor(struct apfctl *ctl);
int verb_policy_replay(struct apfctl *ctl);
int verb_metrics(struct apfctl *ctl);
int verb_doctor(struct apfctl *ctl);
int verb_complete_tables(struct apfctl *ctl);
int verb_complete_vms(struct apfctl *ctl);

#endif
