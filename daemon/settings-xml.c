/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The element in libvirt's metadata. libvirt hands it out well-formed, without
 * its namespace; who wrote it is unknown. What is understood is so small a part
 * of XML that a library for all of it would only add what can go wrong: no
 * entities, no text, no depth.
 */
#include <errno.h>
#include <stdio.h>

#include "conf-parse.h"
#include "genl-parse.h"
#include "settings.h"

enum {
	NAME_MAX_BYTES = 64,
	VALUE_MAX_BYTES = 256, /* a namespace's address is the longest */
};

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
	/* The only way to fail is to run out of memory. */
	if (fclose(f) != 0)
		return -ENOMEM;
	*ret = TAKE_PTR(text);
	return 0;
}

/**
 * struct tag - one "<name a="b" ...>"
 * @name: without its prefix
 * @end: "</name>"
 * @empty: "<name/>"
 * @mode: value of that attribute, "" if there is none; likewise @index
 */
struct tag {
	char name[NAME_MAX_BYTES];
	char mode[VALUE_MAX_BYTES];
	char index[VALUE_MAX_BYTES];
	bool end;
	bool empty;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.' || c == ':';
}

static void skip_blanks(const char **p)
{
	while (is_blank(**p))
		(*p)++;
}

/* Blanks and comments. */
static int skip_nothing(const char **p)
{
	for (;;) {
		const char *end;

		skip_blanks(p);
		if (strncmp(*p, "<!--", 4) != 0)
			return 0;
		end = strstr(*p + 4, "-->");
		if (!end)
			return -EINVAL;
		*p = end + 3;
	}
}

static int take_name(const char **p, char buf[static NAME_MAX_BYTES])
{
	size_t n = 0;

	while (is_name((*p)[n]))
		n++;
	if (n == 0 || n >= NAME_MAX_BYTES)
		return -EINVAL;
	memcpy(buf, *p, n);
	buf[n] = '\0';
	*p += n;
	return 0;
}

static int take_value(const char **p, char buf[static VALUE_MAX_BYTES])
{
	char quote = **p;
	size_t n = 0;

	if (quote != '"' && quote != '\'')
		return -EINVAL;
	(*p)++;
	while ((*p)[n] && (*p)[n] != quote) {
		/* No value of ours has one of these. */
		if ((*p)[n] == '<' || (*p)[n] == '&')
			return -EINVAL;
		n++;
	}
	if (!(*p)[n] || n >= VALUE_MAX_BYTES)
		return -EINVAL;
	memcpy(buf, *p, n);
	buf[n] = '\0';
	*p += n + 1;
	return 0;
}

static int take_attribute(const char **p, struct tag *tag)
{
	char name[NAME_MAX_BYTES], value[VALUE_MAX_BYTES], *to = NULL;
	int r;

	r = take_name(p, name);
	if (r < 0)
		return r;
	skip_blanks(p);
	if (**p != '=')
		return -EINVAL;
	(*p)++;
	skip_blanks(p);
	r = take_value(p, value);
	if (r < 0)
		return r;
	if (streq(name, "mode"))
		to = tag->mode;
	else if (streq(name, "index"))
		to = tag->index;
	if (!to)
		return 0;
	/* Empty, or a second one: neither is a value. */
	if (!value[0] || to[0])
		return -EINVAL;
	memcpy(to, value, sizeof(value));
	return 0;
}

static int take_tag(const char **p, struct tag *tag)
{
	char name[NAME_MAX_BYTES];
	const char *colon;
	int r;

	memset(tag, 0, sizeof(*tag));
	r = skip_nothing(p);
	if (r < 0)
		return r;
	if (**p != '<')
		return -EINVAL;
	(*p)++;
	if (**p == '/') {
		tag->end = true;
		(*p)++;
	}
	r = take_name(p, name);
	if (r < 0)
		return r;
	colon = strchr(name, ':');
	snprintf(tag->name, sizeof(tag->name), "%s", colon ? colon + 1 : name);

	for (;;) {
		bool blank = is_blank(**p);

		skip_blanks(p);
		if (**p == '>') {
			(*p)++;
			return 0;
		}
		if ((*p)[0] == '/' && (*p)[1] == '>' && !tag->end) {
			tag->empty = true;
			*p += 2;
			return 0;
		}
		if (!blank || tag->end)
			return -EINVAL;
		r = take_attribute(p, tag);
		if (r < 0)
			return r;
	}
}

static int take_vcpu(const struct tag *tag, struct settings *s)
{
	uint64_t index;
	int mode, r;

	r = conf_parse_uint(tag->index, GENL_VCPUS_MAX - 1, &index);
	if (r < 0)
		return r;
	r = settings_mode_from_string(tag->mode, &mode);
	if (r < 0)
		return r;
	return settings_set_vcpu(s, (uint32_t)index, mode);
}

static int take_vcpus(const char **p, struct settings *s)
{
	struct tag tag;
	int r;

	for (;;) {
		r = take_tag(p, &tag);
		if (r < 0)
			return r;
		if (tag.end)
			return streq(tag.name, "settings") ? 0 : -EINVAL;
		if (streq(tag.name, "vcpu"))
			r = take_vcpu(&tag, s);
		if (r < 0)
			return r;
		if (!tag.empty) {
			struct tag end;

			r = take_tag(p, &end);
			if (r < 0)
				return r;
			if (!end.end || !streq(end.name, tag.name))
				return -EINVAL;
		}
	}
}

int settings_from_xml(const char *text, struct settings *ret)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_NONE;
	const char *p = text;
	struct tag tag;
	int r;

	if (strnlen(text, SETTINGS_XML_MAX_BYTES + 1) > SETTINGS_XML_MAX_BYTES)
		return -E2BIG;
	r = take_tag(&p, &tag);
	if (r < 0)
		return r;
	if (tag.end || !streq(tag.name, "settings"))
		return -EINVAL;
	if (tag.mode[0]) {
		r = settings_mode_from_string(tag.mode, &s.mode);
		if (r < 0)
			return r;
	}
	if (!tag.empty) {
		r = take_vcpus(&p, &s);
		if (r < 0)
			return r;
	}
	r = skip_nothing(&p);
	if (r < 0)
		return r;
	if (*p)
		return -EINVAL;
	*ret = s;
	s = SETTINGS_NONE;
	return 0;
}
