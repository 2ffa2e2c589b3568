// SPDX-License-Identifier: GPL-2.0
#include "decision.h"

#include <errno.h>
#include <stdlib.h>

#include "apf/cleanup.h"
#include "props.h"

#define EXPLANATION(name, type, read, field)                          \
	{                                                             \
		name, type, read, offsetof(struct explanation, field) \
	}
static const struct prop explanation_props[] = {
	EXPLANATION("Index", "u", prop_read_basic, index),
	EXPLANATION("Mode", "s", prop_read_string, mode),
	EXPLANATION("State", "s", prop_read_string, state),
	EXPLANATION("Since", "t", prop_read_basic, since_usec),
	EXPLANATION("Rule", "s", prop_read_string, rule),
	EXPLANATION("Reason", "s", prop_read_string, reason),
	EXPLANATION("Inputs", "a{sd}", prop_read_figures, inputs),
};

#define DECISION(name, type, read, field)                          \
	{                                                          \
		name, type, read, offsetof(struct decision, field) \
	}
static const struct prop decision_props[] = {
	DECISION("Time", "t", prop_read_basic, time_usec),
	DECISION("VCPUs", "au", prop_read_vcpus, vcpus),
	DECISION("State", "s", prop_read_string, state),
	DECISION("Rule", "s", prop_read_string, rule),
	DECISION("Reason", "s", prop_read_string, reason),
	DECISION("Inputs", "a{sd}", prop_read_figures, inputs),
	DECISION("DryRun", "b", prop_read_bool, dry_run),
};

void explanations_clear(struct explanations *explanations)
{
	for (size_t i = 0; i < explanations->n; i++) {
		struct explanation *e = &explanations->all[i];

		free(e->mode);
		free(e->state);
		free(e->rule);
		free(e->reason);
		figures_clear(&e->inputs);
	}
	free(explanations->all);
	*explanations = (struct explanations){};
}

void decisions_clear(struct decisions *decisions)
{
	for (size_t i = 0; i < decisions->n; i++) {
		struct decision *d = &decisions->all[i];

		free(d->state);
		free(d->rule);
		free(d->reason);
		figures_clear(&d->inputs);
	}
	free(decisions->all);
	*decisions = (struct decisions){};
}

static int append_explanation(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct explanations *explanations = userdata;
	struct explanation *all;

	all = reallocarray(explanations->all, explanations->n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	explanations->all = all;
	all[explanations->n] = (struct explanation){};
	return props_read(m, explanation_props, ELEMENTSOF(explanation_props),
			  &all[explanations->n++], ret_bad);
}

static int append_decision(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	struct decisions *decisions = userdata;
	struct decision *all;

	all = reallocarray(decisions->all, decisions->n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	decisions->all = all;
	all[decisions->n] = (struct decision){};
	return props_read(m, decision_props, ELEMENTSOF(decision_props), &all[decisions->n++],
			  ret_bad);
}

int explanations_read(sd_bus_message *m, struct explanations *explanations, const char **ret_bad)
{
	return props_read_array(m, append_explanation, explanations, ret_bad);
}

int decisions_read(sd_bus_message *m, struct decisions *decisions, const char **ret_bad)
{
	return props_read_array(m, append_decision, decisions, ret_bad);
}
