// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "field.h"
#include "format.h"
#include "json.h"
#include "select.h"
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

/* Most often all vCPUs have the same explanation: it is then printed once. */
static bool same_explanation(const struct explanation *a, const struct explanation *b)
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
		field_print(&ctl->term, "Figures", STYLE_NONE, text);
}

static void print_explanation(const struct apfctl *ctl, const struct explanation *e,
			      const char *vcpus)
{
	char date[FORMAT_MAX], age[FORMAT_MAX], text[256];

	snprintf(text, sizeof(text), "%s", vcpus);
	field_print(&ctl->term, "vCPU", STYLE_HEADER, text);
	field_print(&ctl->term, "Mode", STYLE_NONE, e->mode);
	field_print(&ctl->term, "Wanted", style_of_state(e->state), e->state);
	if (e->since_usec > 0) {
		snprintf(text, sizeof(text), "%s (%s)", format_time(date, e->since_usec),
			 format_age(age, e->since_usec));
		field_print(&ctl->term, "Since", STYLE_NONE, text);
	}
	field_print(&ctl->term, "Rule", STYLE_NONE, e->rule);
	field_print(&ctl->term, "Reason", STYLE_NONE, e->reason);
	print_figures(ctl, &e->inputs);
}

static int print_explanations(const struct apfctl *ctl, const struct explanations *explanations)
{
	_cleanup_free_ bool *printed = calloc(explanations->n + 1, sizeof(*printed));
	_cleanup_free_ struct vcpu_list *vcpus = NULL;

	if (!printed)
		return -1;
	for (size_t i = 0; i < explanations->n; i++) {
		_cleanup_free_ char *text = NULL;

		if (printed[i])
			continue;
		free(vcpus);
		vcpus = calloc(1, sizeof(*vcpus));
		if (!vcpus)
			return -1;
		for (size_t k = i; k < explanations->n; k++) {
			uint32_t index = explanations->all[k].index;

			if (printed[k] || index > VCPU_INDEX_MAX ||
			    !same_explanation(&explanations->all[i], &explanations->all[k]))
				continue;
			printed[k] = true;
			vcpus->n += !vcpus->member[index];
			vcpus->member[index] = true;
		}
		text = vcpu_list_format(vcpus);
		if (!text)
			return -1;
		putchar('\n');
		print_explanation(ctl, &explanations->all[i], text);
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

/**
 * struct reasons - a running "why"
 * @array: JSON of all VMs; NULL if the output is text or one object
 * @n_printed: VMs printed so far
 */
struct reasons {
	struct apfctl *ctl;
	struct json_object *array;
	size_t n_printed;
};

static int print_text(const struct apfctl *ctl, const struct vm *vm,
		      const struct explanations *explanations, const struct decisions *decisions)
{
	field_print(&ctl->term, "VM", STYLE_HEADER, vm_label(vm));
	field_print(&ctl->term, "State", style_of_state(vm->state), vm->state);
	field_print_mode(&ctl->term, vm);
	field_print_auto_recall(&ctl->term, &vm->auto_recall);
	if (print_explanations(ctl, explanations) < 0 || print_decisions(ctl, decisions) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

static int why_target(const struct target *target, void *userdata)
{
	_cleanup_(explanations_clear) struct explanations explanations = {};
	_cleanup_(decisions_clear) struct decisions decisions = {};
	_cleanup_(vm_clear) struct vm vm = {};
	_cleanup_(json_putp) struct json_object *object = NULL;
	struct reasons *reasons = userdata;
	struct client *client = &reasons->ctl->client;
	int status;

	status = bus_read_vm(client, target->name, target->path, &vm);
	if (status == STATUS_OK)
		status = bus_read_explanations(client, target->name, target->path, &explanations);
	if (status == STATUS_OK)
		status = bus_read_decisions(client, target->name, target->path, &decisions);
	if (status != STATUS_OK)
		return status;

	if (!reasons->ctl->json) {
		if (reasons->n_printed++ > 0)
			putchar('\n');
		return print_text(reasons->ctl, &vm, &explanations, &decisions);
	}
	object = json_why(&vm, &explanations, &decisions);
	if (!reasons->array)
		return json_print(object, false);
	if (!object || json_append(reasons->array, TAKE_PTR(object)) < 0)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

int verb_why(struct apfctl *ctl)
{
	_cleanup_(targets_clear) struct targets targets = {};
	struct reasons reasons = { .ctl = ctl };
	int status;

	status = targets_find(ctl, ctl->n_args, &targets);
	return targets_show(ctl, &targets, status, why_target, &reasons, &reasons.array);
}
