// SPDX-License-Identifier: GPL-2.0
#include "verb.h"

#include <stdint.h>
#include <string.h>

#include "apf/cleanup.h"
#include "format.h"
#include "names.h"
#include "suggest.h"

/* Arguments of most verbs. */
#define VM_SOME                              \
	{                                    \
		"VM", COMPLETE_VM, ARG_SOME, \
	}
#define VM_ANY                              \
	{                                   \
		"VM", COMPLETE_VM, ARG_ANY, \
	}
#define CHANGE_OPTIONS \
	(OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_VCPU) | OPTION_BIT(OPTION_PERSISTENT))

#define ABOUT_CHANGE(mode)                                                                   \
	"The same as 'set VM... " mode "'. Without --vcpu, the mode is set for the whole\n"  \
	"VM, including vCPUs that are added later. --persistent: also for later starts of\n" \
	"the VM. This ends automatic control; 'apfctl auto VM' starts it again."

const struct verb verbs[] = {
	{ "list",
	  { VM_ANY },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_STORED) | OPTION_BIT(OPTION_ALL) |
		  OPTION_BIT(OPTION_STATE) | OPTION_BIT(OPTION_SORT) |
		  OPTION_BIT(OPTION_NO_LEGEND),
	  verb_list,
	  "Show all VMs",
	  "One line for each VM, ordered by name. Like every VM in a command, a VM is a name,\n"
	  "a UUID, an id, or a pattern of names, e.g. 'web-*'. --stored: instead, the settings\n"
	  "that apfd has stored for VMs that libvirt does not know, also for those that do not\n"
	  "run." },
	{ "status",
	  { VM_ANY },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_ALL),
	  verb_status,
	  "Show the host, or VMs with their vCPUs, counters and latencies",
	  "Without a VM, shows the host. VM is a name, a UUID, an id, or a pattern of names.\n"
	  "An id is libvirt's number of the running domain, Proxmox's number, the UID of a pod,\n"
	  "or Firecracker's --id." },
	{ "enable",
	  { VM_SOME },
	  CHANGE_OPTIONS,
	  verb_enable,
	  "Switch asynchronous page faults on",
	  ABOUT_CHANGE("on") },
	{ "disable",
	  { VM_SOME },
	  CHANGE_OPTIONS,
	  verb_disable,
	  "Switch asynchronous page faults off",
	  ABOUT_CHANGE("off") },
	{ "on",
	  { VM_SOME },
	  CHANGE_OPTIONS,
	  verb_enable,
	  "The same as enable",
	  ABOUT_CHANGE("on") },
	{ "off",
	  { VM_SOME },
	  CHANGE_OPTIONS,
	  verb_disable,
	  "The same as disable",
	  ABOUT_CHANGE("off") },
	{ "auto",
	  { VM_SOME },
	  CHANGE_OPTIONS,
	  verb_auto,
	  "Let apfd's policy switch asynchronous page faults",
	  "The same as 'set VM... auto': apfd decides from its measurements; 'why VM' shows\n"
	  "the reasons. --persistent: also for later starts of the VM." },
	{ "set",
	  { VM_SOME, { "MODE", COMPLETE_MODE } },
	  CHANGE_OPTIONS,
	  verb_set,
	  "Set the mode of VMs or of some of their vCPUs",
	  "MODE is one of\n"
	  "  auto     the state that apfd's policy decides, see 'apfctl why VM'\n"
	  "  on       asynchronous whenever KVM can notify the guest or halt the vCPU\n"
	  "  pv       asynchronous only while KVM can notify the guest\n"
	  "  off      every swap-in stops the vCPU\n"
	  "  default  the mode of the configuration; for vCPUs, the mode of the VM\n"
	  "Either all given vCPUs of a VM are changed or none. --persistent: also for later\n"
	  "starts of the VM. Each mode but auto ends automatic control." },
	{ "forget",
	  { { "VM", COMPLETE_STORED, ARG_SOME } },
	  0,
	  verb_forget,
	  "Remove the stored settings of VMs that do not exist any more",
	  "Only of VMs that libvirt does not know, and that do not run; for a VM that runs, use\n"
	  "'apfctl set VM default --persistent'. VM is a name, an id, a UUID or a FILE that\n"
	  "'apfctl list --stored' shows, or a pattern of names." },
	{ "why",
	  { VM_SOME },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_ALL),
	  verb_why,
	  "Show what the policy decides for VMs, and why",
	  "For each vCPU: the wanted state and since when, the rule, the reason and the\n"
	  "figures it is based on; then the last decisions." },
	{ "top",
	  { VM_ANY },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_INTERVAL) | OPTION_BIT(OPTION_COUNT) |
		  OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_SORT) | OPTION_BIT(OPTION_CSV),
	  verb_top,
	  "Watch VMs, the most stalled first",
	  "On a terminal, uses the whole screen and reads keys ('?' shows them). Otherwise,\n"
	  "and with --count, prints one table for each interval; with --json, one line for\n"
	  "each interval; with --csv, one line for each VM. Ends with Ctrl-C." },
	{ "monitor",
	  { VM_ANY },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_COUNT) | OPTION_BIT(OPTION_ALL) |
		  OPTION_BIT(OPTION_EVENT),
	  verb_monitor,
	  "Print events of the VMs when they happen",
	  "One line for each automatic or other change of a gate, alarm of a guest, start or\n"
	  "end of a VM, and change of apfd, apf_host or libvirt. If VMs are given, events of\n"
	  "other VMs are not shown. Continues when apfd is restarted; ends with Ctrl-C." },
	{ "recall",
	  { VM_SOME },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_ALL) | OPTION_BIT(OPTION_RATE) |
		  OPTION_BIT(OPTION_NO_WAIT) | OPTION_BIT(OPTION_BEFORE_MIGRATION),
	  verb_recall,
	  "Bring the memory of VMs back from swap",
	  "Reads the pages that are on swap before the VM needs them, one VM after the other,\n"
	  "more slowly while other VMs wait for pages. Refused if they do not fit into memory.\n"
	  "Shows the progress on a terminal; with --json, prints one line each second. Ctrl-C\n"
	  "cancels; what is back stays. It does not need apf_host." },
	{ "metrics",
	  {},
	  0,
	  verb_metrics,
	  "Print all figures as OpenMetrics text",
	  "For scripts, and for hosts without apf-exporter(8), which serves the same text\n"
	  "over HTTP." },
	{ "reload",
	  {},
	  0,
	  verb_reload,
	  "Let apfd read its configuration again",
	  "If the configuration is wrong, prints where; the last good configuration stays in\n"
	  "effect." },
	{ "doctor",
	  { VM_ANY },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_ALL),
	  verb_doctor,
	  "Find out why APF does or does not work here, and what to do",
	  "Checks the host and the given VMs, or all VMs. Copy the indented lines of a remedy\n"
	  "as they are. Ends with status 1 if a check failed. If apfd is not running, only the\n"
	  "host is checked." },
	{ "policy-replay",
	  { { "FILE", COMPLETE_NOTHING } },
	  OPTION_BIT(OPTION_JSON),
	  verb_policy_replay,
	  "Show what the policy decides from recorded figures",
	  "FILE has one JSON object on each line, see apfctl(1); '-' is standard input. This\n"
	  "needs neither apfd nor a VM." },
	{ "help",
	  { { "VERB", COMPLETE_VERB, ARG_OPTIONAL } },
	  0,
	  verb_help,
	  "Show the help of the program or a verb",
	  "The same as 'apfctl --help' and 'apfctl VERB --help'." },
	{ "__tables", {}, 0, verb_complete_tables, NULL, NULL },
	{ "__vms", {}, 0, verb_complete_vms, NULL, NULL },
	{ "__stored", {}, 0, verb_complete_stored, NULL, NULL },
};

