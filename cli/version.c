// SPDX-License-Identifier: GPL-2.0
#include "version.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"
#include "format.h"

#define MODULE_DIR "/sys/module/apf_host"

static void print_printable(const char *name, const char *version)
{
	_cleanup_free_ char *printable = text_printable(version);

	printf("%s %s\n", name, printable ?: "");
}

/* What this host's kernel says, for when apfd does not answer. */
static void print_loaded_module(const struct apfctl *ctl)
{
	char version[64] = "";
	FILE *file;

	if (ctl->client.host) {
		puts("apf_host (not known)");
		return;
	}
	file = fopen(MODULE_DIR "/version", "re");
	if (file) {
		if (!fgets(version, sizeof(version), file))
			version[0] = '\0';
		fclose(file);
	}
	version[strcspn(version, "\n")] = '\0';
	if (version[0] != '\0')
		print_printable("apf_host", version);
	else
		puts(access(MODULE_DIR, F_OK) == 0 ? "apf_host (not known)"
						   : "apf_host (not loaded)");
}

void version_print(struct apfctl *ctl)
{
	_cleanup_(host_clear) struct host host = {};
	const char *cause = "cannot be reached";
	int status;

	puts("apfctl " APF_VERSION);
	ctl->client.task = "version";
	status = bus_open(&ctl->client);
	if (status == STATUS_OK) {
		status = bus_peek_host(&ctl->client, &host);
		cause = status == STATUS_MISSING ? "not running" : "no answer";
	}
	if (status != STATUS_OK) {
		free(status_take_message());
		printf("apfd (%s)\n", cause);
		print_loaded_module(ctl);
		return;
	}
	print_printable("apfd", host.version);
	if (host.host_module_version[0] != '\0')
		print_printable("apf_host", host.host_module_version);
	else
		puts("apf_host (not loaded)");
}
