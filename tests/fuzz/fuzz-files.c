/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Texts that apfd reads: of /proc, of control groups, of libvirt, of whoever wrote
 * the metadata. The first byte, a letter, chooses the reader.
 */
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "cgroup-limits.h"
#include "conf-parse.h"
#include "domain-xml.h"
#include "host-memory.h"
#include "identity.h"
#include "settings.h"
#include "stored.h"
#include "swapdev.h"
#include "utf8.h"
#include "uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
	if (!condition)
		abort();
}

/* What was understood is written so that it is understood as the same again. */
static void check_settings(const char *text)
{
	struct settings settings = SETTINGS_NONE, again = SETTINGS_NONE;
	char *xml;

	if (settings_from_xml(text, &settings) == 0) {
		if (settings_to_xml(&settings, &xml) == 0) {
			check(settings_from_xml(xml, &again) == 0);
			check(settings_equal(&settings, &again));
			free(xml);
		}
	}
	settings_done(&settings);
	settings_done(&again);
}

/* A command line: words with final NULs. The first byte chooses the program and the group. */
static void check_identity(const uint8_t *data, size_t size)
{
	static const char *const programs[] = { "/usr/bin/qemu-system-x86_64",
						"/firecracker",
						"/usr/bin/cloud-hypervisor",
						"/usr/bin/crosvm",
						"/usr/bin/lkvm",
						"/bin/sh",
						NULL };
	static const char *const groups[] = {
		"",
		"/qemu.slice/101.scope",
		"/firecracker/web",
		"/kubepods/pod3f0a1b2c-0d0e-4f00-8a00-1234567890ab",
	};
	struct identity_facts f = { .proxmox_id = "", .pod_namespace = "team", .pod_name = "x" };
	char uuid[UUID_LEN + 1], again[UUID_LEN + 1];
	struct identity i;

	if (size < 1)
		return;
	f.executable = programs[(data[0] & 15) % (sizeof(programs) / sizeof(programs[0]))];
	f.cgroup = groups[data[0] >> 4 & 3];
	f.uid = data[0] >> 6 ? 1000 : -1;
	f.args = (struct vmm_args){ (const char *)data + 1, size - 1 };
	identity_make(&f, &i);
	check(strlen(i.name) <= IDENTITY_NAME_MAX && strlen(i.scope) <= IDENTITY_SCOPE_MAX);
	check(strncmp(i.name, "pid-", 4) != 0);
	check(i.keeper == KEEPER_KUBERNETES || !strchr(i.name, '/'));
	for (const char *p = i.name; *p; p++)
		check((unsigned char)*p >= ' ' && *p != 0x7f);
	if (identity_uuid(&i, uuid) >= 0)
		check(uuid_parse(uuid, again) == 0 && strcmp(uuid, again) == 0);
}

/* What was understood is written so that it is understood as the same again. */
static void check_stored(const char *text)
{
	struct stored_vm vm = { .settings = SETTINGS_NONE }, again = { .settings = SETTINGS_NONE };
	char *written;

	if (stored_from_text(text, &vm) == 0) {
		if (stored_to_text(&vm, &written) == 0) {
			check(stored_from_text(written, &again) == 0);
			check(settings_equal(&vm.settings, &again.settings));
			check(strcmp(vm.scope, again.scope) == 0 &&
			      strcmp(vm.name, again.name) == 0);
			free(written);
		}
	} else {
		check(vm.error[0]);
	}
	settings_done(&vm.settings);
	settings_done(&again.settings);
}

static void check_groups(const char *text)
{
	char path[256], uid[64];

	if (identity_cgroup(text, path, sizeof(path)) == 0) {
		check(path[0] == '/' && strlen(path) < sizeof(path));
		if (identity_pod_uid(path, uid, sizeof(uid)) == 0)
			check(strlen(uid) == 36 || strlen(uid) == 32);
		if (identity_proxmox_id(path, uid, sizeof(uid)) == 0)
			check(uid[0] >= '0' && uid[0] <= '9');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings = SETTINGS_NONE;
	struct cgroup_facts facts = {};
	struct memory_figures host = {};
	struct cgroup_limits limits = {};
	struct domain_xml xml = {};
	char path[256], uuid[UUID_LEN + 1], *text;
	uint64_t number, more;
	static struct swapdevs swaps;
	bool flag;
	int level;

	if (size < 1)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		return 0;
	switch (data[0]) {
	case 'm':
		if (cgroup_parse_membership(text, path, sizeof(path)) == 0)
			check(path[0] == '/' && strlen(path) < sizeof(path));
		break;
	case 'i':
		check_identity(data + 1, size - 1);
		break;
	case 'g':
		check_groups(text);
		break;
	case 'y':
		check_stored(text);
		break;
	case 's':
		cgroup_parse_stat(text, &facts);
		break;
	case 'p':
		cgroup_parse_pressure(text, &facts);
		cgroup_parse_numa(text, &limits);
		host_memory_parse_meminfo(text, &host);
		host_memory_parse_vmstat(text, &host);
		break;
	case 'b':
		(void)cgroup_parse_bytes(text, &number);
		break;
	case 'w':
		swapdevs_parse(text, &swaps);
		check(swaps.n <= SWAPDEVS_MAX);
		for (size_t i = 0; i < swaps.n; i++)
			check(swaps.dev[i].path[0] == '/' &&
			      swaps.dev[i].used_bytes <= swaps.dev[i].size_bytes);
		break;
	case 't':
		(void)swapdev_parse_stat(text, &number, &more);
		break;
	case 'x':
		check_settings(text);
		break;
	case 'v':
		(void)settings_parse_vcpus(&settings, text);
		settings_done(&settings);
		break;
	case 'd':
		if (domain_xml_parse(text, &xml) == 0)
			(void)domain_xml_offers_asyncpf_int(&xml);
		break;
	case 'c':
		(void)conf_parse_bool(text, &flag);
		if (conf_parse_span(text, 3600000000, &number) == 0)
			check(number <= 3600000000);
		if (conf_parse_uint(text, 1000, &number) == 0)
			check(number <= 1000);
		(void)conf_parse_level(text, &level);
		break;
	case 'n':
		if (uuid_parse(text, uuid) >= 0)
			check(strlen(uuid) == UUID_LEN);
		utf8_make_valid(text);
		break;
	}
	free(text);
	return 0;
}
