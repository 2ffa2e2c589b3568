/* SPDX-License-Identifier: GPL-2.0 */
#include "domain-xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include "util.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

/* libxml2's strings are bytes of UTF-8 with another sign. */
static bool is(const xmlChar *a, const char *b)
{
	return a && xmlStrEqual(a, (const xmlChar *)b);
}

static xmlNode *child(const xmlNode *parent, const char *name)
{
	for (xmlNode *n = parent ? parent->children : NULL; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && is(n->name, name))
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
	copy(ret, element ? xmlGetNoNsProp(element, (const xmlChar *)name) : NULL);
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

	if (!commandline || !commandline->ns || !is(commandline->ns->href, QEMU_NAMESPACE))
		return false;
	for (xmlNode *n = commandline->children; n && !found; n = n->next) {
		xmlChar *value;

		if (n->type != XML_ELEMENT_NODE || !is(n->name, "arg"))
			continue;
		value = xmlGetNoNsProp(n, (const xmlChar *)"value");
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
		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (is(n->name, "hostdev"))
			count += attribute_is(n, "type", "pci") || attribute_is(n, "type", "mdev");
		else if (is(n->name, "interface"))
			count += attribute_is(n, "type", "hostdev");
	}
	return count;
}

int domain_xml_parse(const char *xml, struct domain_xml *ret)
{
	struct domain_xml x = {};
	xmlNode *root, *cpu, *backing, *model;
	size_t len = strlen(xml);
	xmlDoc *doc;

	if (len > INT32_MAX)
		return -EBADMSG;
	doc = xmlReadMemory(xml, (int)len, NULL, NULL,
			    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!doc)
		return -EBADMSG;
	root = xmlDocGetRootElement(doc);
	if (!root || !is(root->name, "domain")) {
		xmlFreeDoc(doc);
		return -EBADMSG;
	}

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
	xmlFreeDoc(doc);
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
