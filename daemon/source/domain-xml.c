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

/* @element may be NULL, here and in the functions below. */
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

/* Arguments of -cpu and -global: "...,kvm-asyncpf-int=on", "+kvm_asyncpf_int". */
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

/* Counts devices with direct access to the guest's memory; USB and SCSI devices have none. */
static void read_devices(const xmlNode *devices, struct domain_xml *x)
{
	for (xmlNode *n = devices ? devices->children : NULL; n; n = n->next) {
		if (xml_is_element(n, "hostdev")) {
			x->hostdevs += attribute_is(n, "type", "pci");
			x->mdevs += attribute_is(n, "type", "mdev");
		} else if (xml_is_element(n, "interface")) {
			x->hostdevs += attribute_is(n, "type", "hostdev");
			x->vdpas += attribute_is(n, "type", "vdpa");
		} else if (xml_is_element(n, "disk")) {
			x->nvmes += attribute_is(n, "type", "nvme");
			x->vdpas += attribute_is(n, "type", "vhostvdpa");
		} else if (xml_is_element(n, "filesystem")) {
			x->virtiofs =
				x->virtiofs || attribute_is(child(n, "driver"), "type", "virtiofs");
		}
	}
}

static void read_memory(const xmlNode *root, struct domain_xml *x)
{
	xmlNode *backing = child(root, "memoryBacking");
	xmlNode *numa = child(child(root, "numatune"), "memory");

	x->huge_pages = child(backing, "hugepages");
	x->locked = child(backing, "locked");
	copy_attribute(x->memory_source, child(backing, "source"), "type");
	x->shared = attribute_is(child(backing, "access"), "mode", "shared");
	/* In the other modes, a full node makes Linux use another one. Default: strict. */
	if (numa && !attribute_is(numa, "mode", "preferred") &&
	    !attribute_is(numa, "mode", "interleave"))
		copy_attribute(x->nodes, numa, "nodeset");
	x->swap_limited = child(child(root, "memtune"), "swap_hard_limit");
}

/* <libosinfo:os id='http://microsoft.com/win/11'/>, in any namespace. */
static bool is_windows(const xmlNode *root)
{
	char id[DOMAIN_XML_MODEL_MAX];

	copy_attribute(id, child(child(child(root, "metadata"), "libosinfo"), "os"), "id");
	return strstr(id, "microsoft.com/win");
}

static bool has_smm(const xmlNode *root)
{
	return attribute_is(child(child(root, "features"), "smm"), "state", "on") ||
	       attribute_is(child(child(root, "os"), "loader"), "secure", "yes");
}

int domain_xml_parse(const char *xml, struct domain_xml *ret)
{
	struct domain_xml x = {};
	_cleanup_(xml_doc_freep) xmlDoc *doc = NULL;
	xmlNode *root, *cpu, *model;

	if (xml_parse(xml, &doc) < 0)
		return -EBADMSG;
	root = xmlDocGetRootElement(doc);
	if (!xml_is_element(root, "domain"))
		return -EBADMSG;

	cpu = child(root, "cpu");
	model = child(cpu, "model");
	copy_attribute(x.cpu_mode, cpu, "mode");
	copy(x.cpu_model, model ? xmlNodeGetContent(model) : NULL);
	/* libvirt's default for a model without a mode is custom. */
	if (model && !x.cpu_mode[0])
		snprintf(x.cpu_mode, sizeof(x.cpu_mode), "custom");
	x.asyncpf_int = adds_asyncpf_int(root);
	x.kvm_hidden =
		attribute_is(child(child(child(root, "features"), "kvm"), "hidden"), "state", "on");
	read_memory(root, &x);
	read_devices(child(root, "devices"), &x);
	x.smm = has_smm(root);
	x.windows = is_windows(root);
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
