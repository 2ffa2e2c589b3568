// SPDX-License-Identifier: GPL-2.0
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doctor-host.h"
#include "props.h"

void check_list_clear(struct check_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->checks[i].name);
		free(list->checks[i].state);
		free(list->checks[i].fact);
		free(list->checks[i].remedy);
	}
	free(list->checks);
	*list = (struct check_list){};
}

/* Appends an empty element; NULL if out of memory. */
static struct check *check_list_append(struct check_list *list)
{
	struct check *checks = reallocarray(list->checks, list->n + 1, sizeof(*checks));

	if (!checks)
		return NULL;
	list->checks = checks;
	checks[list->n] = (struct check){};
	return &checks[list->n++];
}

static int append_check(sd_bus_message *m, void *userdata, const struct prop **ret_bad)
{
	static const struct prop props[] = {
		{ "Check", "s", prop_read_string, offsetof(struct check, name) },
		{ "State", "s", prop_read_string, offsetof(struct check, state) },
		{ "Fact", "s", prop_read_string, offsetof(struct check, fact) },
		{ "Remedy", "s", prop_read_string, offsetof(struct check, remedy) },
	};
	struct check *check = check_list_append(userdata);

	return check ? props_read(m, props, ELEMENTSOF(props), check, ret_bad) : -ENOMEM;
}

int check_list_read(sd_bus_message *m, struct check_list *list, const char **ret_bad)
{
	return props_read_array(m, append_check, list, ret_bad);
}

/* The host on which this program runs. */
static const struct doctor_host this_host = {
	.roots = HOST_ROOTS_USUAL,
	.nowait = -1,
};

int check_list_examine_host(struct check_list *list, const char *why)
{
	_cleanup_free_ struct diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));

	if (!diagnosis)
		return -ENOMEM;
	diag_add(diagnosis, CHECK_APFD, DIAG_FAIL, "apfd cannot be called: %s", why);
	diag_remedy(diagnosis, "start apfd:\n  systemctl start apfd");
	doctor_host(&this_host, diagnosis);
	for (size_t i = 0; i < diagnosis->n; i++) {
		const struct diag_finding *f = &diagnosis->findings[i];
		struct check *check = check_list_append(list);

		if (!check)
			return -ENOMEM;
		check->name = strdup(diag_checks[f->check].name);
		check->state = strdup(diag_state_to_string(f->state));
		check->fact = strdup(f->fact);
		check->remedy = strdup(f->remedy);
		if (!check->name || !check->state || !check->fact || !check->remedy)
			return -ENOMEM;
	}
	return 0;
}

int check_list_add_local(struct check_list *list)
{
	const char *name = diag_checks[CHECK_MODULE].name;
	_cleanup_free_ struct diagnosis *diagnosis = NULL;
	const struct diag_finding *f;

	for (size_t i = 0; i < list->n; i++) {
		struct check *check = &list->checks[i];
		char *fact, *remedy;

		if (strcmp(check->name, name) != 0 ||
		    strcmp(check->state, diag_state_to_string(DIAG_FAIL)) != 0)
			continue;
		if (!diagnosis) {
			diagnosis = calloc(1, sizeof(*diagnosis));
			if (!diagnosis)
				return -ENOMEM;
			doctor_host(&this_host, diagnosis);
		}
		f = diag_find(diagnosis, CHECK_MODULE);
		/* The module was loaded meanwhile, or apfd is on another host (in a container). */
		if (!f || f->state != DIAG_FAIL)
			continue;
		fact = strdup(f->fact);
		remedy = strdup(f->remedy);
		if (!fact || !remedy) {
			free(fact);
			free(remedy);
			return -ENOMEM;
		}
		free(check->fact);
		free(check->remedy);
		check->fact = fact;
		check->remedy = remedy;
	}
	return 0;
}

size_t check_list_count(const struct check_list *list, const char *state)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += strcmp(list->checks[i].state, state) == 0;
	return n;
}

const char *check_list_worst(const struct check_list *list)
{
	for (int state = DIAG_STATE_MAX; state > DIAG_OK; state--)
		if (check_list_count(list, diag_state_to_string((enum diag_state)state)) > 0)
			return diag_state_to_string((enum diag_state)state);
	return diag_state_to_string(DIAG_OK);
}
