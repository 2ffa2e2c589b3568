/* SPDX-License-Identifier: GPL-2.0 */
/* What we need of libxml2, on text from libvirt: trusted in form, not in content. */
#ifndef APFD_XML_H
#define APFD_XML_H

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "util.h"

/*
 * xml_parse: touches no network and no file, says nothing, and takes no document
 * type, so that nothing in it can be expanded. 0; -EINVAL: not well-formed; -E2BIG.
 */
int xml_parse(const char *text, xmlDoc **ret);

/* xml_is_element: an element of that name, in whatever namespace. @n may be NULL. */
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
