// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "automatic.h"
#include "bus.h"
#include "format.h"
#include "names.h"
#include "select.h"
#include "verb.h"

/* The note names this many VMs, and counts the others. */
#define NOTE_NAMES_MAX 3

/**
 * struct setting - a change of the mode of some VMs
 * @ended: VMs whose automatic control the change has ended; the first NOTE_NAMES_MAX names
 * @n_ended: number of all of them
 */
struct setting {
	struct apfctl *ctl;
	struct mode_change change;
	char *ended[NOTE_NAMES_MAX];
	size_t n_ended;
};

/* The answer is only for a note: a VM that cannot be read is no failure. */
static bool read_automatic(const struct setting *setting, const struct target *target)
{
	_cleanup_(vm_clear) struct vm vm = {};

	if (bus_read_vm(&setting->ctl->client, target->name, target->path, &vm) == STATUS_OK)
		return vm_is_automatic(&vm, setting->change.vcpus);
	free(status_take_message());
	return false;
}

static int set_target(const struct target *target, void *userdata)
{
	struct setting *setting = userdata;
	bool to_auto = strcmp(setting->change.mode, NAME_AUTO) == 0;
	bool automatic = !to_auto && read_automatic(setting, target);
	int status;

	status = bus_set_mode(&setting->ctl->client, target->name, target->path, &setting->change);
	/* Mode "default" may be auto, too: only the mode after the change is certain. */
	if (status != STATUS_OK || !automatic || read_automatic(setting, target))
		return status;
	if (setting->n_ended < NOTE_NAMES_MAX)
		setting->ended[setting->n_ended] = text_printable(target->name);
	setting->n_ended++;
	return STATUS_OK;
}

/* One note for all VMs. */
static void note_ended(const struct setting *setting)
{
	_cleanup_free_ char *list = vcpu_list_format(setting->change.vcpus), *text = NULL;
	const bool vcpus = setting->change.vcpus->n > 0;
	const char *vm = setting->n_ended == 1 ? setting->ended[0] : "VM";
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return;
	if (vcpus)
		fprintf(file, "vCPU %s of ", list ?: "");
	for (size_t i = 0; i < setting->n_ended && i < NOTE_NAMES_MAX; i++)
		fprintf(file, "%s%s", i > 0 ? ", " : "", setting->ended[i] ?: "");
	if (setting->n_ended > NOTE_NAMES_MAX)
		fprintf(file, " and %zu more", setting->n_ended - NOTE_NAMES_MAX);
	if (fclose(file) != 0)
		return;
	apfctl_note("%s: automatic control has ended; 'apfctl auto %s%s%s' starts it again", text,
		    vm ?: "", vcpus ? " --vcpu " : "", vcpus ? list ?: "" : "");
}

/* The first @n_args arguments are VMs. */
static int set_mode(struct apfctl *ctl, size_t n_args, const char *mode)
{
	_cleanup_(targets_clear) struct targets targets = {};
	struct setting setting = { ctl, { mode, &ctl->vcpus, ctl->persistent } };
	int status;

	status = targets_find(ctl, n_args, &targets);
	status = targets_run(&targets, status, set_target, &setting);
	if (setting.n_ended > 0)
		note_ended(&setting);
	for (size_t i = 0; i < NOTE_NAMES_MAX; i++)
		free(setting.ended[i]);
	return status;
}

int verb_enable(struct apfctl *ctl)
{
	return set_mode(ctl, ctl->n_args, NAME_ON);
}

int verb_disable(struct apfctl *ctl)
{
	return set_mode(ctl, ctl->n_args, NAME_OFF);
}

int verb_auto(struct apfctl *ctl)
{
	return set_mode(ctl, ctl->n_args, NAME_AUTO);
}

int verb_set(struct apfctl *ctl)
{
	_cleanup_free_ char *word = NULL, *near = NULL;
	const char *mode = ctl->args[ctl->n_args - 1];

	for (size_t i = 0; i < n_mode_names; i++)
		if (strcmp(mode, mode_names[i]) == 0)
			return set_mode(ctl, ctl->n_args - 1, mode);

	word = text_printable(mode);
	near = near_modes(mode);
	return status_fail(STATUS_USAGE,
			   "set: '%s' is not a mode%s; use auto, on, pv, off or default",
			   word ?: "", near ?: "");
}

int verb_reload(struct apfctl *ctl)
{
	return bus_reload(&ctl->client);
}
