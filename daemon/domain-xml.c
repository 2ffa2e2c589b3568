/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A walk over the tags of what libvirt formatted itself: well-formed, with its
 * own prefix for QEMU's namespace. No value looked for has an entity in it, and
 * what the domain's owner put into <metadata> is below another path.
 */
#include "domain-xml.h"

#include <errno.h>

#include "util.h"

enum {
	PATH_MAX_BYTES = 256, /* of names of elements; nothing looked for is deeper */
	DEPTH_MAX = 64,
};

/**
 * struct tag - one "<name attributes>"
 * @name: and @attributes lie in the text
 * @end: "</name>"
 * @empty: "<name/>"
 */
struct tag {
	const char *name;
	size_t name_len;
	const char *attributes;
	size_t attributes_len;
	bool end;
	bool empty;
};

/* Behind the next @what; NULL if there is none. */
static const char *behind(const char *p, const char *what)
{
	p = strstr(p, what);
	return p ? p + strlen(what) : NULL;
}

/* Steps to the next tag at or behind *p, over text and what is no element. 1, 0: none; -EBADMSG. */
static int next_tag(const char **p, struct tag *tag)
{
	const char *s = *p;
	char quote = '\0';

	for (;;) {
		s = strchr(s, '<');
		if (!s)
			return 0;
		if (strncmp(s, "<!--", 4) == 0)
			s = behind(s + 4, "-->");
		else if (strncmp(s, "<![CDATA[", 9) == 0)
			s = behind(s + 9, "]]>");
		else if (s[1] == '?')
			s = behind(s + 2, "?>");
		else if (s[1] == '!')
			return -EBADMSG; /* libvirt writes no document type */
		else
			break;
		if (!s)
			return -EBADMSG;
	}
	s++;
	*tag = (struct tag){ .end = *s == '/' };
	s += tag->end;
	tag->name = s;
	tag->name_len = strcspn(s, " \t\r\n/>");
	s += tag->name_len;
	if (tag->name_len == 0)
		return -EBADMSG;
	tag->attributes = s;
	for (; *s && (quote || *s != '>'); s++)
		if (quote)
			quote = *s == quote ? '\0' : quote;
		else if (*s == '"' || *s == '\'')
			quote = *s;
		else if (*s == '<')
			return -EBADMSG;
	if (!*s)
		return -EBADMSG;
	tag->empty = s[-1] == '/' && s > tag->attributes;
	tag->attributes_len = (size_t)(s - tag->attributes) - tag->empty;
	*p = s + 1;
	return 1;
}

static void copy(char ret[static DOMAIN_XML_MODEL_MAX], const char *text, size_t len)
{
	len = MIN_OF(len, DOMAIN_XML_MODEL_MAX - 1UL);
	memcpy(ret, text, len);
	ret[len] = '\0';
}

/* "" if there is no such attribute. */
static void attribute(const struct tag *tag, const char *name,
		      char ret[static DOMAIN_XML_MODEL_MAX])
{
	const char *s = tag->attributes, *end = s + tag->attributes_len;
	size_t len = strlen(name);

	ret[0] = '\0';
	while (s < end) {
		const char *key, *value, *close;
		size_t key_len;

		s += strspn(s, " \t\r\n");
		key = s;
		key_len = strcspn(s, "= \t\r\n/>");
		s += key_len;
		s += strspn(s, " \t\r\n");
		if (s >= end || *s != '=')
			return;
		s++;
		s += strspn(s, " \t\r\n");
		if (s >= end || (*s != '"' && *s != '\''))
			return;
		value = s + 1;
		close = memchr(value, *s, (size_t)(end - value));
		if (!close)
			return;
		if (key_len == len && memcmp(key, name, len) == 0) {
			copy(ret, value, (size_t)(close - value));
			return;
		}
		s = close + 1;
	}
}

static bool attribute_is(const struct tag *tag, const char *name, const char *value)
{
	char text[DOMAIN_XML_MODEL_MAX];

	attribute(tag, name, text);
	return streq(text, value);
}

/* Whatever is after -cpu or -global: "...,kvm-asyncpf-int=on", "+kvm_asyncpf_int". */
static bool adds_asyncpf_int(const struct tag *tag)
{
	char value[DOMAIN_XML_MODEL_MAX];

	attribute(tag, "value", value);
	return strstr(value, "kvm-asyncpf-int=on") || strstr(value, "kvm_asyncpf_int=on") ||
	       strstr(value, "+kvm-asyncpf-int") || strstr(value, "+kvm_asyncpf_int");
}

/* @text is what follows the tag of the element at @path. */
static void take(struct domain_xml *x, const char *path, const struct tag *tag, const char *text)
{
	if (streq(path, "/domain/cpu")) {
		attribute(tag, "mode", x->cpu_mode);
	} else if (streq(path, "/domain/cpu/model")) {
		if (!tag->empty)
			copy(x->cpu_model, text, strcspn(text, "<"));
		/* A mode that is left out is custom. */
		if (!x->cpu_mode[0])
			copy(x->cpu_mode, "custom", 6);
	} else if (streq(path, "/domain/qemu:commandline/qemu:arg")) {
		x->asyncpf_int = x->asyncpf_int || adds_asyncpf_int(tag);
	} else if (streq(path, "/domain/features/kvm/hidden")) {
		x->kvm_hidden = attribute_is(tag, "state", "on");
	} else if (streq(path, "/domain/memoryBacking/hugepages")) {
		x->huge_pages = true;
	} else if (streq(path, "/domain/memoryBacking/locked")) {
		x->locked = true;
	} else if (streq(path, "/domain/devices/hostdev")) {
		/* Those that reach into the guest's memory themselves; USB and SCSI do not. */
		x->hostdevs +=
			attribute_is(tag, "type", "pci") || attribute_is(tag, "type", "mdev");
	} else if (streq(path, "/domain/devices/interface")) {
		x->hostdevs += attribute_is(tag, "type", "hostdev");
	} else if (streq(path, "/domain/launchSecurity")) {
		attribute(tag, "type", x->launch_security);
	}
}

int domain_xml_parse(const char *xml, struct domain_xml *ret)
{
	char path[PATH_MAX_BYTES] = "";
	size_t ends[DEPTH_MAX];
	struct domain_xml x = {};
	size_t depth = 0, len = 0;
	bool seen = false;
	struct tag tag;
	int r;

	/* @ends: how long the path was above each open element; it may be longer than its buffer.
	 */
	while ((r = next_tag(&xml, &tag)) > 0) {
		if (tag.end) {
			if (depth == 0)
				return -EBADMSG;
			len = ends[--depth];
			if (len < sizeof(path))
				path[len] = '\0';
			continue;
		}
		if (depth >= DEPTH_MAX || (depth == 0 && seen))
			return -EBADMSG;
		ends[depth] = len;
		if (len + 1 + tag.name_len < sizeof(path))
			sprintf(path + len, "/%.*s", (int)tag.name_len, tag.name);
		len += 1 + tag.name_len;
		if (depth == 0 && !streq(path, "/domain"))
			return -EBADMSG;
		seen = true;
		if (len < sizeof(path))
			take(&x, path, &tag, xml);
		if (tag.empty) {
			len = ends[depth];
			if (len < sizeof(path))
				path[len] = '\0';
		} else {
			depth++;
		}
	}
	if (r < 0 || depth > 0 || !seen)
		return -EBADMSG;
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
