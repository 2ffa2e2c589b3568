// SPDX-License-Identifier: GPL-2.0
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apf/cleanup.h"
#include "event-print.h"
#include "format.h"
#include "number.h"
#include "suggest.h"
#include "verb.h"
#include "version.h"

#define USEC_PER_SEC	  1000000ULL
#define INTERVAL_MIN_USEC (USEC_PER_SEC / 10)
#define INTERVAL_MAX_USEC (3600 * USEC_PER_SEC)
#define COUNT_MAX	  1000000000ULL

/* getopt_long() returns this plus enum option_id: a value that no option letter has. */
#define OPTION_BASE 0x100

int parse_interval(const char *text, uint64_t *ret_usec)
{
	uint64_t usec = 0, unit_usec = USEC_PER_SEC;
	const char *p = text;
	bool digits = false, too_large = false;

	for (; *p >= '0' && *p <= '9'; p++, digits = true) {
		usec = usec * 10 + (uint64_t)(*p - '0') * USEC_PER_SEC;
		if (usec > INTERVAL_MAX_USEC) {
			too_large = true;
			usec = INTERVAL_MAX_USEC;
		}
	}
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9'; p++, digits = true) {
			unit_usec /= 10;
			usec += (uint64_t)(*p - '0') * unit_usec;
		}
	}
	if (!digits || *p != '\0')
		return -EINVAL;
	if (too_large || usec < INTERVAL_MIN_USEC || usec > INTERVAL_MAX_USEC)
		return -ERANGE;
	*ret_usec = usec;
	return 0;
}

int parse_count(const char *text, uint64_t *ret_count)
{
	uint64_t count = 0;
	bool too_large = false;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++) {
		count = count * 10 + (uint64_t)(*p - '0');
		if (count > COUNT_MAX) {
			too_large = true;
			count = COUNT_MAX;
		}
	}
	if (p == text || *p != '\0')
		return -EINVAL;
	if (too_large || count == 0)
		return -ERANGE;
	*ret_count = count;
	return 0;
}

