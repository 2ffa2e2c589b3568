/* SPDX-License-Identifier: GPL-2.0 */
/* Helpers for libxml2. The text is from libvirt; its content is not trusted. */
#ifndef APFD_XML_H
#define APFD_XML_H

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "util.h"

/*
 * xml_parse: reads no other file, uses no network and prints no messages. It refuses a
 * document type, so that @text cannot define entities. 0; -EINVAL if @text is not
 * well-formed or has a document type; -E2BIG.
 */
int xml_parse(const char *text, xmlDoc **ret);

/* xml_is_element: @n is an element with that name, in any namespace. @n may be NULL. */
bool xml_is_element(const xmlNode *n, const char *name);

static inline xmlDoc *xml_doc_free(xmlDoc *doc)
{
	xmlFreeDoc(doc);
	return NULL;
}
APF_DEFINE_CLEANUP(xmlDoc *, xml_doc_free);

static inline void xml_freep(xmlChar **text)
{
	xmlFree(*text);
}

#endif /* APFD_XML_H */
