// SPDX-License-Identifier: GPL-2.0
/*
 * Hidden verbs for shell completion: "__tables", from which the build generates the
 * completion scripts, and "__vms" and "__stored", which the scripts call.
 */
#include <stdio.h>

#include "bus.h"
#include "diagnosis.h"
#include "event-print.h"
#include "json.h"
#include "sort.h"
#include "strv.h"
#include "top.h"
#include "verb.h"

static const char *const completion_names[] = {
	[COMPLETE_NOTHING] = "nothing", [COMPLETE_VM] = "vm",	  [COMPLETE_STORED] = "stored",
	[COMPLETE_MODE] = "mode",	[COMPLETE_VERB] = "verb",
};

static const char *const count_names[] = {
	[ARG_ONE] = "one",
	[ARG_OPTIONAL] = "optional",
	[ARG_ANY] = "any",
	[ARG_SOME] = "some",
};

static int add_optional_string(struct json_object *object, const char *key, const char *value)
{
	return value ? json_add_string(object, key, value) : json_add_null(object, key);
}

static struct json_object *table_option(unsigned int id)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	const char short_name[] = { options[id].short_name, '\0' };
	int r = 0;

	if (!object)
		return NULL;
	r |= json_add_string(object, "name", options[id].name);
	r |= add_optional_string(object, "short_name", short_name[0] ? short_name : NULL);
	r |= add_optional_string(object, "arg", options[id].arg);
	r |= json_add_bool(object, "every_verb", options[id].every_verb);
	r |= json_add_string(object, "help", options[id].help);
	return r < 0 ? NULL : TAKE_PTR(object);
}

static struct json_object *table_args(const struct verb *verb)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();

	if (!array)
		return NULL;
	for (const struct verb_arg *arg = verb->args; arg->name; arg++) {
		_cleanup_(json_putp) struct json_object *object = json_object_new_object();

		if (!object || json_add_string(object, "name", arg->name) < 0 ||
		    json_add_string(object, "complete", completion_names[arg->complete]) < 0 ||
		    json_add_string(object, "count", count_names[arg->count]) < 0 ||
		    json_append(array, TAKE_PTR(object)) < 0)
			return NULL;
	}
	return TAKE_PTR(array);
}

static int append_words(struct json_object *array, const char *const *words, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n; i++)
		r |= json_append(array, json_object_new_string(words[i]));
	return r;
}

static int append_columns(struct json_object *array, const struct table_column *columns, size_t n)
{
	char word[SORT_WORD_MAX];
	int r = 0;

	for (size_t i = 0; i < n; i++)
		r |= json_append(array, json_object_new_string(sort_word(word, &columns[i])));
	return r;
}

/* The values of an option of a verb; an empty array if any value may be given. */
static struct json_object *table_values(const struct verb *verb, unsigned int id)
{
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();
	int r = 0;

	if (!array)
		return NULL;
	if (id == OPTION_STATE)
		r = append_words(array, state_names, n_state_names);
	else if (id == OPTION_EVENT)
		r = append_words(array, event_names, n_event_names);
	else if (id == OPTION_SORT && verb->run == verb_list)
		r = append_columns(array, list_columns, n_list_columns);
	else if (id == OPTION_SORT)
		r = append_columns(array, top_columns, _TOP_MAX);
	return r < 0 ? NULL : TAKE_PTR(array);
}

static struct json_object *table_verb(const struct verb *verb)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_(json_putp) struct json_object *array = json_object_new_array();
	_cleanup_(json_putp) struct json_object *values = json_object_new_object();

	if (!object || !array || !values)
		return NULL;
	for (unsigned int id = 0; id < _OPTION_MAX; id++)
		if ((verb->options & OPTION_BIT(id)) &&
		    (json_append(array, json_object_new_string(options[id].name)) < 0 ||
		     json_add(values, options[id].name, table_values(verb, id)) < 0))
			return NULL;
	if (json_add_string(object, "name", verb->name) < 0 ||
	    json_add(object, "args", table_args(verb)) < 0 ||
	    json_add(object, "options", TAKE_PTR(array)) < 0 ||
	    json_add(object, "values", TAKE_PTR(values)) < 0 ||
	    json_add_string(object, "help", verb->help) < 0)
		return NULL;
	return TAKE_PTR(object);
}

static struct json_object *table_check(enum diag_check check)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();

	if (!object || json_add_string(object, "name", diag_checks[check].name) < 0 ||
	    json_add_bool(object, "of_vm", diag_checks[check].of_vm) < 0)
		return NULL;
	return TAKE_PTR(object);
}

static struct json_object *tables(void)
{
	_cleanup_(json_putp) struct json_object *object = json_object_new_object();
	_cleanup_(json_putp) struct json_object *verb_array = json_object_new_array();
	_cleanup_(json_putp) struct json_object *option_array = json_object_new_array();
	_cleanup_(json_putp) struct json_object *mode_array = json_object_new_array();
	_cleanup_(json_putp) struct json_object *exit_array = json_object_new_array();
	_cleanup_(json_putp) struct json_object *check_array = json_object_new_array();
	int r = 0;

	if (!object || !verb_array || !option_array || !mode_array || !exit_array || !check_array)
		return NULL;
	for (size_t i = 0; i < n_verbs; i++)
		if (verbs[i].help)
			r |= json_append(verb_array, table_verb(&verbs[i]));
	for (unsigned int id = 0; id < _OPTION_MAX; id++)
		r |= json_append(option_array, table_option(id));
	for (size_t i = 0; i < n_mode_names; i++)
		r |= json_append(mode_array, json_object_new_string(mode_names[i]));
	for (unsigned int i = 0; i < _STATUS_MAX; i++)
		r |= json_append(exit_array, json_object_new_string(exit_statuses[i]));
	for (unsigned int i = 0; i < _DIAG_CHECK_MAX; i++)
		r |= json_append(check_array, table_check((enum diag_check)i));
	if (r < 0)
		return NULL;
	r |= json_add(object, "verbs", TAKE_PTR(verb_array));
	r |= json_add(object, "options", TAKE_PTR(option_array));
	r |= json_add(object, "modes", TAKE_PTR(mode_array));
	r |= json_add(object, "exit_statuses", TAKE_PTR(exit_array));
	r |= json_add(object, "checks", TAKE_PTR(check_array));
	return r < 0 ? NULL : TAKE_PTR(object);
}

int verb_complete_tables(struct apfctl *ctl)
{
	_cleanup_(json_putp) struct json_object *object = tables();

	return json_print(object, false);
}

int verb_complete_vms(struct apfctl *ctl)
{
	_cleanup_(vm_list_clear) struct vm_list list = {};
	int status;

	status = bus_read_vms(&ctl->client, &list);
	for (size_t i = 0; status == STATUS_OK && i < list.n; i++)
		puts(vm_label(&list.vms[i]));
	return status;
}

int verb_complete_stored(struct apfctl *ctl)
{
	_cleanup_(stored_rows_clear) struct stored_rows rows = {};
	int status;

	status = bus_list_stored(&ctl->client, &rows);
	for (size_t i = 0; status == STATUS_OK && i < rows.n; i++)
		if (!rows.all[i].running)
			puts(stored_label(&rows.all[i]));
	return status;
}