const size_t n_verbs = ELEMENTSOF(verbs);

const struct option_row options[_OPTION_MAX] = {
	[OPTION_HELP] = { "help", 'h', NULL, true, "Show this help" },
	[OPTION_VERSION] = { "version", 0, NULL, true, "Show the versions of apfctl, apfd and apf_host" },
	[OPTION_NO_ASK_PASSWORD] = { "no-ask-password", 0, NULL, true,
				     "Do not let polkit ask for a password" },
	[OPTION_HOST] = { "host", 'H', "HOST", true,
			  "Connect to apfd on HOST or USER@HOST, through ssh" },
	[OPTION_JSON] = { "json", 0, NULL, false, "Print JSON, numbers not rounded" },
	[OPTION_VCPU] = { "vcpu", 0, "LIST", false, "Only these vCPUs, e.g. 0,2-3" },
	[OPTION_PERSISTENT] = { "persistent", 0, NULL, false, "Also for later starts of the VM" },
	[OPTION_STORED] = { "stored", 0, NULL, false, "Show the settings that apfd has stored" },
	[OPTION_INTERVAL] = { "interval", 0, "SEC", false,
			      "Seconds between two updates, 0.1 to 3600 (default 1)" },
	[OPTION_COUNT] = { "count", 0, "N", false, "End after N updates or events" },
	[OPTION_ALL] = { "all", 0, NULL, false, "All VMs, instead of naming them" },
	[OPTION_STATE] = { "state", 0, "LIST", false, "Only VMs in these states, e.g. on,mixed" },
	[OPTION_SORT] = { "sort", 0, "COLUMN", false,
			  "Order by this column; '-' before it reverses" },
	[OPTION_NO_LEGEND] = { "no-legend", 0, NULL, false, "No line of headers and no remarks" },
	[OPTION_CSV] = { "csv", 0, NULL, false,
			 "Print comma-separated values, one line for each VM" },
	[OPTION_EVENT] = { "event", 0, "LIST", false,
			   "Only these events, e.g. gate-changed,vm-added" },
	[OPTION_RATE] = { "rate", 0, "BYTES", false,
			  "At most so much a second: 1M to 1T, or unlimited" },
	[OPTION_NO_WAIT] = { "no-wait", 0, NULL, false, "Start it, and do not wait for the end" },
	[OPTION_BEFORE_MIGRATION] = { "before-migration", 0, NULL, false,
				      "As fast as possible, and fail unless all is back" },
};

