// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "field.h"
#include "format.h"
#include "json.h"
#include "table.h"
#include "verb.h"

static const struct table_column columns[] = {
	{ "TIME" }, { "VCPU" }, { "STATE" }, { "RULE" }, { "REASON" },
};

static bool same_figures(const struct figures *a, const struct figures *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->all[i].name, b->all[i].name) != 0 ||
		    a->all[i].value != b->all[i].value)
			return false;
	return true;
}

/* Most often all vCPUs have one story: it is told once. */
static bool same_story(const struct explanation *a, const struct explanation *b)
{
	return strcmp(a->mode, b->mode) == 0 && strcmp(a->state, b->state) == 0 &&
	       a->since_usec == b->since_usec && strcmp(a->rule, b->rule) == 0 &&
	       strcmp(a->reason, b->reason) == 0 && same_figures(&a->inputs, &b->inputs);
}

static void print_figures(const struct apfctl *ctl, const struct figures *figures)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *file;

	if (figures->n == 0)
		return;
	file = open_memstream(&text, &size);
	if (!file)
		return;
	for (size_t i = 0; i < figures->n; i++)
		fprintf(file, "%s%s %.6g", i > 0 ? ", " : "", figures->all[i].name,
			figures->all[i].value);
	if (fclose(file) == 0)
		field_print(ctl, "Figures", STYLE_NONE, text);
}

static void print_story(const struct apfctl *ctl, const struct explanation *e, const char *vcpus)
{
	char date[FORMAT_MAX], age[FORMAT_MAX], text[256];

	snprintf(text, sizeof(text), "%s", vcpus);
	field_print(ctl, "vCPU", STYLE_HEADER, text);
	field_print(ctl, "Mode", STYLE_NONE, e->mode);
	field_print(ctl, "Wanted", style_of_state(e->state), e->state);
	if (e->since_usec > 0) {
		snprintf(text, sizeof(text), "%s (%s)", format_time(date, e->since_usec),
			 format_age(age, e->since_usec));
		field_print(ctl, "Since", STYLE_NONE, text);
	}
	field_print(ctl, "Rule", STYLE_NONE, e->rule);
	field_print(ctl, "Reason", STYLE_NONE, e->reason);
	print_figures(ctl, &e->inputs);
}

static int print_stories(const struct apfctl *ctl, const struct explanations *explanations)
{
	_cleanup_free_ bool *told = calloc(explanations->n + 1, sizeof(*told));
	_cleanup_free_ struct vcpu_list *vcpus = NULL;

	if (!told)
		return -1;
	for (size_t i = 0; i < explanations->n; i++) {
		_cleanup_free_ char *text = NULL;

		if (told[i])
			continue;
		free(vcpus);
		vcpus = calloc(1, sizeof(*vcpus));
		if (!vcpus)
			return -1;
		for (size_t k = i; k < explanations->n; k++) {
			uint32_t index = explanations->all[k].index;

			if (told[k] || index > VCPU_INDEX_MAX ||
			    !same_story(&explanations->all[i], &explanations->all[k]))
				continue;
			told[k] = true;
			vcpus->n += !vcpus->member[index];
			vcpus->member[index] = true;
		}
		text = vcpu_list_format(vcpus);
		if (!text)
			return -1;
		putchar('\n');
		print_story(ctl, &explanations->all[i], text);
	}
	return 0;
}

static int print_decisions(const struct apfctl *ctl, const struct decisions *decisions)
{
	_cleanup_(table_freep) struct table *table = table_new(columns, ELEMENTSOF(columns));

	if (!table)
		return -1;
	if (decisions->n == 0)
		return 0;
	for (size_t i = 0; i < decisions->n; i++) {
		const struct decision *d = &decisions->all[i];
		_cleanup_free_ char *vcpus = vcpu_list_format(&d->vcpus);
		char date[FORMAT_MAX];

		if (!vcpus)
			return -1;
		table_add(table, format_time(date, d->time_usec));
		table_add(table, d->vcpus.n > 0 ? vcpus : "all");
		table_add_styled(table, style_of_state(d->state), d->state);
		table_add(table, d->rule);
		table_addf(table, "%s%s", d->dry_run ? "dry run: " : "", d->reason);
	}
	putchar('\n');
	return table_print(table, stdout, &ctl->term, decisions->n);
}

int verb_why(struct apfctl *ctl)
{
	_cleanup_(explanations_clear) struct explanations explanations = {};
	_cleanup_(decisions_clear) struct decisions decisions = {};
	_cleanup_(vm_clear) struct vm vm = {};
	_cleanup_free_ char *path = NULL;
	const char *name = ctl->args[0];
	int status;

	status = bus_find_vm(ctl, name, &path);
	if (status == APFCTL_OK)
		status = bus_read_vm(ctl, name, path, &vm);
	if (status == APFCTL_OK)
		status = bus_read_explanations(ctl, name, path, &explanations);
	if (status == APFCTL_OK)
		status = bus_read_decisions(ctl, name, path, &decisions);
	if (status != APFCTL_OK)
		return status;

	if (ctl->json) {
		_cleanup_(json_putp) struct json_object *object =
			json_why(&vm, &explanations, &decisions);

		return json_print(object, false);
	}
	field_print(ctl, "VM", STYLE_HEADER, vm_label(&vm));
	field_print(ctl, "State", style_of_state(vm.state), vm.state);
	field_print_mode(ctl, &vm);
	if (print_stories(ctl, &explanations) < 0 || print_decisions(ctl, &decisions) < 0)
		return apfctl_fail(APFCTL_FAILED, "out of memory");
	return APFCTL_OK;
}
