/* SPDX-License-Identifier: GPL-2.0 */
/* A configuration file, through conf_load(), and what it says of a few VMs. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_problem(bool error, const char *text, void *userdata)
{
	if (!text[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "", "web1", "db-\xc3\xbc", "[x" };
	struct conf_source source = { .root = "/nonexistent" };
	struct conf *conf = NULL;
	static int fd = -1;
	static char path[64];

	if (fd < 0) {
		fd = memfd_create("conf", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	source.file = path;
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (conf_load(&source, on_problem, NULL, &conf) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct settings settings = SETTINGS_NONE;

		if (conf_vm_settings(conf, names[i], "101", &settings) >= 0)
			settings_done(&settings);
	}
	conf_free(conf);
	return 0;
}
