// SPDX-License-Identifier: GPL-2.0
#include "monitor-held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

void held_free_event(struct event *decision)
{
	free((char *)decision->name);
	free((char *)decision->uuid);
	free((char *)decision->state);
	free((char *)decision->rule);
	free((char *)decision->reason);
	*decision = (struct event){};
}

void held_clear(struct held *held)
{
	for (size_t i = 0; i < held->n; i++)
		held_free_event(&held->all[i]);
	free(held->all);
	*held = (struct held){};
}

int held_add(struct held *held, const struct event *decision)
{
	struct event *all = reallocarray(held->all, held->n + 1, sizeof(*all)), copy;

	if (!all)
		return -ENOMEM;
	held->all = all;
	copy = (struct event){
		.kind = decision->kind,
		.now_usec = decision->now_usec,
		.name = strdup(decision->name),
		.uuid = strdup(decision->uuid),
		.state = strdup(decision->state),
		.vcpus = decision->vcpus,
		.rule = strdup(decision->rule),
		.reason = strdup(decision->reason),
		.dry_run = decision->dry_run,
	};
	if (!copy.name || !copy.uuid || !copy.state || !copy.rule || !copy.reason) {
		held_free_event(&copy);
		return -ENOMEM;
	}
	all[held->n++] = copy;
	return 0;
}

static void take_at(struct held *held, size_t i, struct event *ret_decision)
{
	*ret_decision = held->all[i];
	held->n--;
	memmove(&held->all[i], &held->all[i + 1], (held->n - i) * sizeof(*held->all));
}

/* The rule and the reason in the reason of a change, "policy: RULE: REASON"; NULL if not apfd's. */
static const char *text_of_policy(const struct event *changed)
{
	size_t len = strlen(NAME_REASON_POLICY);

	return strncmp(changed->reason, NAME_REASON_POLICY, len) == 0 ? changed->reason + len
								      : NULL;
}

static bool belongs_to(const struct event *changed, const struct event *decision)
{
	const char *text = text_of_policy(changed);
	size_t len = strlen(decision->rule);

	if (!text || strcmp(changed->uuid, decision->uuid) != 0 ||
	    strcmp(changed->state, decision->state) != 0)
		return false;
	/* The module keeps only the beginning of a long reason. */
	return strncmp(text, decision->rule, len) == 0 && strncmp(text + len, ": ", 2) == 0 &&
	       strncmp(text + len + 2, decision->reason, strlen(text + len + 2)) == 0;
}

void held_remove(struct held *held, const struct event *changed)
{
	for (size_t i = 0; i < held->n; i++) {
		struct event decision;

		if (!belongs_to(changed, &held->all[i]))
			continue;
		take_at(held, i, &decision);
		held_free_event(&decision);
		return;
	}
}

bool held_take(struct held *held, uint64_t until_usec, struct event *ret_decision)
{
	if (held->n == 0 || held->all[0].now_usec > until_usec)
		return false;
	take_at(held, 0, ret_decision);
	return true;
}

bool held_is_repetition(const struct event *changed)
{
	const char *text = text_of_policy(changed);

	text = text ? strstr(text, ": ") : NULL;
	return text && (strcmp(text + 2, NAME_REASON_WHOLE_VM) == 0 ||
			strcmp(text + 2, NAME_REASON_LATER) == 0);
}
