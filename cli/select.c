// SPDX-License-Identifier: GPL-2.0
#include "select.h"

#include <fnmatch.h>
#include <string.h>

#include "bus.h"
#include "format.h"
#include "json.h"

void targets_clear(struct targets *targets)
{
	for (size_t i = 0; i < targets->n; i++) {
		free(targets->all[i].name);
		free(targets->all[i].path);
	}
	free(targets->all);
	*targets = (struct targets){};
}

static bool has_target(const struct targets *targets, const char *path)
{
	for (size_t i = 0; i < targets->n; i++)
		if (strcmp(targets->all[i].path, path) == 0)
			return true;
	return false;
}

/* Adds a VM, unless another argument has named it already. */
static int add_target(struct targets *targets, const char *name, const char *path, bool listed)
{
	struct target *all, *target;

	if (has_target(targets, path))
		return STATUS_OK;
	all = reallocarray(targets->all, targets->n + 1, sizeof(*all));
	if (!all)
		return status_fail(STATUS_FAILED, "out of memory");
	targets->all = all;
	target = &all[targets->n++];
	*target = (struct target){ strdup(name), strdup(path), listed };
	if (!target->name || !target->path)
		return status_fail(STATUS_FAILED, "out of memory");
	return STATUS_OK;
}

bool is_pattern(const char *text)
{
	return strpbrk(text, "*?[") != NULL;
}

static int add_pattern(struct apfctl *ctl, const char *pattern, const struct vm_list *list,
		       struct targets *targets)
{
	_cleanup_free_ char *printable = NULL;
	int status = STATUS_OK;
	bool any = false;

	/* Libvirt allows these characters in names: a VM with exactly this name is meant. */
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->vms[i].name, pattern) == 0)
			return add_target(targets, pattern, list->vms[i].path, false);

	targets->several = true;
	for (size_t i = 0; i < list->n && status == STATUS_OK; i++) {
		const struct vm *vm = &list->vms[i];

		if (fnmatch(pattern, vm_label(vm), 0) != 0)
			continue;
		any = true;
		status = add_target(targets, vm_label(vm), vm->path, true);
	}
	if (any)
		return status;
	printable = text_printable(pattern);
	return status_fail(STATUS_NO_SUCH_VM,
			   "%s %s: the name of no VM matches; 'apfctl list' shows all VMs",
			   ctl->client.task, printable ?: "");
}

static int add_all(const struct vm_list *list, struct targets *targets)
{
	int status = STATUS_OK;

	targets->several = true;
	for (size_t i = 0; i < list->n && status == STATUS_OK; i++)
		status = add_target(targets, vm_label(&list->vms[i]), list->vms[i].path, true);
	return status;
}

static int add_named(struct apfctl *ctl, const char *name, struct targets *targets)
{
	_cleanup_free_ char *path = NULL;
	int status = bus_find_vm(&ctl->client, name, &path);

	return status == STATUS_OK ? add_target(targets, name, path, false) : status;
}

/*
 * After wrong usage nothing may be done. Without apfd, each further VM would fail for the same
 * reason.
 */
static bool is_final(int status)
{
	return status == STATUS_USAGE || status == STATUS_MISSING;
}

/* Whether the list of all VMs is needed: reading it costs more than looking up a few names. */
static bool needs_list(const struct apfctl *ctl, size_t n_args)
{
	for (size_t i = 0; i < n_args; i++)
		if (is_pattern(ctl->args[i]))
			return true;
	return ctl->all;
}

int targets_find(struct apfctl *ctl, size_t n_args, struct targets *targets)
{
	_cleanup_(vm_list_clear) struct vm_list list = {};
	int worst = STATUS_OK, status;

	targets->several = n_args > 1;
	if (needs_list(ctl, n_args)) {
		status = bus_read_vms(&ctl->client, &list);
		if (status != STATUS_OK)
			return status;
	}
	if (ctl->all)
		return add_all(&list, targets);
	for (size_t i = 0; i < n_args; i++) {
		status = is_pattern(ctl->args[i]) ? add_pattern(ctl, ctl->args[i], &list, targets)
						  : add_named(ctl, ctl->args[i], targets);
		if (is_final(status))
			return status;
		if (status != STATUS_OK)
			apfctl_fail_print();
		worst = apfctl_worst(worst, status);
	}
	return worst;
}

