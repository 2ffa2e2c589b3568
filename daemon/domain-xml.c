/* SPDX-License-Identifier: GPL-2.0 */
#include "domain-xml.h"

#include <errno.h>
#include <stdio.h>

#include "xml.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

static xmlNode *child(const xmlNode *parent, const char *name)
{
	for (xmlNode *n = parent ? parent->children : NULL; n; n = n->next)
		if (xml_is_element(n, name))
			return n;
	return NULL;
}

static void copy(char ret[static DOMAIN_XML_MODEL_MAX], xmlChar *text)
{
	snprintf(ret, DOMAIN_XML_MODEL_MAX, "%s", text ? (const char *)text : "");
	xmlFree(text);
}

/* @element may be NULL, as may all below. */
static void copy_attribute(char ret[static DOMAIN_XML_MODEL_MAX], xmlNode *element,
			   const char *name)
{
	copy(ret, element ? xmlGetNoNsProp(element, BAD_CAST name) : NULL);
}

static bool attribute_is(xmlNode *element, const char *name, const char *value)
{
	char text[DOMAIN_XML_MODEL_MAX];

	copy_attribute(text, element, name);
	return streq(text, value);
}

/* Whatever is after -cpu or -global: "...,kvm-asyncpf-int=on", "+kvm_asyncpf_int". */
static bool adds_asyncpf_int(xmlNode *root)
{
	xmlNode *commandline = child(root, "commandline");
	bool found = false;

	if (!commandline || !commandline->ns ||
	    !streq((const char *)commandline->ns->href, QEMU_NAMESPACE))
		return false;
	for (xmlNode *n = commandline->children; n && !found; n = n->next) {
		xmlChar *value;

		if (!xml_is_element(n, "arg"))
			continue;
		value = xmlGetNoNsProp(n, BAD_CAST "value");
		found = value && (strstr((const char *)value, "kvm-asyncpf-int=on") ||
				  strstr((const char *)value, "kvm_asyncpf_int=on") ||
				  strstr((const char *)value, "+kvm-asyncpf-int") ||
				  strstr((const char *)value, "+kvm_asyncpf_int"));
		xmlFree(value);
	}
	return found;
}

/* Those that reach into the guest's memory themselves; USB and SCSI do not. */
static unsigned int count_hostdevs(const xmlNode *devices)
{
	unsigned int count = 0;

	for (xmlNode *n = devices ? devices->children : NULL; n; n = n->next) {
		if (xml_is_element(n, "hostdev"))
			count += attribute_is(n, "type", "pci") || attribute_is(n, "type", "mdev");
		else if (xml_is_element(n, "interface"))
			count += attribute_is(n, "type", "hostdev");
	}
	return count;
}

int domain_xml_parse(const char *xml, struct domain_xml *ret)
{
	struct domain_xml x = {};
	_cleanup_(xml_doc_freep) xmlDoc *doc = NULL;
	xmlNode *root, *cpu, *backing, *model;

	if (xml_parse(xml, &doc) < 0)
		return -EBADMSG;
	root = xmlDocGetRootElement(doc);
	if (!xml_is_element(root, "domain"))
		return -EBADMSG;

	cpu = child(root, "cpu");
	model = child(cpu, "model");
	backing = child(root, "memoryBacking");
	copy_attribute(x.cpu_mode, cpu, "mode");
	copy(x.cpu_model, model ? xmlNodeGetContent(model) : NULL);
	/* A mode that is left out is custom. */
	if (model && !x.cpu_mode[0])
		snprintf(x.cpu_mode, sizeof(x.cpu_mode), "custom");
	x.asyncpf_int = adds_asyncpf_int(root);
	x.kvm_hidden =
		attribute_is(child(child(child(root, "features"), "kvm"), "hidden"), "state", "on");
	x.huge_pages = child(backing, "hugepages");
	x.locked = child(backing, "locked");
	x.hostdevs = count_hostdevs(child(root, "devices"));
	copy_attribute(x.launch_security, child(root, "launchSecurity"), "type");
	*ret = x;
	return 0;
}

bool domain_xml_offers_asyncpf_int(const struct domain_xml *x)
{
	if (x->kvm_hidden)
		return false;
	return x->asyncpf_int || streq(x->cpu_mode, "host-passthrough") ||
	       streq(x->cpu_mode, "maximum");
}