int parse_words(const char *text, const char *const *names, size_t n_names, uint64_t *mask,
		char **ret_bad)
{
	uint64_t found = 0;

	while (true) {
		size_t len = strcspn(text, ","), i;

		for (i = 0; i < n_names; i++)
			if (strlen(names[i]) == len && strncmp(names[i], text, len) == 0)
				break;
		if (i == n_names) {
			*ret_bad = strndup(text, len);
			return *ret_bad ? -EINVAL : -ENOMEM;
		}
		found |= UINT64_C(1) << i;
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	*mask |= found;
	return 0;
}

static int refuse_value(enum option_id id, const char *value, const char *cause)
{
	_cleanup_free_ char *printable = text_printable(value);

	return status_fail(STATUS_USAGE, "--%s '%s': %s", options[id].name, printable ?: "", cause);
}

static int apply_vcpus(struct apfctl *ctl, const char *value)
{
	_cleanup_free_ char *error = NULL, *printable = NULL, *cause = NULL;
	int r;

	r = vcpu_list_parse(value, &ctl->vcpus, &error);
	if (r == -EINVAL) {
		printable = text_printable(error);
		if (asprintf(&cause, "%s; a list is like 0,2-3", printable ?: "") < 0)
			cause = NULL;
		return refuse_value(OPTION_VCPU, value, cause ?: "not a list of vCPUs");
	}
	if (r < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

/* Stores a list of @names; @what is what each of them is, "a state". */
static int apply_words(enum option_id id, const char *value, const char *const *names,
		       size_t n_names, const char *what, uint64_t *mask)
{
	_cleanup_free_ char *bad = NULL, *printable = NULL, *near = NULL, *cause = NULL;
	int r;

	r = parse_words(value, names, n_names, mask, &bad);
	if (r == 0)
		return STATUS_OK;
	if (r == -EINVAL) {
		printable = text_printable(bad);
		near = suggest(bad, "", names, n_names);
		if (asprintf(&cause, "'%s' is not %s%s", printable ?: "", what, near ?: "") >= 0)
			return refuse_value(id, value, cause);
		cause = NULL;
	}
	return status_fail(STATUS_FAILED, "out of memory");
}

/* Stores one option in @ctl; returns an exit status. */
static int apply_option(struct apfctl *ctl, enum option_id id, const char *value)
{
	int r;

	switch (id) {
	case OPTION_JSON:
		ctl->json = true;
		break;
	case OPTION_NO_ASK_PASSWORD:
		ctl->client.ask_password = false;
		break;
	case OPTION_PERSISTENT:
		ctl->persistent = true;
		break;
	case OPTION_STORED:
		ctl->stored = true;
		break;
	case OPTION_HOST:
		if (value[0] == '\0')
			return refuse_value(id, value, "is not a host");
		ctl->client.host = value;
		apfctl_set_fail_host(value);
		break;
	case OPTION_ALL:
		ctl->all = true;
		break;
	case OPTION_NO_LEGEND:
		ctl->no_legend = true;
		break;
	case OPTION_CSV:
		ctl->csv = true;
		break;
	case OPTION_SORT:
		ctl->sort = value;
		break;
	case OPTION_VCPU:
		return apply_vcpus(ctl, value);
	case OPTION_STATE:
		return apply_words(id, value, state_names, n_state_names,
				   "a state (on, pv, off, mixed, unknown)", &ctl->states);
	case OPTION_EVENT:
		return apply_words(id, value, event_names, n_event_names, "an event", &ctl->events);
	case OPTION_INTERVAL:
		r = parse_interval(value, &ctl->interval_usec);
		if (r < 0)
			return refuse_value(id, value,
					    r == -ERANGE ? "must be 0.1 to 3600 seconds"
							 : "is not a number of seconds; "
							   "write 2 or 0.5");
		break;
	case OPTION_NO_WAIT:
		ctl->no_wait = true;
		break;
	case OPTION_BEFORE_MIGRATION:
		ctl->before_migration = true;
		break;
	case OPTION_RATE:
		r = number_parse_rate(value, &ctl->rate_bytes);
		if (r < 0)
			return refuse_value(id, value, "must be " NUMBER_RATE_WANTED);
		break;
	case OPTION_COUNT:
		r = parse_count(value, &ctl->count);
		if (r < 0)
			return refuse_value(id, value,
					    r == -ERANGE ? "must be 1 to 1000000000"
							 : "is not a whole number");
		break;
	default:
		break;
	}
	return STATUS_OK;
}

static int refuse_option(char **argv)
{
	_cleanup_free_ char *printable = NULL, *near = NULL, *name = NULL;
	/*
	 * After a long option, optind is past its word. A short option needs no word: optopt
	 * has its letter.
	 */
	const char *word = argv[optind - 1];

	if (optopt > 0 && optopt < OPTION_BASE)
		return status_fail(STATUS_USAGE, "unknown option '-%c'; see apfctl --help",
				   optopt >= ' ' && optopt < 0x7f ? optopt : '?');

	printable = text_printable(word);
	if (optopt >= OPTION_BASE)
		return status_fail(STATUS_USAGE, "'%s': --%s takes no value; see apfctl --help",
				   printable ?: "", options[optopt - OPTION_BASE].name);

	name = strndup(word + 2, strcspn(word + 2, "="));
	near = name ? near_options(name) : NULL;
	return status_fail(STATUS_USAGE, "unknown option '%s'%s; see apfctl --help",
			   printable ?: "", near ?: "");
}

/* The verbs that take option @id, as "enable, disable and set". */
static char *verbs_taking(enum option_id id)
{
	char *text = NULL;
	size_t size, n = 0, i_last = 0;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	for (size_t i = 0; i < n_verbs; i++)
		if (verbs[i].options & OPTION_BIT(id))
			i_last = i;
	for (size_t i = 0; i < n_verbs; i++) {
		if (!(verbs[i].options & OPTION_BIT(id)))
			continue;
		fprintf(file, "%s%s", n == 0 ? "" : i == i_last ? " and " : ", ", verbs[i].name);
		n++;
	}
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int check_options(const struct verb *verb, unsigned int given)
{
	for (unsigned int id = 0; id < _OPTION_MAX; id++) {
		_cleanup_free_ char *verb_names = NULL;

		if (!(given & OPTION_BIT(id)) || options[id].every_verb ||
		    (verb->options & OPTION_BIT(id)))
			continue;
		verb_names = verbs_taking(id);
		return status_fail(STATUS_USAGE, "%s: --%s is only for %s; see apfctl %s --help",
				   verb->name, options[id].name, verb_names ?: "other verbs",
				   verb->name);
	}
	return STATUS_OK;
}

static int refuse_verb(const char *word)
{
	_cleanup_free_ char *printable = text_printable(word);
	_cleanup_free_ char *near = near_verbs(word);

	return status_fail(STATUS_USAGE, "unknown verb '%s'%s; see apfctl --help", printable ?: "",
			   near ?: "");
}

/* Name of the mandatory argument that is missing after @n_args arguments. */
static const char *missing_arg(const struct verb *verb, bool all, size_t n_args)
{
	const struct verb_arg *arg = verb->args;

	for (; arg->name; arg++)
		if ((arg->count == ARG_ONE || (arg->count == ARG_SOME && !all)) && n_args-- == 0)
			break;
	return arg->name ?: "an argument";
}

/* Name of the argument at @i, where @i of an argument given often counts once. */
static const char *name_of_arg(const struct verb *verb, size_t i)
{
	size_t n = 0;

	while (n < i && verb->args[n].name &&
	       (verb->args[n].count == ARG_ONE || verb->args[n].count == ARG_OPTIONAL))
		n++;
	return verb->args[n].name ?: "an argument";
}

/* Options that are right alone, but not together. */
static int check_exclusions(const struct apfctl *ctl)
{
	const char *name = ctl->verb->name;

	if (ctl->json && ctl->csv)
		return status_fail(STATUS_USAGE, "%s: --json and --csv exclude each other", name);
	/* Stored settings are of VMs that may not run: these have no state. */
	if (ctl->stored && (ctl->states || ctl->all))
		return status_fail(STATUS_USAGE, "%s: --stored and --%s exclude each other", name,
				   ctl->states ? "state" : "all");
	if (ctl->stored && ctl->n_args > 0) {
		_cleanup_free_ char *printable = text_printable(ctl->args[0]);

		return status_fail(STATUS_USAGE,
				   "%s: '%s' and --stored exclude each other; --stored shows the "
				   "settings of all VMs",
				   name, printable ?: "");
	}
	return STATUS_OK;
}

static int check_args(struct apfctl *ctl)
{
	_cleanup_free_ char *synopsis = verb_synopsis(ctl->verb);
	const char *name = ctl->verb->name;
	size_t n_max, n = verb_count_args(ctl->verb, ctl->all, &n_max);

	if (ctl->n_args < n)
		return status_fail(STATUS_USAGE, "%s: %s is missing; usage: apfctl %s", name,
				   missing_arg(ctl->verb, ctl->all, ctl->n_args), synopsis ?: "");
	if (ctl->n_args > n_max) {
		_cleanup_free_ char *printable = text_printable(ctl->args[n_max]);

		return status_fail(STATUS_USAGE, "%s: unexpected argument '%s'; usage: apfctl %s",
				   name, printable ?: "", synopsis ?: "");
	}
	for (size_t i = 0; i < ctl->n_args; i++)
		if (ctl->args[i][0] == '\0')
			return status_fail(STATUS_USAGE, "%s: %s is empty; usage: apfctl %s", name,
					   name_of_arg(ctl->verb, i), synopsis ?: "");
	/* With --all, only the arguments that are no VM are left. */
	if (ctl->all && ctl->n_args > n) {
		_cleanup_free_ char *printable = text_printable(ctl->args[0]);

		return status_fail(STATUS_USAGE,
				   "%s: '%s' and --all exclude each other; usage: apfctl %s", name,
				   printable ?: "", synopsis ?: "");
	}
	return check_exclusions(ctl);
}

/* Fills getopt's tables from the table of options. */
static void fill_options(struct option long_options[static _OPTION_MAX + 1],
			 char short_options[static 2 * _OPTION_MAX + 2])
{
	/* With ':' first, getopt returns ':' for a missing value and '?' for an unknown option. */
	*short_options++ = ':';
	for (unsigned int id = 0; id < _OPTION_MAX; id++) {
		long_options[id] = (struct option){
			.name = options[id].name,
			.has_arg = options[id].arg ? required_argument : no_argument,
			.val = OPTION_BASE + (int)id,
		};
		if (options[id].short_name)
			*short_options++ = options[id].short_name;
		if (options[id].short_name && options[id].arg)
			*short_options++ = ':';
	}
	long_options[_OPTION_MAX] = (struct option){};
	*short_options = '\0';
}

static enum option_id option_of(int c)
{
	for (unsigned int id = 0; id < _OPTION_MAX; id++)
		if (options[id].short_name == c)
			return id;
	return (enum option_id)(c - OPTION_BASE);
}

int args_parse(int argc, char **argv, struct apfctl *ctl, bool *ret_done)
{
	struct option long_options[_OPTION_MAX + 1];
	char short_options[2 * _OPTION_MAX + 2];
	unsigned int given = 0;
	int c, status;

	*ret_done = false;
	ctl->client.ask_password = true;
	ctl->interval_usec = USEC_PER_SEC;
	fill_options(long_options, short_options);
	opterr = 0;
	while ((c = getopt_long(argc, argv, short_options, long_options, NULL)) >= 0) {
		enum option_id id;

		if (c == '?')
			return refuse_option(argv);
		if (c == ':')
			return status_fail(
				STATUS_USAGE, "--%s needs a value, %s; see apfctl --help",
				options[option_of(optopt)].name, options[option_of(optopt)].arg);
		id = option_of(c);
		given |= OPTION_BIT(id);
		status = apply_option(ctl, id, optarg);
		if (status != STATUS_OK)
			return status;
	}

	argc -= optind;
	argv += optind;
	if (argc > 0) {
		ctl->verb = verb_find(argv[0]);
		if (!ctl->verb)
			return refuse_verb(argv[0]);
		ctl->client.task = ctl->verb->name;
		ctl->args = argv + 1;
		ctl->n_args = (size_t)argc - 1;
	}
	if (given & OPTION_BIT(OPTION_HELP)) {
		help_print(stdout, ctl->verb);
		*ret_done = true;
		return STATUS_OK;
	}
	if (given & OPTION_BIT(OPTION_VERSION)) {
		version_print(ctl);
		*ret_done = true;
		return STATUS_OK;
	}
	if (!ctl->verb)
		return status_fail(STATUS_USAGE, "a verb is missing; see apfctl --help");
	status = check_options(ctl->verb, given);
	if (status != STATUS_OK)
		return status;
	return check_args(ctl);
}