int targets_run(const struct targets *targets, int status,
		int (*run)(const struct target *target, void *userdata), void *userdata)
{
	if (is_final(status))
		return status;
	if (status == STATUS_OK && targets->n == 0)
		apfctl_note("no VM is running");
	for (size_t i = 0; i < targets->n; i++) {
		int result = run(&targets->all[i], userdata);

		if (result == STATUS_NO_SUCH_VM && targets->all[i].listed) {
			free(status_take_message());
			continue;
		}
		if (result != STATUS_OK)
			apfctl_fail_print();
		status = apfctl_worst(status, result);
	}
	return status;
}

int targets_show(struct apfctl *ctl, const struct targets *targets, int status,
		 int (*run)(const struct target *target, void *userdata), void *userdata,
		 struct json_object **array)
{
	_cleanup_(json_putp) struct json_object *all = NULL;

	if (ctl->json && targets->several) {
		all = json_object_new_array();
		if (!all)
			return status_fail(STATUS_FAILED, "out of memory");
	}
	*array = all;
	status = targets_run(targets, status, run, userdata);
	*array = NULL;
	if (all && (targets->n > 0 || status == STATUS_OK))
		status = apfctl_worst(status, json_print(all, false));
	return status;
}

/* ---- filter ---- */

void vm_filter_clear(struct vm_filter *filter)
{
	for (size_t i = 0; i < filter->n_paths; i++)
		free(filter->paths[i]);
	free(filter->paths);
	free(filter->patterns);
	*filter = (struct vm_filter){};
}

/* Notes for each pattern that matches no VM yet: it may be mistyped. */
static void note_unmatched(const struct vm_filter *filter, const struct vm_list *list)
{
	for (size_t i = 0; i < filter->n_patterns; i++) {
		_cleanup_free_ char *printable = text_printable(filter->patterns[i]);
		size_t n = 0;

		while (n < list->n && fnmatch(filter->patterns[i], vm_label(&list->vms[n]), 0) != 0)
			n++;
		if (n == list->n)
			apfctl_note("the name of no VM matches %s yet", printable ?: "");
	}
}

/* Like add_named(), but keeps only the path. */
static int add_path(struct apfctl *ctl, const char *name, struct vm_filter *filter)
{
	int status = bus_find_vm(&ctl->client, name, &filter->paths[filter->n_paths]);

	if (status == STATUS_OK)
		filter->n_paths++;
	return status;
}

/* A pattern, or the name of a VM if there is one with exactly this name. */
static int add_pattern_or_path(char *pattern, const struct vm_list *list, struct vm_filter *filter)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->vms[i].name, pattern) != 0)
			continue;
		filter->paths[filter->n_paths] = strdup(list->vms[i].path);
		if (!filter->paths[filter->n_paths])
			return status_fail(STATUS_FAILED, "out of memory");
		filter->n_paths++;
		return STATUS_OK;
	}
	filter->patterns[filter->n_patterns++] = pattern;
	return STATUS_OK;
}

int vm_filter_find(struct apfctl *ctl, struct vm_filter *filter)
{
	_cleanup_(vm_list_clear) struct vm_list list = {};
	int worst = STATUS_OK, status;

	if (ctl->all || ctl->n_args == 0)
		return STATUS_OK;
	if (needs_list(ctl, ctl->n_args)) {
		status = bus_read_vms(&ctl->client, &list);
		if (status != STATUS_OK)
			return status;
	}
	filter->paths = calloc(ctl->n_args, sizeof(*filter->paths));
	filter->patterns = calloc(ctl->n_args, sizeof(*filter->patterns));
	if (!filter->paths || !filter->patterns)
		return status_fail(STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < ctl->n_args; i++) {
		status = is_pattern(ctl->args[i]) ? add_pattern_or_path(ctl->args[i], &list, filter)
						  : add_path(ctl, ctl->args[i], filter);
		if (is_final(status))
			return status;
		if (status != STATUS_OK)
			apfctl_fail_print();
		worst = apfctl_worst(worst, status);
	}
	if (worst == STATUS_OK)
		note_unmatched(filter, &list);
	return worst;
}

bool vm_filter_accepts(const struct vm_filter *filter, const char *path, const char *name)
{
	for (size_t i = 0; i < filter->n_paths; i++)
		if (strcmp(filter->paths[i], path) == 0)
			return true;
	for (size_t i = 0; i < filter->n_patterns; i++)
		if (fnmatch(filter->patterns[i], name, 0) == 0)
			return true;
	return filter->n_paths + filter->n_patterns == 0;
}

void vm_filter_apply(const struct vm_filter *filter, struct vm_list *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		struct vm *vm = &list->vms[i];

		if (vm_filter_accepts(filter, vm->path, vm_label(vm)))
			list->vms[n++] = *vm;
		else
			vm_clear(vm);
	}
	list->n = n;
}
