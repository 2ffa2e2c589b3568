// SPDX-License-Identifier: GPL-2.0
#include "verb.h"

#include <string.h>

#include "apf/cleanup.h"
#include "suggest.h"

const struct verb verbs[] = {
	{ "list",
	  {},
	  OPTION_BIT(OPTION_JSON),
	  verb_list,
	  "Show all VMs",
	  "One line for each VM, ordered by name." },
	{ "status",
	  { { "VM", COMPLETE_VM } },
	  OPTION_BIT(OPTION_JSON),
	  verb_status,
	  "Show one VM and its vCPUs, with counters and latencies",
	  "VM is a name, a UUID or libvirt's id of the running domain." },
	{ "enable",
	  { { "VM", COMPLETE_VM } },
	  OPTION_BIT(OPTION_VCPU) | OPTION_BIT(OPTION_PERSISTENT),
	  verb_enable,
	  "Switch asynchronous page faults on",
	  "The same as 'set VM on'. Without --vcpu the whole VM is meant, vCPUs added\n"
	  "later included. --persistent keeps it when the VM is started again." },
	{ "disable",
	  { { "VM", COMPLETE_VM } },
	  OPTION_BIT(OPTION_VCPU) | OPTION_BIT(OPTION_PERSISTENT),
	  verb_disable,
	  "Switch asynchronous page faults off",
	  "The same as 'set VM off'. Without --vcpu the whole VM is meant, vCPUs added\n"
	  "later included. --persistent keeps it when the VM is started again." },
	{ "auto",
	  { { "VM", COMPLETE_VM } },
	  OPTION_BIT(OPTION_VCPU) | OPTION_BIT(OPTION_PERSISTENT),
	  verb_auto,
	  "Leave it to apfd's policy",
	  "The same as 'set VM auto': apfd switches by what it sees; 'why VM' tells its\n"
	  "reasons. --persistent keeps it when the VM is started again." },
	{ "set",
	  { { "VM", COMPLETE_VM }, { "MODE", COMPLETE_MODE } },
	  OPTION_BIT(OPTION_VCPU) | OPTION_BIT(OPTION_PERSISTENT),
	  verb_set,
	  "Set the mode of a VM or of some of its vCPUs",
	  "MODE is one of\n"
	  "  auto     what apfd's policy finds best, see 'apfctl why VM'\n"
	  "  on       asynchronous whenever KVM can: it tells the guest or halts the vCPU\n"
	  "  pv       asynchronous only while the guest can be told\n"
	  "  off      every swap-in stops the vCPU\n"
	  "  default  what the configuration, or for vCPUs the VM, says\n"
	  "All given vCPUs are changed or none. --persistent keeps it when the VM is\n"
	  "started again." },
	{ "why",
	  { { "VM", COMPLETE_VM } },
	  OPTION_BIT(OPTION_JSON),
	  verb_why,
	  "Show what the policy wants of a VM, and why",
	  "For each vCPU the state wanted, since when, the rule, the reason and the figures\n"
	  "it looked at; below, the last decisions." },
	{ "top",
	  {},
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_INTERVAL) | OPTION_BIT(OPTION_COUNT),
	  verb_top,
	  "Watch all VMs, the most stalled first",
	  "On a terminal it takes the whole screen and listens to keys ('?' shows them);\n"
	  "otherwise, and with --count, one table, or with --json one line, is printed for\n"
	  "each interval. Ends with Ctrl-C." },
	{ "monitor",
	  { { "VM", COMPLETE_VM, true } },
	  OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_COUNT),
	  verb_monitor,
	  "Print events of the VMs as they come",
	  "One line for each decision, change of a gate, alarm of a guest, VM that comes or\n"
	  "goes, and change of apfd, apf_host or libvirt. With VMs given, of VMs only those\n"
	  "are shown. Goes on when apfd is restarted; ends with Ctrl-C." },
	{ "metrics",
	  {},
	  0,
	  verb_metrics,
	  "Print all figures as OpenMetrics text",
	  "For scripts, and for whoever has no apf-exporter(8) running, which serves the\n"
	  "same over HTTP." },
	{ "reload",
	  {},
	  0,
	  verb_reload,
	  "Let apfd read its configuration again",
	  "If it is wrong, says where, and the last good one still holds." },
	{ "doctor",
	  { { "VM", COMPLETE_VM, true } },
	  OPTION_BIT(OPTION_JSON),
	  verb_doctor,
	  "Find out why APF does or does not work here, and what to do",
	  "Checks the host and the VMs given, or all. Lines of a remedy that are indented\n"
	  "are to be typed or put in as they are. Ends with status 1 if a check failed; of a\n"
	  "host without apfd, the host alone is checked." },
	{ "policy-replay",
	  { { "FILE", COMPLETE_NOTHING } },
	  OPTION_BIT(OPTION_JSON),
	  verb_policy_replay,
	  "Show what the policy makes of recorded figures",
	  "FILE has a JSON object a line, see apfctl(1); '-' is standard input. Neither apfd\n"
	  "nor a VM is needed." },
	{ "__tables", {}, 0, verb_complete_tables, NULL, NULL },
	{ "__vms", {}, 0, verb_complete_vms, NULL, NULL },
};

