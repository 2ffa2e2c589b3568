/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The element in libvirt's metadata. libvirt returns well-formed XML, but any user of
 * libvirt may have written the content.
 */
#include <errno.h>
#include <stdio.h>

#include "conf-parse.h"
#include "genl-parse.h"
#include "names.h"
#include "settings.h"
#include "xml.h"

int settings_to_xml(const struct settings *s, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	fprintf(f, "<settings");
	if (s->mode != SETTINGS_UNSET)
		fprintf(f, " mode=\"%s\"", settings_mode_to_string(s->mode));
	fprintf(f, ">");
	for (size_t i = 0; i < s->n_vcpus; i++)
		fprintf(f, "<vcpu index=\"%u\" mode=\"%s\"/>", s->vcpus[i].index,
			settings_mode_to_string(s->vcpus[i].mode));
	fprintf(f, "</settings>");
	/* A memory stream fails only if there is no memory. */
	if (fclose(f) != 0)
		return -ENOMEM;
	*ret = TAKE_PTR(text);
	return 0;
}

/* *ret is SETTINGS_UNSET if @element has no mode. */
static int parse_mode(xmlNode *element, int *ret)
{
	_cleanup_(xml_freep) xmlChar *mode = xmlGetNoNsProp(element, BAD_CAST "mode");

	*ret = SETTINGS_UNSET;
	return mode ? settings_mode_from_string((const char *)mode, ret) : 0;
}

static int parse_vcpu(xmlNode *element, struct settings *s)
{
	_cleanup_(xml_freep) xmlChar *text = xmlGetNoNsProp(element, BAD_CAST "index");
	uint64_t index;
	int mode, r;

	if (!text)
		return -EINVAL;
	r = conf_parse_uint((const char *)text, GENL_VCPUS_MAX - 1, &index);
	if (r < 0)
		return r;
	r = parse_mode(element, &mode);
	if (r < 0)
		return r;
	if (mode == SETTINGS_UNSET)
		return -EINVAL;
	return settings_set_vcpu(s, (uint32_t)index, mode);
}

int settings_from_xml(const char *text, struct settings *ret)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_NONE;
	_cleanup_(xml_doc_freep) xmlDoc *doc = NULL;
	xmlNode *root;
	int r;

	if (strnlen(text, METADATA_MAX_BYTES + 1) > METADATA_MAX_BYTES)
		return -E2BIG;
	r = xml_parse(text, &doc);
	if (r < 0)
		return r;
	root = xmlDocGetRootElement(doc);
	if (!xml_is_element(root, "settings"))
		return -EINVAL;
	r = parse_mode(root, &s.mode);
	if (r < 0)
		return r;
	for (xmlNode *n = root->children; n; n = n->next) {
		if (!xml_is_element(n, "vcpu"))
			continue;
		r = parse_vcpu(n, &s);
		if (r < 0)
			return r;
	}
	*ret = s;
	s = SETTINGS_NONE;
	return 0;
}