const char *const exit_statuses[_STATUS_MAX] = {
	[STATUS_OK] = "done",
	[STATUS_FAILED] = "failed",
	[STATUS_USAGE] = "wrong usage",
	[STATUS_NO_SUCH_VM] = "no such VM",
	[STATUS_NOT_ALLOWED] = "not allowed",
	[STATUS_MISSING] = "apfd or apf_host is missing",
	[STATUS_NOT_CHECKED] = "doctor could not make its checks",
};

const char *const mode_names[] = { NAME_AUTO, NAME_ON, NAME_PV, NAME_OFF, NAME_DEFAULT };
const size_t n_mode_names = ELEMENTSOF(mode_names);

const char *const state_names[] = { NAME_ON, NAME_PV, NAME_OFF, NAME_MIXED, NAME_UNKNOWN };
const size_t n_state_names = ELEMENTSOF(state_names);

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

size_t verb_count_args(const struct verb *verb, bool all, size_t *ret_max)
{
	size_t n = 0;

	*ret_max = 0;
	for (const struct verb_arg *arg = verb->args; arg->name; arg++) {
		n += arg->count == ARG_ONE || (arg->count == ARG_SOME && !all);
		if (arg->count == ARG_ANY || arg->count == ARG_SOME)
			*ret_max = SIZE_MAX;
		else if (*ret_max != SIZE_MAX)
			(*ret_max)++;
	}
	return n;
}

