/* SPDX-License-Identifier: GPL-2.0 */
#include "xml.h"

#include <errno.h>
#include <limits.h>

int xml_parse(const char *text, xmlDoc **ret)
{
	_cleanup_(xml_doc_freep) xmlDoc *doc = NULL;
	size_t len = strlen(text);

	if (len > INT_MAX)
		return -E2BIG;
	doc = xmlReadMemory(text, (int)len, NULL, NULL,
			    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!doc || doc->intSubset)
		return -EINVAL;
	*ret = TAKE_PTR(doc);
	return 0;
}

bool xml_is_element(const xmlNode *n, const char *name)
{
	const char *local, *colon;

	if (!n || n->type != XML_ELEMENT_NODE)
		return false;
	/* libxml2 leaves a prefix that was not declared in the name. */
	local = (const char *)n->name;
	colon = strchr(local, ':');
	return streq(colon ? colon + 1 : local, name);
}
