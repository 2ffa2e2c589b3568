/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables of verbs, options and exit statuses. Argument parsing, --help, shell
 * completion and the tests of the manual read them; there is no other list of verbs.
 */
#ifndef APFCTL_VERB_H
#define APFCTL_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "apfctl.h"
#include "table.h"

#define VERB_ARGS_MAX 2

/* How the shell completes an argument. */
enum completion {
	COMPLETE_NOTHING,
	COMPLETE_VM,
	COMPLETE_STORED, /* a VM that does not run, and whose settings are stored */
	COMPLETE_MODE,
	COMPLETE_VERB,
};

/* How often an argument may be given. */
enum arg_count {
	ARG_ONE,
	ARG_OPTIONAL, /* once or not at all */
	ARG_ANY,      /* any number of times, or not at all */
	ARG_SOME,     /* once or more; not at all with --all */
};

enum option_id {
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_NO_ASK_PASSWORD,
	OPTION_HOST,
	OPTION_JSON,
	OPTION_VCPU,
	OPTION_PERSISTENT,
	OPTION_STORED,
	OPTION_INTERVAL,
	OPTION_COUNT,
	OPTION_ALL,
	OPTION_STATE,
	OPTION_SORT,
	OPTION_NO_LEGEND,
	OPTION_CSV,
	OPTION_EVENT,
	OPTION_RATE,
	OPTION_NO_WAIT,
	OPTION_BEFORE_MIGRATION,
	_OPTION_MAX,
};

#define OPTION_BIT(id) (1U << (id))

/**
 * struct verb_arg - one argument of a verb
 * @name: as shown in help, upper case
 * @complete: how the shell completes it
 * @count: how often it may be given; only one argument of a verb has another count than ARG_ONE
 */
struct verb_arg {
	const char *name;
	enum completion complete;
	enum arg_count count;
};

/**
 * struct verb - a row of the verb table
 * @name: as typed by the user
 * @args: ends with a NULL name
 * @options: OPTION_BIT() of each option that not every verb takes, but this one does
 * @run: runs the verb; returns an exit status
 * @help: one line; NULL hides the verb
 * @about: printed by VERB --help below the synopsis
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
 * @short_name: letter, 0 if none
 * @arg: name of the option's argument, NULL if it takes none
 * @every_verb: allowed with every verb and without a verb
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
extern const char *const exit_statuses[_STATUS_MAX];
extern const char *const mode_names[];
extern const size_t n_mode_names;

/* States of a VM, the words of --state. */
extern const char *const state_names[];
extern const size_t n_state_names;

/* Columns of the table of "list", the words of its --sort. */
extern const struct table_column list_columns[];
extern const size_t n_list_columns;

const struct verb *verb_find(const char *name);

/**
 * verb_count_args() - how many arguments a verb takes
 * @all: --all was given, so that a VM need not be named
 * @ret_max: the maximum; SIZE_MAX if there is none
 * Return: the minimum.
 */
size_t verb_count_args(const struct verb *verb, bool all, size_t *ret_max);

/* "enable VM [--vcpu LIST]"; the caller frees it; NULL if out of memory. */
char *verb_synopsis(const struct verb *verb);

/* Prints the help of one verb, or of the program if @verb is NULL. */
void help_print(FILE *file, const struct verb *verb);

/*
 * near_*: " (did you mean 'X' or 'Y'?)", or "" if no name is similar. The caller frees
 * it; NULL if out of memory.
 */
char *near_verbs(const char *word);
char *near_options(const char *word);
char *near_modes(const char *word);

/* Prints the help of the verb that the user names, or of the program. */
int verb_help(struct apfctl *ctl);

int verb_list(struct apfctl *ctl);
int verb_status(struct apfctl *ctl);
int verb_enable(struct apfctl *ctl);
int verb_disable(struct apfctl *ctl);
int verb_auto(struct apfctl *ctl);
int verb_set(struct apfctl *ctl);
int verb_why(struct apfctl *ctl);
int verb_recall(struct apfctl *ctl);
int verb_reload(struct apfctl *ctl);
int verb_forget(struct apfctl *ctl);
int verb_top(struct apfctl *ctl);
int verb_monitor(struct apfctl *ctl);
int verb_policy_replay(struct apfctl *ctl);
int verb_metrics(struct apfctl *ctl);
int verb_doctor(struct apfctl *ctl);
int verb_complete_tables(struct apfctl *ctl);
int verb_complete_vms(struct apfctl *ctl);
int verb_complete_stored(struct apfctl *ctl);

#endif
