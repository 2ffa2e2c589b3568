/* SPDX-License-Identifier: GPL-2.0 */
#include "conf-keys.h"

#include <errno.h>
#include <syslog.h>

#include "conf.h"
#include "conf-parse.h"
#include "number.h"

/* About half of what a SATA SSD can read. */
#define RECALL_RATE_DEFAULT_BYTES (UINT64_C(256) << 20)

/* Slow: nobody waits for it, and the swap device stays free for others. */
#define CALM_RATE_DEFAULT_BYTES (UINT64_C(16) << 20)

#define WHEN_CALM_MIN_USEC (1 * USEC_PER_SEC)
#define WHEN_CALM_MAX_USEC (24 * 3600 * USEC_PER_SEC)

#define TICK_MIN_USEC (1 * USEC_PER_SEC) /* the bus promises at most one signal a second */
/* The policy starts again after a gap of more than five seconds between two readings. */
#define TICK_MAX_USEC (4 * USEC_PER_SEC)

static int parse_bool(const char *value, void *field)
{
	return conf_parse_bool(value, field);
}

static int parse_level(const char *value, void *field)
{
	return conf_parse_level(value, field);
}

static int parse_span(const char *value, uint64_t min_usec, uint64_t max_usec, uint64_t *ret_usec)
{
	uint64_t usec;
	int r;

	r = conf_parse_span(value, max_usec, &usec);
	if (r < 0)
		return r;
	if (usec < min_usec)
		return -ERANGE;
	*ret_usec = usec;
	return 0;
}

static int parse_tick(const char *value, void *field)
{
	return parse_span(value, TICK_MIN_USEC, TICK_MAX_USEC, field);
}

static int parse_when_calm(const char *value, void *field)
{
	bool yes;

	/* "yes" would not say for how long. */
	if (conf_parse_bool(value, &yes) < 0 || yes)
		return parse_span(value, WHEN_CALM_MIN_USEC, WHEN_CALM_MAX_USEC, field);
	*(uint64_t *)field = 0;
	return 0;
}

static int parse_on_exit(const char *value, void *field)
{
	if (streq(value, "keep"))
		*(int *)field = CONF_ON_EXIT_KEEP;
	else if (streq(value, "restore"))
		*(int *)field = CONF_ON_EXIT_RESTORE;
	else
		return -EINVAL;
	return 0;
}

static int parse_foreign(const char *value, void *field)
{
	bool yes;

	if (streq(value, "auto")) {
		*(int *)field = CONF_FOREIGN_AUTO;
		return 0;
	}
	if (conf_parse_bool(value, &yes) < 0)
		return -EINVAL;
	*(int *)field = yes ? CONF_FOREIGN_YES : CONF_FOREIGN_NO;
	return 0;
}

static int parse_rate(const char *value, void *field)
{
	return number_parse_rate(value, field);
}

/* clang-format off */
#define FIELD(f) offsetof(struct conf, f), sizeof(((struct conf *)NULL)->f)
const struct conf_key conf_daemon_keys[] = {
	{ "LogLevel",	 FIELD(log_level),    parse_level,
	  "emerg, alert, crit, err, warning, notice, info or debug" },
	{ "TickSec",	 FIELD(tick_usec),    parse_tick, "a time from 1s to 4s" },
	{ "OnExit",	 FIELD(on_exit),      parse_on_exit, "keep or restore" },
	{ "ForeignVMs",	 FIELD(foreign_vms),  parse_foreign, "yes, no or auto" },
	{ "DryRun",	 FIELD(dry_run),      parse_bool, "yes or no" },
	{},
};

const struct conf_key conf_recall_keys[] = {
	{ "RatePerSec",	 FIELD(recall_rate_bytes), parse_rate, NUMBER_RATE_WANTED },
	{ "WhenCalm",	 FIELD(when_calm_usec), parse_when_calm,
	  "no, or a time from 1s to 24h, like 5min" },
	{ "CalmRatePerSec", FIELD(calm_rate_bytes), parse_rate, NUMBER_RATE_WANTED },
	{},
};
#undef FIELD
/* clang-format on */

void conf_set_defaults(struct conf *c)
{
	c->log_level = LOG_INFO;
	c->tick_usec = TICK_MIN_USEC;
	c->on_exit = CONF_ON_EXIT_KEEP;
	c->foreign_vms = CONF_FOREIGN_AUTO;
	c->dry_run = false;
	c->recall_rate_bytes = RECALL_RATE_DEFAULT_BYTES;
	c->when_calm_usec = 0;
	c->calm_rate_bytes = CALM_RATE_DEFAULT_BYTES;
	policy_params_init(&c->policy);
}