const size_t n_verbs = ELEMENTSOF(verbs);

const struct option_row options[_OPTION_MAX] = {
	[OPTION_HELP] = { "help", 'h', NULL, true, "Show this help" },
	[OPTION_VERSION] = { "version", 0, NULL, true, "Show the version" },
	[OPTION_NO_ASK_PASSWORD] = { "no-ask-password", 0, NULL, true,
				     "Do not let polkit ask for a password" },
	[OPTION_HOST] = { "host", 'H', "HOST", true,
			  "Talk to apfd on HOST or USER@HOST, through ssh" },
	[OPTION_JSON] = { "json", 0, NULL, false, "Print JSON, numbers unrounded" },
	[OPTION_VCPU] = { "vcpu", 0, "LIST", false, "Only these vCPUs, e.g. 0,2-3" },
	[OPTION_PERSISTENT] = { "persistent", 0, NULL, false, "Also when the VM is started again" },
	[OPTION_INTERVAL] = { "interval", 0, "SEC", false,
			      "Seconds between two looks, 0.1 to 3600 (default 1)" },
	[OPTION_COUNT] = { "count", 0, "N", false, "End after N looks or events" },
};

const char *const exit_statuses[_APFCTL_EXIT_MAX] = {
	[APFCTL_OK] = "done",
	[APFCTL_FAILED] = "failed",
	[APFCTL_USAGE] = "wrong usage",
	[APFCTL_NO_SUCH_VM] = "no such VM",
	[APFCTL_NOT_ALLOWED] = "not allowed",
	[APFCTL_MISSING] = "apfd or apf_host is missing",
};

const char *const mode_names[] = { "auto", "on", "pv", "off", "default" };
const size_t n_mode_names = ELEMENTSOF(mode_names);

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

size_t verb_count_args(const struct verb *verb, bool *ret_any)
{
	size_t n = 0;

	while (verb->args[n].name && !verb->args[n].any)
		n++;
	*ret_any = verb->args[n].name;
	return n;
}

static void print_args(FILE *file, const struct verb *verb)
{
	for (const struct verb_arg *arg = verb->args; arg->name; arg++)
		fprintf(file, arg->any ? " [%s...]" : " %s", arg->name);
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
			verb->help ?: "For the shell's completion");
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
	for (unsigned int i = 0; i < _APFCTL_EXIT_MAX; i++)
		fprintf(file, "  %u  %s\n", i, exit_statuses[i]);
	fputs("\n'apfctl VERB --help' tells more of a verb; see also apfctl(1).\n", file);
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
