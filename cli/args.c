// SPDX-License-Identifier: GPL-2.0
#include "args.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apf/cleanup.h"
#include "format.h"
#include "verb.h"

#define USEC_PER_SEC	  1000000ULL
#define INTERVAL_MIN_USEC (USEC_PER_SEC / 10)
#define INTERVAL_MAX_USEC (3600 * USEC_PER_SEC)
#define COUNT_MAX	  1000000000ULL

/* getopt_long() returns this plus enum option_id: no option has such a letter. */
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

static int refuse_value(enum option_id id, const char *value, const char *cause)
{
	_cleanup_free_ char *printable = text_printable(value);

	return apfctl_fail(APFCTL_USAGE, "--%s '%s': %s", options[id].name, printable ?: "", cause);
}

/* Takes in one option; returns an exit status. */
static int take_option(struct apfctl *ctl, enum option_id id, const char *value)
{
	_cleanup_free_ char *error = NULL;
	int r;

	switch (id) {
	case OPTION_JSON:
		ctl->json = true;
		break;
	case OPTION_NO_ASK_PASSWORD:
		ctl->ask_password = false;
		break;
	case OPTION_PERSISTENT:
		ctl->persistent = true;
		break;
	case OPTION_HOST:
		if (value[0] == '\0')
			return refuse_value(id, value, "is no host");
		ctl->host = value;
		apfctl_fail_at(value);
		break;
	case OPTION_VCPU:
		r = vcpu_list_parse(value, &ctl->vcpus, &error);
		if (r == -EINVAL) {
			_cleanup_free_ char *printable = text_printable(error);
			_cleanup_free_ char *cause = NULL;

			if (asprintf(&cause, "%s; a list is like 0,2-3", printable ?: "") < 0)
				cause = NULL;
			return refuse_value(id, value, cause ?: "not a list of vCPUs");
		}
		if (r < 0)
			return apfctl_fail(APFCTL_FAILED, "out of memory");
		break;
	case OPTION_INTERVAL:
		r = parse_interval(value, &ctl->interval_usec);
		if (r < 0)
			return refuse_value(id, value,
					    r == -ERANGE ? "must be 0.1 to 3600 seconds"
							 : "is no number of seconds; "
							   "write 2 or 0.5");
		break;
	case OPTION_COUNT:
		r = parse_count(value, &ctl->count);
		if (r < 0)
			return refuse_value(id, value,
					    r == -ERANGE ? "must be 1 to 1000000000"
							 : "is no whole number");
		break;
	default:
		break;
	}
	return APFCTL_OK;
}

static int refuse_option(char **argv)
{
	_cleanup_free_ char *printable = NULL, *near = NULL, *name = NULL;
	/* A long option is behind us; a short one may be one of many in a word. */
	const char *word = argv[optind - 1];

	if (optopt > 0 && optopt < OPTION_BASE)
		return apfctl_fail(APFCTL_USAGE, "unknown option '-%c'; see apfctl --help",
				   optopt >= ' ' && optopt < 0x7f ? optopt : '?');

	printable = text_printable(word);
	if (optopt >= OPTION_BASE)
		return apfctl_fail(APFCTL_USAGE, "'%s': --%s takes no value; see apfctl --help",
				   printable ?: "", options[optopt - OPTION_BASE].name);

	name = strndup(word + 2, strcspn(word + 2, "="));
	near = name ? near_options(name) : NULL;
	return apfctl_fail(APFCTL_USAGE, "unknown option '%s'%s; see apfctl --help",
			   printable ?: "", near ?: "");
}

/* "enable, disable and set": the verbs that take option @id. */
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
		_cleanup_free_ char *takers = NULL;

		if (!(given & OPTION_BIT(id)) || options[id].every_verb ||
		    (verb->options & OPTION_BIT(id)))
			continue;
		takers = verbs_taking(id);
		return apfctl_fail(APFCTL_USAGE, "%s: --%s is only for %s; see apfctl %s --help",
				   verb->name, options[id].name, takers ?: "other verbs",
				   verb->name);
	}
	return APFCTL_OK;
}

static int refuse_verb(const char *word)
{
	_cleanup_free_ char *printable = text_printable(word);
	_cleanup_free_ char *near = near_verbs(word);

	return apfctl_fail(APFCTL_USAGE, "unknown verb '%s'%s; see apfctl --help", printable ?: "",
			   near ?: "");
}

static int check_args(struct apfctl *ctl)
{
	_cleanup_free_ char *synopsis = verb_synopsis(ctl->verb);
	bool any;
	size_t n = verb_count_args(ctl->verb, &any);

	if (ctl->n_args < n)
		return apfctl_fail(APFCTL_USAGE, "%s: %s is missing; usage: apfctl %s",
				   ctl->verb->name, ctl->verb->args[ctl->n_args].name,
				   synopsis ?: "");
	if (ctl->n_args > n && !any) {
		_cleanup_free_ char *printable = text_printable(ctl->args[n]);

		return apfctl_fail(APFCTL_USAGE,
				   "%s: '%s' is one argument too many; usage: apfctl %s",
				   ctl->verb->name, printable ?: "", synopsis ?: "");
	}
	for (size_t i = 0; i < ctl->n_args; i++)
		if (ctl->args[i][0] == '\0')
			return apfctl_fail(APFCTL_USAGE, "%s: %s is empty; usage: apfctl %s",
					   ctl->verb->name, ctl->verb->args[i < n ? i : n].name,
					   synopsis ?: "");
	return APFCTL_OK;
}

/* Fills getopt's tables from ours. */
static void fill_options(struct option long_options[static _OPTION_MAX + 1],
			 char short_options[static 2 * _OPTION_MAX + 2])
{
	/* A missing value is told apart from an unknown option. */
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
	ctl->ask_password = true;
	ctl->interval_usec = USEC_PER_SEC;
	fill_options(long_options, short_options);
	opterr = 0;
	while ((c = getopt_long(argc, argv, short_options, long_options, NULL)) >= 0) {
		enum option_id id;

		if (c == '?')
			return refuse_option(argv);
		if (c == ':')
			return apfctl_fail(
				APFCTL_USAGE, "--%s needs a value, %s; see apfctl --help",
				options[option_of(optopt)].name, options[option_of(optopt)].arg);
		id = option_of(c);
		given |= OPTION_BIT(id);
		status = take_option(ctl, id, optarg);
		if (status != APFCTL_OK)
			return status;
	}

	argc -= optind;
	argv += optind;
	if (argc > 0) {
		ctl->verb = verb_find(argv[0]);
		if (!ctl->verb)
			return refuse_verb(argv[0]);
		ctl->args = argv + 1;
		ctl->n_args = (size_t)argc - 1;
	}
	if (given & OPTION_BIT(OPTION_HELP)) {
		help_print(stdout, ctl->verb);
		*ret_done = true;
		return APFCTL_OK;
	}
	if (given & OPTION_BIT(OPTION_VERSION)) {
		puts("apfctl " APF_VERSION);
		*ret_done = true;
		return APFCTL_OK;
	}
	if (!ctl->verb)
		return apfctl_fail(APFCTL_USAGE, "a verb is missing; see apfctl --help");
	status = check_options(ctl->verb, given);
	if (status != APFCTL_OK)
		return status;
	return check_args(ctl);
}
