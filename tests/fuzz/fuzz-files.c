/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Texts that apfd reads: of /proc, of control groups, of libvirt, of whoever wrote
 * the metadata. The first byte, a letter, chooses the reader.
 */
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "conf-parse.h"
#include "domain-xml.h"
#include "name.h"
#include "settings.h"
#include "swapdev.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings = SETTINGS_NONE;
	struct cgroup_facts facts = {};
	struct domain_xml xml = {};
	char path[256], uuid[NAME_UUID_LEN + 1], *text;
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
	case 's':
		cgroup_parse_stat(text, &facts);
		break;
	case 'p':
		cgroup_parse_pressure(text, &facts);
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
		if (name_parse_uuid(text, uuid) >= 0)
			check(strlen(uuid) == NAME_UUID_LEN);
		name_make_utf8(text);
		break;
	}
	free(text);
	return 0;
}