static void print_args(FILE *file, const struct verb *verb)
{
	static const char *const forms[][2] = {
		[ARG_ONE] = { " ", "" },
		[ARG_OPTIONAL] = { " [", "]" },
		[ARG_ANY] = { " [", "...]" },
		[ARG_SOME] = { " ", "..." },
	};

	for (const struct verb_arg *arg = verb->args; arg->name; arg++)
		fprintf(file, "%s%s%s", forms[arg->count][0], arg->name, forms[arg->count][1]);
}

char *verb_synopsis(const struct verb *verb)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;

	fputs(verb->name, file);
	print_args(file, verb);
	for (unsigned int id = 0; id < _OPTION_MAX; id++) {
		if (!(verb->options & OPTION_BIT(id)))
			continue;
		fprintf(file, " [--%s%s%s]", options[id].name, options[id].arg ? " " : "",
			options[id].arg ?: "");
	}
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void help_print_options(FILE *file, const struct verb *verb)
{
	fputs("\nOptions:\n", file);
	for (unsigned int id = 0; id < _OPTION_MAX; id++) {
		char left[40];

		if (verb && !options[id].every_verb && !(verb->options & OPTION_BIT(id)))
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", options[id].short_name ? "-" : " ",
			 options[id].short_name ?: ' ', options[id].short_name ? ", " : "  ",
			 options[id].name, options[id].arg ? " " : "", options[id].arg ?: "");
		fprintf(file, "  %-24s  %s\n", left, options[id].help);
	}
}

void help_print(FILE *file, const struct verb *verb)
{
	if (verb) {
		_cleanup_free_ char *synopsis = verb_synopsis(verb);

		fprintf(file, "Usage: apfctl %s\n\n%s.\n", synopsis ?: verb->name,
			verb->help ?: "For shell completion");
		if (verb->about)
			fprintf(file, "%s\n", verb->about);
		help_print_options(file, verb);
		fputs("\nSee apfctl(1).\n", file);
		return;
	}

	fputs("Usage: apfctl [OPTION...] VERB [ARGUMENT...]\n\n"
	      "Show and switch the asynchronous page faults of this host's VMs.\n\n"
	      "Verbs:\n",
	      file);
	for (size_t i = 0; i < n_verbs; i++) {
		char left[40] = "";
		FILE *text;

		if (!verbs[i].help)
			continue;
		text = fmemopen(left, sizeof(left), "w");
		if (!text)
			continue;
		fputs(verbs[i].name, text);
		print_args(text, &verbs[i]);
		fclose(text);
		fprintf(file, "  %-24s  %s\n", left, verbs[i].help);
	}
	help_print_options(file, NULL);
	fputs("\nExit status:\n", file);
	for (unsigned int i = 0; i < _STATUS_MAX; i++)
		fprintf(file, "  %u  %s\n", i, exit_statuses[i]);
	fputs("\n'apfctl VERB --help' shows the help of a verb; see also apfctl(1).\n", file);
}

int verb_help(struct apfctl *ctl)
{
	_cleanup_free_ char *printable = NULL, *near = NULL;
	const struct verb *verb = NULL;

	if (ctl->n_args > 0) {
		verb = verb_find(ctl->args[0]);
		if (!verb) {
			printable = text_printable(ctl->args[0]);
			near = near_verbs(ctl->args[0]);
			return status_fail(STATUS_USAGE,
					   "help: unknown verb '%s'%s; see apfctl help",
					   printable ?: "", near ?: "");
		}
	}
	help_print(stdout, verb);
	return STATUS_OK;
}

char *near_verbs(const char *word)
{
	const char *names[ELEMENTSOF(verbs)];
	size_t n = 0;

	for (size_t i = 0; i < n_verbs; i++)
		if (verbs[i].help)
			names[n++] = verbs[i].name;
	return suggest(word, "", names, n);
}

char *near_options(const char *word)
{
	const char *names[_OPTION_MAX];

	for (size_t i = 0; i < _OPTION_MAX; i++)
		names[i] = options[i].name;
	return suggest(word, "--", names, _OPTION_MAX);
}

char *near_modes(const char *word)
{
	return suggest(word, "", mode_names, n_mode_names);
}
